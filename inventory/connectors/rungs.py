"""What a climb of the connection ladder found: rungs in order, and what follows from them; the climbing is in `ladder`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from inventory.connectors.errors import ErrorKind


class RungState(StrEnum):
    """How a rung ended."""

    PASSED = "passed"
    FAILED = "failed"
    WARNED = "warned"
    NOT_TRIED = "not_tried"


@dataclass(frozen=True)
class Rung:
    """One step of the climb. `detail` says what was found, `remedy` what to do about it (empty where there is nothing to do)."""

    key: str
    title: str
    state: RungState
    detail: str = ""
    milliseconds: int = 0
    remedy: str = ""


TITLES = {
    "name": "Name resolved",
    "tcp": "TCP connection",
    "tls": "TLS",
    "http": "HTTP",
    "version": "Version",
    "credential": "Credential accepted",
    "tenant": "Tenant visible",
    "role": "Role sufficient",
}


@dataclass(frozen=True)
class Climb:
    """A whole climb. `fingerprint` is AB:CD:...; it and the expiry are known even where the certificate was not accepted."""

    rungs: tuple[Rung, ...]
    fingerprint: str = ""
    certificate_expires_at: datetime | None = None
    token_expires_at: datetime | None = None  # none: it has no end, or that is not told
    version: str = ""
    edition: str = ""
    error_kind: ErrorKind | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the portal may work there; warnings do not stand in the way."""
        return self.failed_rung is None

    @property
    def failed_rung(self) -> Rung | None:
        return next((rung for rung in self.rungs if rung.state is RungState.FAILED), None)

    @property
    def warnings(self) -> tuple[Rung, ...]:
        return tuple(rung for rung in self.rungs if rung.state is RungState.WARNED)

    @property
    def milliseconds(self) -> int:
        return sum(rung.milliseconds for rung in self.rungs)


@dataclass
class Finding:
    """What a rung found, before it is timed and titled."""

    detail: str
    remedies: list[str] = field(default_factory=list)
