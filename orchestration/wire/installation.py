"""What this installation says of itself: alive, version, status, configuration, maintenance."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from orchestration.belonging import is_broker_alive, is_database_alive
from orchestration.config import authorization, items_of
from orchestration.errors import PREMIUM, Refused, not_found
from orchestration.release import API_VERSION, operating_system
from orchestration.wire.listing import Page, envelope
from orchestration.wire.views import WireView


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
        if not str(settings.BROKER_URL).startswith("memory"):
            alive["RabbitMQ"] = is_broker_alive()
        services: dict[str, Any] = {
            name: {
                "status": "Active" if works else "Inactive",
                "is_remote": name in ("PostgreSQL", "RabbitMQ"),
                "extra_info": {},
            }
            for name, works in alive.items()
        }
        is_short = self.flag("summary")
        return Response({"status": "OK" if all(alive.values()) else "Fail", "services": {} if is_short else services})


class Config(OpenView):
    """Settings that clients read."""

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


class InTenant(WireView):
    """Lists of a tenant that are empty here."""

    needs = {"GET": "deployment.view"}

    def get(self, request: Request) -> Response:
        return whole([])


class Plugins(InTenant):
    """GET /plugins: none can be installed."""

    resource = "plugin"


class ProviderContext(OpenView):
    """What genuine managers keep from their bootstrap."""

    def get(self, request: Request) -> Response:
        return Response({"name": "provider", "context": {"cloudify": {}}})


class Premium(WireView):
    """What v3.1 keeps for another edition; here it is part of the product, elsewhere."""

    needs = dict.fromkeys(("GET", "PUT", "POST", "PATCH", "DELETE"), "installation.view")
    has_tenant = False

    def refuse(self, request: Request, **kwargs: Any) -> Response:
        """404 with the code that clients know."""
        raise Refused(404, "missing_premium_package_error", PREMIUM)

    get = put = post = patch = delete = refuse
