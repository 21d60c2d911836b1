"""Until when a token holds, as its manager tells its owner; what to say of one that ends soon."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from inventory.connectors.errors import ManagerError
from inventory.connectors.manager import ManagerClient

WARNING = timedelta(days=7)
_ID = re.compile(r"ctok-([A-Za-z0-9]+)-")


def expiry_of(client: ManagerClient) -> datetime | None:
    """When our token ends; None for one without an end, for a password, and where the manager does not tell. One request."""
    found = _ID.match(client.credential.token) if client.credential is not None else None
    if found is None:
        return None
    try:
        text = client.token_expiration(found[1])
        moment = datetime.fromisoformat(text) if text else None
    except (ManagerError, ValueError):  # older managers know no tokens one by one; that is no fault of the connection
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def warning_of(expires_at: datetime | None) -> str:
    """What to do about a token that ends soon, or ""."""
    if expires_at is None or (left := expires_at - datetime.now(UTC)) > WARNING:
        return ""
    when = f"in {left.days} day{'' if left.days == 1 else 's'}" if left.days > 0 else "within a day"
    return f"The token expires {when}. Enter a new one by Change before then."
