"""A cluster as a description that people and files write: from it to a layout and ways to sign in, and back without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inventory.host_access import Access
from inventory.host_names import as_usual
from inventory.layout import Balancing, External, Host, Layout, Part
from inventory.models import Cluster, ClusterNode

ACCESS = {
    "ssh_user": "user",
    "ssh_address": "address",
    **{name: name for name in ("private_key", "password", "sudo_password")},
    **{name: name for name in ("private_key_secret", "password_secret", "sudo_password_secret")},
}
SERVICES = ("external_database", "external_queue")


@dataclass(frozen=True)
class Description:
    """A layout and what stands beside it when it is described."""

    layout: Layout
    access: Access = field(default_factory=Access)  # shared by hosts without their own
    access_by_host: Mapping[str, Access] = field(default_factory=dict)
    host_keys: Mapping[str, str] = field(default_factory=dict)  # host -> public key that is known already
    logins: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)  # service -> user, password there
    site: str = ""
    description: str = ""


def read_description(given: Mapping[str, Any]) -> Description:
    """Of what installs.serializers has checked field by field."""
    shared = given.get("ssh") or {}
    rows = given.get("hosts") or []
    logins = {}
    for service in SERVICES:
        external = given.get(service) or {}
        if external.get("user") or external.get("password"):
            logins[service] = (external.get("user", ""), external.get("password", ""))
    return Description(
        layout=Layout(
            name=given.get("name", ""),
            hosts=tuple(read_host(row) for row in rows),
            balancing=Balancing(given.get("balancing") or Balancing.OURS),
            entrance=as_usual(given.get("entrance") or ""),
            release=given.get("release") or "trixie",
            external_database=read_external(given.get("external_database")),
            external_queue=read_external(given.get("external_queue")),
            failover=given.get("failover") or "fast",
            is_strict=bool(given.get("is_strict")),
            service_settings=dict(given.get("service_settings") or {}),
        ),
        access=read_access(shared) or Access(),
        access_by_host={row["name"]: access for row in rows if (access := read_access(row, shared))},
        host_keys={row["name"]: row["host_key"] for row in rows if row.get("host_key")},
        logins=logins,
        site=given.get("site") or "",
        description=given.get("description") or "",
    )


def read_host(row: Mapping[str, Any], present: Host | None = None) -> Host:
    """One host; what is not named is as in `present`."""
    known = described_host(present) if present else {}
    whole = known | dict(row)
    return Host(
        name=whole.get("name", ""),
        private_address=as_usual(whole.get("private_address") or ""),
        public_address=as_usual(whole.get("public_address") or ""),
        parts=frozenset(Part(part) for part in whole.get("parts") or ()),
        networks={name: as_usual(address) for name, address in (whole.get("networks") or {}).items()},
        ssh_port=whole.get("ssh_port") or 22,
        machine=whole.get("machine") or "",
    )


def read_access(row: Mapping[str, Any], shared: Mapping[str, Any] | None = None) -> Access | None:
    """How to sign in, or None where the row says nothing of it; the user is the shared one where only other things differ."""
    said = {word: row[name] for name, word in ACCESS.items() if row.get(name)}
    if not said:
        return None
    return Access(**{"user": (shared or {}).get("ssh_user") or "root", **said})


def read_external(given: Mapping[str, Any] | None) -> External | None:
    if not given:
        return None
    return External(
        addresses=tuple(as_usual(address) for address in given.get("addresses") or ()),
        port=given.get("port") or 0,
        ca_bundle=given.get("ca_bundle") or "",
        management_port=given.get("management_port") or 0,
        user_suffix=given.get("user_suffix") or "",
    )


def described_host(host: Host) -> dict[str, Any]:
    """A host as it is written; what is usual is left out."""
    told: dict[str, Any] = {"name": host.name, "private_address": host.private_address}
    if host.public_address:
        told["public_address"] = host.public_address
    told["parts"] = [str(part) for part in Part if host.has(part)]
    if host.networks:
        told["networks"] = dict(host.networks)
    if host.machine:
        told["machine"] = host.machine
    if host.ssh_port != 22:
        told["ssh_port"] = host.ssh_port
    return told


def described_node(node: ClusterNode) -> dict[str, Any]:
    """The same of a row, with how it is signed in to: names of secrets, never values."""
    told = described_host(node.host())
    if node.ssh_address:
        told["ssh_address"] = node.ssh_address
    told["ssh_user"] = node.ssh_user
    for part in ("private_key", "password", "sudo_password"):
        if secret := getattr(node, part):
            told[f"{part}_secret"] = secret.name
    if trusted := node.trusted_key():
        told["host_key"] = trusted.public_key
    return told


def described_external(external: External | None) -> dict[str, Any] | None:
    if external is None:
        return None
    told = {"addresses": list(external.addresses), "port": external.port, "ca_bundle": external.ca_bundle}
    extra = {"management_port": external.management_port, "user_suffix": external.user_suffix}
    return told | {name: value for name, value in extra.items() if value}


def described(cluster: Cluster) -> dict[str, Any]:
    """The whole cluster as a description: what `read_description` takes, without a single secret value."""
    layout = cluster.layout()
    told: dict[str, Any] = {"name": cluster.name}
    if cluster.description:
        told["description"] = cluster.description
    if cluster.site:
        told["site"] = cluster.site.name
    told |= {"release": layout.release, "balancing": str(layout.balancing)}
    if layout.entrance:
        told["entrance"] = layout.entrance
    told |= {"failover": layout.failover, "is_strict": layout.is_strict}
    if layout.service_settings:
        told["service_settings"] = dict(layout.service_settings)
    for service in SERVICES:
        if external := described_external(getattr(layout, service)):
            told[service] = external
    nodes = cluster.nodes.select_related("private_key", "password", "sudo_password").prefetch_related("host_keys")
    told["hosts"] = [described_node(node) for node in nodes]
    return told
