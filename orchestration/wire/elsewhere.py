"""What v3.1 has addresses for and this product does in another way, or not at all: each refused with the reason and what to do."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from orchestration.errors import Refused
from orchestration.wire.installation import OpenView, whole
from orchestration.wire.views import WireView

NO_LICENSE = "This product needs no license: nothing is locked, and there is nothing to upload or to remove."
REASONS = {
    "license": NO_LICENSE,
    "plugins": (
        "Plugins are not installed on this manager: blueprints run with the plugins that are part of it. "
        "Put scripts into the blueprint's archive; see docs/runner.md."
    ),
    "plugins-updates": "Plugins are not installed on this manager, hence none is updated.",
    "secrets-providers": (
        "Secrets providers are not served by this manager: it seals the values itself. Create the secret with its value."
    ),
    "snapshots": (
        "Snapshots are not made by this manager: back up its database and its data folder; see docs/production.md."
    ),
    "log-bundles": "Log bundles are not made by this manager: it writes its log to standard output, where the service manager keeps it.",
    "agents": "This manager installs no agents: operations run on the manager or over SSH.",
    "ldap": "This manager asks no LDAP server: users sign in with a name and a password that it keeps, or with a token.",
    "maintenance": (
        "There is no maintenance mode: an update of this manager lets what runs finish or go on afterwards, so stopping is safe."
    ),
    "contacts": "There is nothing to register: this product is complete as it is.",
    "events": "Events are kept as long as their execution, and go with it: delete the deployment instead.",
    "executions": "Executions are kept with their deployment, and go with it: delete the deployment instead.",
    "audit": "The audit trail is a chain of hashes and cannot be cut: what was done stays told.",
    **dict.fromkeys(
        ("managers", "brokers", "db-nodes"),
        "Members of a cluster are added and removed on the cluster's page of the portal that built it; see docs/clusters.md.",
    ),
}

# Addresses that are lists, and addresses with something below them.
LISTS = (
    "license",
    "plugins",
    "plugins-updates",
    "secrets-providers",
    "snapshots",
    "log-bundles",
    "agents",
)
BELOW = (
    *("plugins", "plugins-updates", "secrets-providers", "snapshots", "log-bundles", "agents"),
    *("maintenance", "managers", "brokers", "db-nodes"),
)


class Elsewhere(WireView):
    """Any call to an address of which nothing is served."""

    needs: ClassVar[dict[str, str]] = dict.fromkeys(("GET", "PUT", "POST", "PATCH", "DELETE"), "installation.view")
    has_tenant = False
    subject: ClassVar[str] = ""

    def refuse(self, request: Request, **kwargs: Any) -> Response:
        """400: the request is understood, and not what this product does."""
        raise Refused(400, "illegal_action_error", REASONS[self.subject])

    get = put = post = patch = delete = refuse


class Nothing(Elsewhere):
    """The same, but a list can be read: it is empty."""

    def get(self, request: Request, **kwargs: Any) -> Response:
        return whole([])


def refused(subject: str, *, lists: bool = False) -> type[Elsewhere]:
    """The view of one subject of REASONS."""
    base = Nothing if lists else Elsewhere
    return type(f"No{subject.title().replace('-', '')}", (base,), {"subject": subject, "__doc__": base.__doc__})


class Kept(WireView):
    """A list whose rows are not deleted one kind at a time: DELETE is refused in words."""

    subject: ClassVar[str] = ""

    def delete(self, request: Request) -> Response:
        """400 with the reason."""
        raise Refused(400, "illegal_action_error", REASONS[self.subject])


class LicenseCheck(OpenView):
    """GET /license-check: fine, whatever it asks."""

    def get(self, request: Request) -> Response:
        return Response({"status": "ok", "message": NO_LICENSE})


class SnapshotStatus(OpenView):
    """GET /snapshot-status: none is being restored."""

    def get(self, request: Request) -> Response:
        return Response({"status": "not-running"})


class IdentityProvider(OpenView):
    """GET /idp: users are kept here."""

    def get(self, request: Request) -> Response:
        return Response("local")


class Ldap(OpenView):
    """GET /ldap: off. POST is refused in words."""

    needs = {"GET": "installation.view", "POST": "installation.view"}

    def get(self, request: Request) -> Response:
        return Response("disabled")

    def post(self, request: Request) -> Response:
        raise Refused(405, "method_not_allowed_error", REASONS["ldap"])
