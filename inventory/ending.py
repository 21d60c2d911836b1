"""What of an environment's connection ends soon, or has ended: its certificate, its token."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from inventory.connectors import ladder, token_expiry
from inventory.models import Environment


def endings(environment: Environment) -> dict[str, str]:
    """{"certificate", "token"}: "" while there is time, "warn" near the end, "bad" after it."""
    token = environment.credential.token_expires_at if environment.credential is not None else None
    return {
        "certificate": _look(environment.sub_manager.certificate_expires_at, ladder.EXPIRY_WARNING),
        "token": _look(token, token_expiry.WARNING),
    }


def _look(ends_at: datetime | None, warning: timedelta) -> str:
    if ends_at is None:
        return ""
    left = ends_at - timezone.now()
    return "bad" if left <= timedelta(0) else "warn" if left < warning else ""
