"""What a cluster says of itself through v3.1: its status, and who its managers, brokers and database nodes are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from inventory.health.members import MembersError
from inventory.health.values import Health, HostHealth, PartHealth, worst
from inventory.layout import External, Layout, Part
from orchestration.belonging import Standing, layout_here, standing
from orchestration.errors import PREMIUM, Refused
from orchestration.release import API_VERSION, operating_system
from orchestration.wire.listing import envelope, read_page
from orchestration.wire.times import wire_time
from orchestration.wire.views import WireView

WORDS = {Health.HEALTHY: "OK", Health.DEGRADED: "Degraded"}  # anything else, what nobody knows included, is "Fail"
# Kind of node, as v3.1 has them -> the parts that make it; the first says whether a host is one.
KINDS: dict[str, tuple[Part, ...]] = {
    "manager": (Part.MANAGER,),
    "db": (Part.DATABASE, Part.ETCD),
    "broker": (Part.QUEUE,),
}
# Beginnings of the services' names, by kind; others (monitoring, of every host) belong to all.
UNITS = {
    "manager": ("deployon-", "nginx", "prometheus-blackbox"),
    "db": ("etcd", "patroni", "prometheus-postgres"),
    "broker": ("rabbitmq",),
}
BALANCING = ("haproxy", "keepalived")
AMQPS = 5671
T = TypeVar("T")


def word_of(state: Health) -> str:
    return WORDS.get(state, "Fail")


class ClusterView(WireView):
    """For everybody who is signed in, in whatever tenant; members are admitted and let go elsewhere."""

    needs = dict.fromkeys(("GET", "POST", "PUT", "DELETE"), "installation.view")
    has_tenant = False

    def refuse(self, request: Request, **kwargs: Any) -> Response:
        """404 with the code that clients know: the portal that built a cluster changes its members."""
        raise Refused(404, "missing_premium_package_error", PREMIUM)

    post = put = delete = refuse


class ClusterStatus(WireView):
    """How the cluster is; `summary=true` leaves the services out, and is 500 where it fails, as load balancers want it."""

    needs = {"GET": "installation.view"}
    has_tenant = False

    def get(self, request: Request) -> Response:
        services = services_of(told(standing))
        states = {service["status"] for service in services.values()}
        status = next((word for word in ("Fail", "Degraded") if word in states), "OK")
        is_short = self.flag("summary")
        body = {"status": status, "services": {} if is_short else services}
        return Response(body, status=500 if is_short and status == "Fail" else 200)


def told(ask: Callable[[], T]) -> T:
    """What it gives; 500 with the reason where the installer's file cannot be used."""
    try:
        return ask()
    except MembersError as error:
        raise Refused(500, "internal_server_error", str(error)) from None


def services_of(found: Standing) -> dict[str, Any]:
    """Kind -> {"status", "is_external", "nodes"}."""
    return {kind: _service(found, kind) for kind in KINDS}


def _service(found: Standing, kind: str) -> dict[str, Any]:
    groups = [group for part in KINDS[kind] if (group := found.health.group(part))]
    # Without a vote no new leader is elected, but the one there is goes on: that is less margin.
    states = (
        [groups[0].state, *(min(group.state, Health.DEGRADED, key=_rank) for group in groups[1:])] if groups else []
    )
    nodes = {
        host.name: _node(found, kind, host) for host in found.health.hosts if host.part(KINDS[kind][0]) is not None
    }
    is_external = bool(groups) and groups[0].is_external
    return {"status": word_of(worst(states)), "is_external": is_external, "nodes": nodes}


def _rank(state: Health) -> int:
    return (Health.HEALTHY, Health.DEGRADED, Health.UNKNOWN, Health.FAILED).index(state)


def _node(found: Standing, kind: str, host: HostHealth) -> dict[str, Any]:
    parts = [part for each in KINDS[kind] if (part := host.part(each))]
    services = {unit: works for unit, works in host.services.items() if _belongs(unit, kind)}
    failures = [] if services else ["No services."]
    failures += [] if host.seen_by else ["No metrics"]
    failures += [f"Service {unit} not active." for unit, works in services.items() if not works]
    if host.seen_by:
        failures += [f"Metric {part.part} not healthy: {part.why}" for part in parts if part.state != Health.HEALTHY]
    layout_host = found.layout.host(host.name)
    return {
        "status": "Fail" if failures else "OK",
        "private_ip": host.address,
        "public_ip": layout_host.reach_address,
        "version": API_VERSION,
        "failures": failures,
        "services": {unit: _unit(unit, works) for unit, works in services.items()},
        "metrics": [_metric(part) for part in parts] if host.seen_by else [],
    }


