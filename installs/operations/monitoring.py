"""Prometheus and its exporters on a host, checked by promtool before they are told."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from installs.operations.applying import Configure
from installs.rendering import monitoring
from installs.rendering.values import RenderedFile
from installs.wanted import Wanted
from inventory.connectors.ssh import Command, Host
from runs.operations import Context, operation

_EXPORTERS = "prometheus-node-exporter", "prometheus-blackbox-exporter", "prometheus-postgres-exporter"


@operation("monitoring.configure")
@dataclasses.dataclass(frozen=True)
class ConfigureMonitoring(Configure):
    """Have Prometheus at work on one host, with TLS and a user of its own, and the exporters of its parts."""

    service: ClassVar[str] = "monitoring"
    units: ClassVar[tuple[str, ...]] = ("prometheus", "prometheus-node-exporter")

    def files(self, context: Context, wanted: Wanted, host: Host) -> list[RenderedFile]:
        return monitoring.files(wanted.layout, wanted.layout.host(self.host), wanted.passwords)

    def validate(self, wanted: Wanted, host: Host) -> None:
        host.run(Command("promtool", "check", "config", "/etc/prometheus/prometheus.yml"))
        host.run(Command("promtool", "check", "web-config", "/etc/prometheus/web.yml"))

    def tell(self, wanted: Wanted, host: Host, files: Sequence[RenderedFile]) -> None:
        """Prometheus reads whom it asks and its rules without a pause; what counts at the start of a unit has that one begun anew."""
        units = [
            unit
            for unit in monitoring.units_of(wanted.layout, wanted.layout.host(self.host))
            if unit in (*_EXPORTERS, "prometheus")
        ]
        host.run(Command("systemctl", "daemon-reload"))
        host.run(Command("systemctl", "enable", *units))
        host.run(Command("systemctl", "reset-failed", *units), codes=None)
        counting = {unit: monitoring.counting(files, unit) for unit in units}
        if anew := [unit for unit in units if not self.began_with(host, unit, counting[unit])]:
            host.run(Command("systemctl", "restart", *anew))
        if "prometheus" not in anew:
            host.run(Command("systemctl", "reload", "prometheus"))
        for unit in anew:
            self.mark_begun(host, unit, counting[unit])
