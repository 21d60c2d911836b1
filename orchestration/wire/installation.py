"""What this installation says of itself: alive, version, status, configuration, maintenance."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from rest_framework.request import Request
from rest_framework.response import Response

from orchestration.config import authorization, items_of
from orchestration.errors import illegal_action, not_found
from orchestration.release import API_VERSION, operating_system
from orchestration.wire.listing import Page, envelope
from orchestration.wire.views import WireView


def is_database_alive() -> bool:
    """One small query."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def whole(items: list[Any]) -> Response:
    """A list that is always given whole."""
    return envelope(items, len(items), Page(size=1000, offset=0))


class Ok(WireView):
    """Alive? Without login."""

    needs = {"GET": ""}
    has_tenant = False

    def get(self, request: Request) -> Response:
        return Response("OK") if is_database_alive() else Response("FAIL", status=500)


class OpenView(WireView):
    """For everybody who is signed in, in whatever tenant."""

    needs = {"GET": "installation.view"}
    has_tenant = False


class Version(OpenView):
    """What speaks here."""

    def get(self, request: Request) -> Response:
        distribution, release = operating_system()
        return Response(
            {
                "edition": "community",
                "version": API_VERSION,
                "build": None,
                "date": None,
                "commit": None,
                "distribution": distribution,
                "distro_release": release,
            }
        )


class Status(OpenView):
    """The parts that this installation has, and whether they work; `summary=true` leaves them out."""

    def get(self, request: Request) -> Response:
        database = "SQLite" if settings.USES_SQLITE else "PostgreSQL"
        alive = {"Webserver": True, database: is_database_alive()}
        services: dict[str, Any] = {
            name: {"status": "Active" if works else "Inactive", "is_remote": name == "PostgreSQL", "extra_info": {}}
            for name, works in alive.items()
        }
        is_short = self.flag("summary")
        return Response({"status": "OK" if all(alive.values()) else "Fail", "services": {} if is_short else services})


class ClusterStatus(OpenView):
    """The same as seen from outside a cluster: 500 with a body where it fails, as genuine."""

    def get(self, request: Request) -> Response:
        works = is_database_alive()
        status = "OK" if works else "Fail"
        services = {kind: {"status": status, "is_external": False, "nodes": {}} for kind in ("manager", "db", "broker")}
        body = {"status": status, "services": {} if self.flag("summary") else services}
        return Response(body, status=200 if works else 500)


class Config(OpenView):
    """Settings that clients read. They are changed where the installation has all its settings."""

    needs = {"GET": "installation.view", "PUT": "installation.manage"}

    def get(self, request: Request, name: str = "") -> Response:
        if name:
            prefix, _, short = name.rpartition(".")
            found = [item for item in items_of(prefix or None) if item["name"] == short]
            if not found:
                raise not_found("Config", name)
            return Response(found[0])
        scope = request.query_params.get("scope")
        response = whole(items_of(scope))
        if scope in (None, "authorization"):
            response.data["authorization"] = authorization()
        return response

    def put(self, request: Request, name: str = "") -> Response:
        raise illegal_action(
            f"The configuration is not changed through the API: {name or 'it'} is a setting of this installation; see .env.example."
        )


class Maintenance(OpenView):
    """There is no maintenance mode; a portal that is being updated does not answer."""

    def get(self, request: Request) -> Response:
        return Response(
            {
                "status": "deactivated",
                "activated_at": "",
                "activation_requested_at": "",
                "remaining_executions": None,
                "requested_by": "",
            }
        )


class Nodes(OpenView):
    """Managers, brokers and database nodes of a cluster of genuine make: none."""

    def get(self, request: Request) -> Response:
        return whole([])


class InTenant(WireView):
    """Lists of a tenant that are empty here."""

    needs = {"GET": "deployment.view"}

    def get(self, request: Request) -> Response:
        return whole([])


class NoGroups(InTenant):
    """GET /deployment-groups, /execution-groups, /execution-schedules: there are none, and none can be made yet."""

    resource = "deployment_group"


class ProviderContext(OpenView):
    """What genuine managers keep from their bootstrap."""

    def get(self, request: Request) -> Response:
        return Response({"name": "provider", "context": {"cloudify": {}}})
