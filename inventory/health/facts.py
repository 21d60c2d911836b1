"""From samples to facts: which host each sample is about, whose word counts, and plain look-ups over one host's samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from inventory.connectors.prometheus import Sample
from inventory.health.queries import AGE
from inventory.layout import Host, Layout, Part

STALE_SECONDS = 60.0  # what was gathered longer ago says nothing of now
FEDERATION = "federation"


@dataclass(frozen=True)
class Answers:
    """What came back from the hosts that were asked, by their names: samples, or why there are none."""

    samples: Mapping[str, list[Sample]]
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """The samples about one host. `seen_by`: whose Prometheus gave them, empty where nobody did; `why_not`: then, why."""

    host: Host
    samples: tuple[Sample, ...] = ()
    seen_by: str = ""
    why_not: str = ""

    def one(self, name: str, **labels: str) -> float | None:
        """The value of the metric with these labels; the least where there are several, None where there is none."""
        return min(self.all(name, **labels), default=None)

    def all(self, name: str, **labels: str) -> list[float]:
        return [
            sample.value
            for sample in self.samples
            if sample.name == name and not math.isnan(sample.value) and _has(sample, labels)
        ]

    def label(self, name: str, label: str) -> str:
        """A label of the metric, "" where it is not there."""
        return next((sample.get(label) for sample in self.samples if sample.name == name), "")

    def is_set(self, name: str, **labels: str) -> bool:
        """Is the metric there, and not 0?"""
        return bool(self.one(name, **labels))

    def is_up(self, job: str) -> bool:
        """Did the exporter of that job answer its Prometheus?"""
        return self.is_set("up", job=job)

    @property
    def services(self) -> dict[str, bool]:
        """Unit (without `.service`) -> is it active."""
        return {
            sample.get("name").removesuffix(".service"): bool(sample.value)
            for sample in self.samples
            if sample.name == "node_systemd_unit_state"
        }

    @property
    def age(self) -> float | None:
        """Seconds since the oldest of its exporters was asked."""
        found = [sample.value for sample in self.samples if sample.get("age") == AGE and not math.isnan(sample.value)]
        return max(found, default=None)

    @property
    def disk_used(self) -> float | None:
        """The share of the fullest disk that is used: the one value without a name that has a mount point."""
        used = [each.value for each in self.samples if each.get("mountpoint") and not math.isnan(each.value)]
        return max(used, default=None)


def _has(sample: Sample, labels: Mapping[str, str]) -> bool:
    return all(sample.get(name) == value for name, value in labels.items())


def facts_of(layout: Layout, answers: Answers) -> dict[str, Facts]:
    """Host name -> facts. A host's own word counts before what a manager gathered from it."""
    return {host.name: _of_host(layout, host, answers) for host in layout.hosts}


def _of_host(layout: Layout, host: Host, answers: Answers) -> Facts:
    why = answers.failures.get(host.name, "was not asked")
    for witness in (host.name, *(each.name for each in layout.having(Part.MANAGER) if each.name != host.name)):
        if witness not in answers.samples:
            continue
        told = answers.samples[witness]
        if witness != host.name and not _is_gathered(told, host):
            why = answers.failures.get(host.name, why)
            continue
        found = Facts(
            host, tuple(sample for sample in told if sample.get("hostname") == host.name and _is_fact(sample)), witness
        )
        if found.age is not None and found.age <= STALE_SECONDS:
            return found
        why = f"has gathered nothing for {found.age:.0f} s" if found.age is not None else "has gathered nothing yet"
    return Facts(host, why_not=why)


def _is_fact(sample: Sample) -> bool:
    return sample.name != "ALERTS"


def _is_gathered(told: list[Sample], host: Host) -> bool:
    """Did that manager reach the host's Prometheus at its last try? What it got before is held for a while, and is old."""
    where = f"[{host.private_address}]:" if ":" in host.private_address else f"{host.private_address}:"
    return any(
        sample.name == "up"
        and sample.get("job") == FEDERATION
        and sample.get("instance").startswith(where)
        and sample.value == 1
        for sample in told
    )
