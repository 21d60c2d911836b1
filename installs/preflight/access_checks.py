"""Preflight: can we get in, and is it the host that is meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from installs.findings import Finding, error
from installs.preflight.survey import Seen, Survey
from inventory.connectors.ssh import HostErrorKind


def logins(survey: Survey) -> Iterator[Finding]:
    kinds = set(HostErrorKind) - {HostErrorKind.HOST_KEY, HostErrorKind.SUDO}
    return _told(survey, "ssh", kinds, "Put that right, then check again.")


def host_keys(survey: Survey) -> Iterator[Finding]:
    return _told(survey, "host_key", {HostErrorKind.HOST_KEY}, "It is shown on the page of the cluster.")


def sudo(survey: Survey) -> Iterator[Finding]:
    return _told(survey, "sudo", {HostErrorKind.SUDO}, "Then check again.")


def _told(survey: Survey, rule: str, kinds: Iterable[HostErrorKind], remedy: str) -> Iterator[Finding]:
    """The connector's own words say what to do already."""
    for seen in survey.hosts:
        if seen.error is not None and seen.error.kind in kinds:
            yield error(
                f"{rule}.{seen.error.kind}" if rule == "ssh" else rule, _words(seen), remedy, host=seen.wanted.name
            )


def _words(seen: Seen) -> str:
    assert seen.error is not None
    return seen.error.message
