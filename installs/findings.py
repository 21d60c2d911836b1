"""What is wrong with a cluster as it is described, in words; rules of topologies, certificates and hosts all speak in findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError


class Severity(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"  # it would not work, or lose data: nothing is built
    WARNING = "warning"  # it works, with less margin


@dataclass(frozen=True)
class Finding:
    """One thing wrong: where, what, and what to do about it."""

    severity: Severity
    message: str  # what is wrong, and why that matters
    remedy: str  # what to do
    host: str = ""  # name of the host; empty: the cluster as a whole
    field: str = ""  # of the layout or the host: name, parts, private_address, entrance, ...
    rule: str = ""  # short key of the rule that found it, for tests and for counting

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        return f"{self.host}: {self.message} {self.remedy}" if self.host else f"{self.message} {self.remedy}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"severity": str(self.severity)}


def error(rule: str, message: str, remedy: str, *, host: str = "", field: str = "") -> Finding:
    return Finding(Severity.ERROR, message, remedy, host, field, rule)


def warning(rule: str, message: str, remedy: str, *, host: str = "", field: str = "") -> Finding:
    return Finding(Severity.WARNING, message, remedy, host, field, rule)


def in_order(found: Iterable[Finding]) -> list[Finding]:
    """Errors first, else as they were found; the same twice is once."""
    return sorted(dict.fromkeys(found), key=lambda finding: not finding.is_error)


def errors_of(found: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.is_error]


def refuse(found: Iterable[Finding]) -> None:
    """ValidationError with every error among the findings, by field; nothing where there are only warnings."""
    faults: dict[str, list[str]] = {}
    for finding in errors_of(found):
        faults.setdefault(finding.field or "layout", []).append(finding.sentence)
    if faults:
        raise ValidationError(faults)
