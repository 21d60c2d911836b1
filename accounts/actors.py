"""Who asks for a change, and through what; every service that writes takes one."""

from __future__ import annotations

import dataclasses

from django.http import HttpRequest

from accounts.models import User


@dataclasses.dataclass(frozen=True)
class Actor:
    """A user and the way in: "page", "api", "v3.1", "admin", "token ctok-<id>", "command"."""

    user: User | None
    via: str

    @property
    def name(self) -> str:
        return self.user.username if self.user else "system"


SYSTEM = Actor(user=None, via="system")


def actor_of(request: HttpRequest, via: str = "page") -> Actor:
    """The actor of a web request; a request that came with a token says so."""
    token = getattr(request, "auth", None)
    user = request.user if isinstance(request.user, User) else None
    return Actor(
        user=user, via=f"token ctok-{token.pk}" if token is not None and hasattr(token, "secret_hash") else via
    )
