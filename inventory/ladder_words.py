"""What a climb of the connection ladder means for an environment: its state, and why in one line."""

from __future__ import annotations

from datetime import UTC, datetime

from inventory.connectors.errors import ErrorKind
from inventory.connectors.ladder import EXPIRY_WARNING
from inventory.connectors.rungs import Climb, Rung
from inventory.models import Environment, SubManager

State = Environment.State


def judge(found: Climb, manager: SubManager) -> tuple[str, str]:
    """(state, why). Whatever stands in the way of work is *unreachable* and says what; *maintenance* is what its administrator chose.

    *Degraded* is what works today with less margin: a certificate near its end, an untried version, a role that nobody can
    vouch for, clocks apart. Plain http and an unverified certificate are the operator's own decision and shown as badges: ready.
    """
    failed = found.failed_rung
    if failed is not None:
        is_maintenance = found.error_kind is ErrorKind.BUSY and "maintenance" in failed.detail.lower()
        return (State.MAINTENANCE if is_maintenance else State.UNREACHABLE), _sentence(failed)
    concerns = [rung for rung in found.warnings if _is_concern(rung, found, manager)]
    if concerns:
        return State.DEGRADED, " ".join(_sentence(rung) for rung in concerns)
    return State.READY, ""


def _is_concern(rung: Rung, found: Climb, manager: SubManager) -> bool:
    if rung.key == "tls" and manager.trust == SubManager.Trust.INSECURE:
        expires_at = found.certificate_expires_at
        return expires_at is not None and expires_at - datetime.now(UTC) < EXPIRY_WARNING
    if rung.key == "http" and manager.protocol == SubManager.Protocol.HTTP:
        return "clock" in rung.detail
    return True


def _sentence(rung: Rung) -> str:
    return f"{rung.title}: {rung.detail} {rung.remedy}".strip()
