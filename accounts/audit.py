"""The audit trail: every change that a person or a token asked for, one hash chain a tenant. Only services write to it.

An entry's hash covers all its fields and the hash of the entry before it; AuditChain keeps the head. Hence a changed, removed or
inserted entry, and a cut-off end, show in `verify`. Who can write to the database could compute a whole new chain: note the head
that `verify_audit` prints somewhere else.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import AuditChain, AuditEntry, Tenant

MASK = "********"
_SENSITIVE = re.compile(
    r"passw|passphrase|secret(?!_names$)|token|ciphertext|private_?key|credential|secret_hash|^value$", re.IGNORECASE
)
_LONGEST = 4096  # characters of one field; longer ones are told by digest


@dataclasses.dataclass(frozen=True)
class Fault:
    """One thing wrong with a chain."""

    chain: str
    sequence: int
    problem: str


def record(
    *,
    by: Actor,
    action: str,
    row: models.Model,
    tenant: Tenant | None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditEntry:
    """Write that `by` did `action` ("environment.create") to `row`; tenant None: it belongs to the installation."""
    return record_about(
        by=by,
        action=action,
        object_type=row._meta.label_lower,
        object_id=str(row.pk),
        object_name=str(row),
        chain=tenant.name if tenant else "",
        before=before,
        after=after,
    )


def record_about(
    *,
    by: Actor,
    action: str,
    object_type: str,
    object_id: str = "",
    object_name: str = "",
    chain: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditEntry:
    """The same about something that is no row, or is one no more. Where both are given, only what differs is kept."""
    entry = _entry(by, action, object_type, chain, before, after)
    entry.object_id, entry.object_name = object_id[:256], object_name[:256].replace("\x00", "")
    _append(chain, [entry])
    return entry


def record_rows(
    *, by: Actor, action: str, rows: Sequence[models.Model], tenant: Tenant, after: Sequence[dict[str, Any]]
) -> None:
    """One entry for each of many rows, in a number of queries that does not grow with them; `after` goes with `rows`."""
    entries = []
    for row, told in zip(rows, after, strict=True):
        entry = _entry(by, action, row._meta.label_lower, tenant.name, None, told)
        entry.object_id, entry.object_name = str(row.pk)[:256], str(row)[:256].replace("\x00", "")
        entries.append(entry)
    _append(tenant.name, entries)


def _entry(
    by: Actor,
    action: str,
    object_type: str,
    chain: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> AuditEntry:
    if before is not None and after is not None:
        before, after = difference(before, after)
    return AuditEntry(
        chain=chain,
        at=timezone.now(),
        actor=by.name[:256],
        via=by.via[:32],
        action=action,
        object_type=object_type,
        before=plain(before),
        after=plain(after),
    )


def _append(chain: str, entries: list[AuditEntry]) -> None:
    """Put entries at the end of a chain, in their order."""
    if not entries:
        return
    with transaction.atomic():
        # The row lock orders writers on PostgreSQL; on SQLite the transaction itself is the only writer.
        head, _ = AuditChain.objects.select_for_update().get_or_create(name=chain)
        for entry in entries:
            entry.sequence = head.sequence + 1
            entry.previous_hash = head.hash
            entry.hash = hash_of(entry)
            head.sequence, head.hash = entry.sequence, entry.hash
        if len(entries) == 1:
            entries[0].save(force_insert=True)
        else:
            AuditEntry.objects.bulk_create(entries)
        AuditChain.objects.filter(pk=chain).update(sequence=head.sequence, hash=head.hash)


def snapshot(row: models.Model) -> dict[str, Any]:
    """Field -> value of one row, as it may be shown: secrets masked, long values by digest, other rows by their key."""
    shown: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        value = field.value_from_object(row)
        if isinstance(field, models.BinaryField):
            shown[field.name] = MASK if value else ""
        elif field.is_relation:
            shown[field.name] = plain(value)
        else:
            shown[field.name] = _shortened(masked(field.name, plain(value)))
    return shown


def difference(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both without the entries that are the same in both."""
    names = {name for name in before | after if before.get(name) != after.get(name)}
    return (
        {name: value for name, value in before.items() if name in names},
        {name: value for name, value in after.items() if name in names},
    )


def masked(name: str, value: Any) -> Any:
    """The value, or a mask where its name, or a name inside it, says that it is secret."""
    if isinstance(value, dict):
        return {inner: masked(str(inner), found) for inner, found in value.items()}
    if isinstance(value, list):
        return [masked(name, found) for found in value]
    return MASK if value and isinstance(value, str) and _SENSITIVE.search(name) else value


def verify(chain: str) -> list[Fault]:
    """Everything wrong with one chain; an empty list is a chain in order."""
    faults: list[Fault] = []
    expected, previous = 1, ""
    for entry in AuditEntry.objects.filter(chain=chain).order_by("sequence").iterator(chunk_size=1000):
        if entry.sequence != expected:
            gone = f"{expected}" if entry.sequence == expected + 1 else f"{expected} to {entry.sequence - 1}"
            faults.append(Fault(chain, expected, f"entry {gone} was removed"))
        elif entry.previous_hash != previous:
            faults.append(
                Fault(
                    chain,
                    entry.sequence,
                    "it does not follow the entry before it: one of the two was replaced or inserted",
                )
            )
        if entry.hash != hash_of(entry):
            faults.append(Fault(chain, entry.sequence, "its content was changed"))
        expected, previous = entry.sequence + 1, entry.hash
    head = AuditChain.objects.filter(pk=chain).first()
    if head is None and expected > 1:
        faults.append(Fault(chain, expected - 1, "the head of the chain was removed"))
    elif head is not None and head.sequence >= expected:
        gone = f"{expected}" if head.sequence == expected else f"{expected} to {head.sequence}"
        faults.append(Fault(chain, expected, f"entry {gone} was removed from the end"))
    elif head is not None and (head.sequence, head.hash) != (expected - 1, previous):
        faults.append(
            Fault(chain, expected - 1, "it is not the last one that was written: it was inserted or replaced")
        )
    return faults


def chains() -> list[str]:
    """Names of all chains, those without a head included."""
    named = set(AuditChain.objects.values_list("name", flat=True)) | set(
        AuditEntry.objects.order_by().values_list("chain", flat=True).distinct()
    )
    return sorted(named)


def hash_of(entry: AuditEntry) -> str:
    """SHA-256 of the canonical JSON of all fields but the hash itself."""
    told = {
        "chain": entry.chain,
        "sequence": entry.sequence,
        "at": entry.at.astimezone(datetime.UTC).isoformat(timespec="microseconds"),
        "actor": entry.actor,
        "via": entry.via,
        "action": entry.action,
        "object_type": entry.object_type,
        "object_id": entry.object_id,
        "object_name": entry.object_name,
        "before": entry.before,
        "after": entry.after,
        "previous_hash": entry.previous_hash,
    }
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: Any) -> Any:
    """As JSON that every database gives back as it was put in: no NUL, no NaN, whole numbers without a fraction."""
    return _settled(json.loads(json.dumps(value, cls=DjangoJSONEncoder)))


def _settled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.replace("\x00", ""): _settled(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_settled(inner) for inner in value]
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return str(value)
        return int(value) if value.is_integer() else value
    return value


def _shortened(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict | list) else ""
    if len(text) <= _LONGEST:
        return value
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()} ({len(text)} characters)"
