"""How a row looked when somebody began to edit it: what another one changed meanwhile is told, and not overwritten unseen.

A revision is a digest of every field that can be edited. It goes out with the form (a hidden field) or the reply (ETag), and comes
back with the change; where it no longer fits, each field of which that is true is named with the value that it has now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.db import models

from accounts import audit
from accounts.errors import Conflict
from accounts.models import AuditEntry, Tenant

SEEN = "seen"  # the hidden field of a form
_LONGEST = 120  # characters of a value in a sentence


class Changed(Conflict):
    """Somebody else changed it meanwhile. `changes`: field -> the value that it has now; `revision`: that of now."""

    def __init__(self, changes: Mapping[str, Any], last: AuditEntry | None, revision: str) -> None:
        self.changes, self.revision = dict(changes), revision
        by = f" (last by {last.actor}, {last.at:%Y-%m-%d %H:%M:%S} UTC)" if last else ""
        now = "; ".join(f"{field.replace('_', ' ')} is now {shown(value)}" for field, value in changes.items())
        super().__init__(
            f"This was changed after you opened it{by}: {now}. Nothing of yours is saved yet. Compare both, then save again "
            "if yours is to hold."
        )


def revision_of(values: Mapping[str, Any]) -> str:
    """What stands for these values; made of letters, digits, "_", "." and "~", so that it fits a header."""
    return "~".join(f"{field}.{_digest(value)}" for field, value in sorted(values.items()))


def check_seen(seen: str, values: Mapping[str, Any], *rows: models.Model, tenant: Tenant | None) -> None:
    """Changed where `values`, read under a lock, are not those that `seen` was made of; an empty `seen` asks for nothing.

    `rows` are those whose entries in the audit trail tell who it was.
    """
    revision = revision_of(values)
    if not seen or seen == revision:
        return
    known = dict(part.split(".", 1) for part in seen.split("~") if "." in part)
    changes = {field: value for field, value in values.items() if known.get(field) != _digest(value)}
    if changes:
        raise Changed(changes, _last_entry(rows, tenant), revision)


def shown(value: Any) -> str:
    """A value within a sentence."""
    if value in (None, "", [], {}):
        return "empty"
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        # Such as the rules of a filter; in the order of the names, which not every database keeps.
        lines = (", ".join(f"{name} {_in_line(part)}" for name, part in sorted(each.items())) for each in value)
        text = "; ".join(lines)
    else:
        text = _in_line(value)
    return f"“{text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}”"


def _in_line(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(audit.plain(value), ensure_ascii=False)


def seen_by(headers: Mapping[str, str]) -> str:
    """What a request of the API says that it saw (If-Match); "" where it says nothing, or takes whatever is there."""
    tag = headers.get("If-Match", "").strip()
    return "" if tag == "*" else tag.removeprefix("W/").strip('"')  # weak where a reply was compressed on its way


def tag_of(values: Mapping[str, Any]) -> str:
    """The ETag of these values."""
    return f'"{revision_of(values)}"'


def _digest(value: Any) -> str:
    text = json.dumps(audit.plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _last_entry(rows: tuple[models.Model, ...], tenant: Tenant | None) -> AuditEntry | None:
    found = models.Q()
    for row in rows:
        found |= models.Q(object_type=row._meta.label_lower, object_id=str(row.pk))
    entries = AuditEntry.objects.filter(found, chain=tenant.name if tenant else "")
    return entries.order_by("-sequence").first()
