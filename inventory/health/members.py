"""The file that tells a management service which cluster it belongs to: written by the installer, read by the service. No secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inventory.connectors.policy import EndpointPolicy
from inventory.connectors.prometheus import QUICK, Access
from inventory.layout import Balancing, External, Host, Layout, Part


class MembersError(Exception):
    """The file cannot be used; says why and what to do."""


@dataclass(frozen=True)
class Monitoring:
    """How Prometheus is asked on all hosts: its port and user, and the files with password and CA."""

    port: int
    user: str
    password_file: str
    ca_file: str


@dataclass(frozen=True)
class Members:
    """The cluster that this service is part of."""

    layout: Layout
    monitoring: Monitoring

    def access(self) -> Access:
        """With the password opened; MembersError where the service may not read it."""
        try:
            password = Path(self.monitoring.password_file).read_text().strip()
            authority = Path(self.monitoring.ca_file).read_text()
        except OSError as error:
            raise MembersError(
                f"{error.filename} cannot be read ({error.strerror}). Plan changes of the cluster again: it puts the file there."
            ) from None
        # Whoever wrote the file named these hosts: nothing else is asked.
        policy = EndpointPolicy.of(host.private_address for host in self.layout.hosts)
        return Access(authority, self.monitoring.user, password, policy, self.monitoring.port, QUICK)


def to_text(layout: Layout, monitoring: Monitoring) -> str:
    """The content of the file."""
    told = {
        "name": layout.name,
        "entrance": layout.entrance,
        "balancing": str(layout.balancing),
        "hosts": [
            {
                "name": host.name,
                "private_address": host.private_address,
                "public_address": host.public_address,
                "parts": sorted(host.parts),
                "networks": dict(host.networks),
            }
            for host in layout.hosts
        ],
        "external_database": _external(layout.external_database),
        "external_queue": _external(layout.external_queue),
        "monitoring": {
            "port": monitoring.port,
            "user": monitoring.user,
            "password_file": monitoring.password_file,
            "ca_file": monitoring.ca_file,
        },
    }
    return json.dumps(told, indent=1) + "\n"


def _external(external: External | None) -> dict[str, Any] | None:
    return {"addresses": list(external.addresses), "port": external.port} if external else None


def read(path: str) -> Members:
    """MembersError where the file is not there or not as an installer writes it."""
    try:
        told = json.loads(Path(path).read_text())
        hosts = tuple(
            Host(
                name=each["name"],
                private_address=each["private_address"],
                public_address=each["public_address"],
                parts=frozenset(Part(part) for part in each["parts"]),
                networks=dict(each["networks"]),
            )
            for each in told["hosts"]
        )
        layout = Layout(
            name=told["name"],
            hosts=hosts,
            balancing=Balancing(told["balancing"]),
            entrance=told["entrance"],
            external_database=_read_external(told["external_database"]),
            external_queue=_read_external(told["external_queue"]),
        )
        return Members(layout, Monitoring(**told["monitoring"]))
    except OSError as error:
        raise MembersError(f"CLUSTER_FILE {path} cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MembersError(f"CLUSTER_FILE {path} is not as the installer writes it ({error}).") from None


def _read_external(told: Mapping[str, Any] | None) -> External | None:
    return External(tuple(told["addresses"]), told["port"]) if told else None
