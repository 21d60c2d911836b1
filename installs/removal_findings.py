"""What keeps a host from being removed: what the cluster would be without it, in words that say what to do first."""

from __future__ import annotations

from dataclasses import replace

from installs.asked import Asked
from installs.findings import Finding, Severity, warning
from installs.topology import findings as topology_findings
from inventory.models import Cluster

# Of a host that is gone already these say how things are, not what its removal would make worse.
FACTS_OF_A_LOSS = frozenset({"even-etcd", "even-queue"})


def removal_findings(cluster: Cluster, asked: Asked) -> list[Finding]:
    """What is wrong with the layout without the host and is not with it; of a lost one, what its loss has brought about is a warning."""
    before = {(finding.rule, finding.host) for finding in topology_findings(cluster.layout_at_work())}
    rest = asked.rest(cluster)
    found = []
    for finding in topology_findings(rest):
        if (finding.rule, finding.host) in before:
            continue
        said = replace(finding, message=f"Without {asked.host}: {finding.message}", field="parts")
        if finding.is_error and asked.is_lost and finding.rule in FACTS_OF_A_LOSS:
            said = replace(said, severity=Severity.WARNING, remedy="Add a host in its place as soon as this is done.")
        elif finding.is_error:
            said = replace(said, remedy=f"Add a host that takes its place first, then remove {asked.host}.")
        found.append(said)
    if asked.is_lost:
        found.append(
            warning(
                "lost-host",
                f"Nothing is asked of {asked.host}, and nothing is cleaned there.",
                "Keep it switched off, or wipe it: it must not come back with what it has.",
                host=asked.host,
            )
        )
    return found
