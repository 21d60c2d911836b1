"""The checks as data: number, what each looks at, and the function that finds; `examine` does them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from installs.findings import Finding, in_order
from installs.preflight import access_checks, host_checks, network_checks, software_checks
from installs.preflight.survey import Survey
from installs.topology import findings as findings_of_layout


@dataclass(frozen=True)
class Check:
    """One thing that is looked at. `rule` stands in each of its findings."""

    number: int
    rule: str
    title: str
    find: Callable[[Survey], Iterable[Finding]]
    needs_hosts: bool = True  # without a host that could be asked it says nothing


CHECKS = (
    Check(1, "layout", "The layout works", lambda survey: findings_of_layout(survey.layout), needs_hosts=False),
    Check(2, "ssh", "Every host answers SSH and lets us in", access_checks.logins, needs_hosts=False),
    Check(3, "host_key", "Every host shows the key that is trusted", access_checks.host_keys, needs_hosts=False),
    Check(4, "sudo", "The user may become root", access_checks.sudo, needs_hosts=False),
    Check(5, "system", "Every host runs the wanted Debian with systemd and python3", host_checks.systems),
    Check(6, "size", "Processors, memory and disk suffice", host_checks.sizes),
    Check(7, "disk", "File systems can be written to and have room", host_checks.disks),
    Check(8, "clock", "Clocks of hosts and portal agree", host_checks.clocks),
    Check(9, "machine", "No host is entered twice or cloned", host_checks.machines),
    Check(10, "names", "Names lead to the right host, and back", network_checks.names),
    Check(11, "addresses", "Every host has the addresses that are given for it", network_checks.addresses),
    Check(12, "ports", "The ports of each host are free", network_checks.ports),
    Check(13, "reachability", "Hosts reach each other on every port that they need", network_checks.reachability),
    Check(14, "packages", "Packages come from a bundle or a package source", software_checks.packages),
    Check(15, "leftovers", "Nothing is left of another installation", software_checks.leftovers),
    Check(16, "apt", "apt and dpkg are free and whole", software_checks.package_tools),
    Check(17, "surroundings", "Locale, swap and automatic upgrades do no harm", software_checks.surroundings),
    Check(18, "externals", "External services can be trusted and used", lambda survey: survey.externals),
    Check(19, "entrance", "Your own balancer has the right ports open", network_checks.entrance),
)  # fmt: skip


def examine(survey: Survey) -> list[Finding]:
    """Every finding of every check, errors first."""
    return in_order(finding for check in CHECKS for finding in check.find(survey))


def report(survey: Survey, found: list[Finding]) -> dict[str, Any]:
    """All of it as plain values: each check with its outcome, each finding, each host as it is."""
    return {
        "checks": [
            {
                "number": check.number,
                "rule": check.rule,
                "title": check.title,
                "outcome": _outcome(check, survey, found),
            }
            for check in CHECKS
        ],
        "findings": [finding.as_json() for finding in found],
        "hosts": {seen.wanted.name: _summary(seen.facts) for seen in survey.hosts},
        "ways": len(survey.ways),
    }


def _outcome(check: Check, survey: Survey, found: list[Finding]) -> str:
    """failed, warned, passed; skipped where no host could be asked, partly where not all could."""
    own = [
        finding
        for finding in found
        if finding.rule.split(".")[0] == check.rule
        or (check.rule == "layout" and finding.rule.split(".")[0] not in {other.rule for other in CHECKS})
    ]
    if own:
        return "failed" if any(finding.is_error for finding in own) else "warned"
    if not check.needs_hosts or len(survey.asked) == len(survey.hosts):
        return "passed"
    return "partly" if survey.asked else "skipped"


def _summary(facts: Any) -> dict[str, Any] | None:
    if facts is None:
        return None
    return {
        "system": f"{facts.os_id} {facts.os_version}", "architecture": facts.architecture, "cpus": facts.cpus,
        "memory": facts.memory, "disk_free": facts.disk_free, "python": facts.python_version,
        "clock_offset": round(facts.clock_offset, 3),
    }  # fmt: skip
