"""All rules of a layout, asked at once."""

from __future__ import annotations

from installs.findings import Finding, errors_of, in_order
from installs.topology import entrance, externals, naming, votes
from inventory.layout import Layout

RULES = (naming.findings, votes.findings, entrance.findings, externals.findings)


def findings(layout: Layout) -> list[Finding]:
    """Everything wrong with the layout, errors first; empty: it can be built and survives what it claims to survive."""
    return in_order(finding for rule in RULES for finding in rule(layout))


def may_be_built(layout: Layout) -> bool:
    """No errors; warnings may remain."""
    return not errors_of(findings(layout))
