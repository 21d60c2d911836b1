"""Who signs in to external services: the administrator who was entered, and the user of the management service."""

from __future__ import annotations

from dataclasses import dataclass, field

from accounts import secrets
from inventory.cluster_secrets import secrets_of
from inventory.models import Cluster

DATABASE, QUEUE = "external_database", "external_queue"
USER = "deployon"  # of the management service, in both; so are the database and the virtual host called


@dataclass(frozen=True)
class Login:
    """A user there, as it is written where one signs in (with its suffix), and its password."""

    user: str
    password: str = field(repr=False)

    @property
    def plain(self) -> str:
        """The user as SQL knows it."""
        return self.user.partition("@")[0]

    @property
    def is_service(self) -> bool:
        """What was entered is the service's own user: it is used as it is, and nothing is made there."""
        return self.plain == USER


def login_of(cluster: Cluster, purpose: str) -> Login | None:
    """The administrator's, None where none was entered."""
    found = secrets_of(cluster)
    user, password = found.get(f"{purpose}_user"), found.get(f"{purpose}_password")
    return Login(secrets.reveal(user), secrets.reveal(password)) if user and password else None


def logins_of(cluster: Cluster) -> dict[str, Login]:
    """All that were entered, by purpose."""
    found = {purpose: login_of(cluster, purpose) for purpose in (DATABASE, QUEUE)}
    return {purpose: login for purpose, login in found.items() if login}
