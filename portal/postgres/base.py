"""Django's own backend; where DATABASE_HOSTS_FILE names the hosts, every new connection is made to those that it names by then."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base

from portal.host_files import hosts_in


class DatabaseWrapper(base.DatabaseWrapper):
    """A process at work learns of a database host that was added, and forgets one that was removed, without being begun again."""

    def get_connection_params(self) -> dict[str, Any]:
        return _to_present_hosts(super().get_connection_params())

    @property
    def pool(self) -> Any:
        """Django gives its pool the parameters once; it may have a function instead."""
        found = super().pool
        if found is not None and settings.DATABASE_HOSTS_FILE and isinstance(found.kwargs, dict):
            first = found.kwargs
            found.kwargs = lambda: _to_present_hosts(first)
        return found


def _to_present_hosts(parameters: dict[str, Any]) -> dict[str, Any]:
    hosts = hosts_in(settings.DATABASE_HOSTS_FILE)
    return parameters | {"host": ",".join(hosts)} if hosts else parameters