def _belongs(unit: str, kind: str) -> bool:
    own = next((each for each, names in UNITS.items() if unit.startswith(names)), "")
    return own == kind or (not own and not unit.startswith(BALANCING))


def _unit(unit: str, works: bool) -> dict[str, Any]:
    state = "active" if works else "inactive"
    instance = {"Id": f"{unit}.service", "Description": unit, "state": state}
    return {
        "status": "Active" if works else "Inactive",
        "extra_info": {
            "systemd": {"display_name": unit, "unit_id": f"{unit}.service", "instances": [instance]},
        },
    }


def _metric(part: PartHealth) -> dict[str, Any]:
    return {
        "last_check": wire_time(timezone.now()),
        "healthy": part.state == Health.HEALTHY,
        "metric_type": str(part.part),
        "metric_name": part.version or str(part.part),
    }


class NodeList(ClusterView):
    """A list of members; `_include`, `_size` and `_offset` as everywhere."""

    def get(self, request: Request) -> Response:
        items = self.items()
        if include := [name for name in request.query_params.get("_include", "").split(",") if name]:
            items = [{name: value for name, value in item.items() if name in include} for item in items]
        page = read_page(request.query_params)
        return envelope(list(page.cut(items)), len(items), page)

    def items(self) -> list[dict[str, Any]]:
        raise NotImplementedError


class Managers(NodeList):
    """GET /managers: the hosts that serve; `last_seen` is now for those that are known to."""

    def items(self) -> list[dict[str, Any]]:
        found = told(standing)
        distribution, release = operating_system()
        now = wire_time(timezone.now())
        items = []
        for number, host in enumerate(found.layout.having(Part.MANAGER), 1):
            seen = found.health.host(host.name)
            part = seen.part(Part.MANAGER) if seen else None
            items.append(
                {
                    "id": number,
                    "hostname": host.name,
                    "private_ip": host.private_address,
                    "public_ip": host.reach_address,
                    "version": API_VERSION,
                    "edition": "community",
                    "distribution": distribution,
                    "distro_release": release,
                    "fs_sync_node_id": "",
                    "networks": networks_of(found.layout, host.name),
                    "node_id": host.name,
                    "ca_cert_content": found.authority,
                    "last_seen": now if part is not None and part.works else None,
                }
            )
        return items


class Brokers(NodeList):
    """GET /brokers: the hosts with RabbitMQ, or the one that others run. Never a user or a password."""

    def items(self) -> list[dict[str, Any]]:
        layout, authority = told(layout_here)
        own = [(host.name, host.private_address) for host in layout.having(Part.QUEUE)]
        port = layout.external_queue.port if layout.external_queue else AMQPS
        return [
            {
                "id": number,
                "name": name,
                "host": address,
                "management_host": address,
                "port": port,
                "username": None,
                "password": None,
                "params": None,
                "ca_cert_content": authority,
                "networks": networks_of(layout, name) or {"default": address},
                "is_external": layout.external_queue is not None,
                "node_id": name,
            }
            for number, (name, address) in enumerate(own or _outside(layout.external_queue), 1)
        ]


class DbNodes(NodeList):
    """GET /db-nodes: the hosts with PostgreSQL, or the one that others run."""

    def items(self) -> list[dict[str, Any]]:
        layout, _ = told(layout_here)
        own = [(host.name, host.private_address) for host in layout.having(Part.DATABASE)]
        return [
            {
                "id": number,
                "name": name,
                "host": address,
                "is_external": layout.external_database is not None,
                "node_id": name,
            }
            for number, (name, address) in enumerate(own or _outside(layout.external_database), 1)
        ]


def _outside(external: External | None) -> list[tuple[str, str]]:
    return [(address, address) for address in external.addresses] if external else []


def networks_of(layout: Layout, name: str) -> dict[str, str]:
    """Network -> address of the host; {} for what is no host of the cluster."""
    return next((host.addresses for host in layout.hosts if host.name == name), {})
