"""View sets of /api/v1."""
routes: list[tuple[str, type, str]] = []
