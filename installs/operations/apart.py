"""The timer that has etcd led from another host than PostgreSQL, on hosts that could lead both."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from installs.operations.applying import Configure
from installs.rendering import apart
from installs.rendering.values import RenderedFile
from installs.wanted import Wanted
from inventory.connectors.ssh import Command, Host
from runs.operations import Context, operation


@operation("leaders.apart")
@dataclasses.dataclass(frozen=True)
class KeepLeadersApart(Configure):
    """Have the leaders of etcd and PostgreSQL kept on different hosts by the host itself."""

    service: ClassVar[str] = "leaders apart"
    units: ClassVar[tuple[str, ...]] = (f"{apart.UNIT}.timer",)

    def describe(self) -> str:
        return f"Keep etcd from being led from {self.host} while PostgreSQL is"

    def files(self, context: Context, wanted: Wanted, host: Host) -> list[RenderedFile]:
        return apart.files(wanted.layout, wanted.layout.host(self.host), wanted.passwords)

    def tell(self, wanted: Wanted, host: Host, files: Sequence[RenderedFile]) -> None:
        host.run(Command("systemctl", "daemon-reload"))
        host.run(Command("systemctl", "enable", f"{apart.UNIT}.timer"))
        host.run(Command("systemctl", "restart", f"{apart.UNIT}.timer"))
