"""A row of any model, for the tests that walk them all: fields by their type, other rows as needed, exceptions by name."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import Any

from django.db import models
from django.utils import timezone

from accounts.models import ApiToken, Membership, Secret, Tenant, User
from tests import factories


def sample(model: type[models.Model], tenant: Tenant) -> models.Model:
    """A stored row that belongs to the tenant, directly or through other rows."""
    row = build(model, tenant)
    row.save()
    return row


def build(model: type[models.Model], tenant: Tenant) -> models.Model:
    """The same, not stored itself; what it points at is."""
    if model in SPECIAL:
        return SPECIAL[model](tenant)
    values = {}
    for field in model._meta.concrete_fields:
        if isinstance(field, models.AutoField) or field.has_default() or field.null:
            if not (field.is_relation and field.related_model is Tenant):
                continue
        if field.choices and not field.has_default():
            values[field.name] = field.choices[0][0]
        elif field.is_relation:
            values[field.name] = tenant if field.related_model is Tenant else sample(field.related_model, tenant)
        elif not field.blank or field.unique:
            values[field.name] = value_of(field)
    values |= EXTRA.get(model._meta.label, lambda tenant: {})(tenant)
    return model(**values)


def value_of(field: models.Field) -> Any:
    n = factories.number()
    for kind, make in (
        (models.BooleanField, lambda: True),
        (models.FloatField, lambda: float(n)),
        (models.IntegerField, lambda: n),
        (models.UUIDField, uuid.uuid4),
        (models.DateTimeField, timezone.now),
        (models.JSONField, dict),
        (models.BinaryField, lambda: str(n).encode()),
        (models.EmailField, lambda: f"{n}@example.com"),
        (models.GenericIPAddressField, lambda: f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"),
        (
            models.CharField,
            lambda: (
                hashlib.sha256(str(n).encode()).hexdigest()
                if field.max_length == 64
                else f"sample{n}"[: field.max_length]
            ),
        ),
        (models.TextField, lambda: f"sample {n}"),
    ):
        if isinstance(field, kind):
            return make()
    raise AssertionError(
        f"tests/samples.py knows no value for {field!r}: teach it that type, or add the model to SPECIAL or EXTRA."
    )


def a_secret(tenant: Tenant) -> Secret:
    from accounts import vault

    row = Secret(tenant=tenant, name=f"sample{factories.number()}", purpose=Secret.Purpose.BLUEPRINT)
    row.ciphertext, row.key_id = vault.seal(row.pk, "value")
    return row


# Whole rows that cannot be put together field by field.
SPECIAL: dict[type[models.Model], Callable[[Tenant], models.Model]] = {
    Tenant: lambda tenant: Tenant(name=f"sample{factories.number()}"),
    User: lambda tenant: User(username=f"sample{factories.number()}", password="!"),
    Membership: lambda tenant: Membership(tenant=tenant, user=factories.user(), role="user"),
    Secret: a_secret,
    ApiToken: lambda tenant: ApiToken(
        id=uuid.uuid4().hex[:10], user=factories.user(), secret_hash="0" * 64, description="sample"
    ),
}


def _credential(tenant: Tenant) -> dict[str, Any]:
    return {"kind": "token", "token": sample(Secret, tenant)}


# Fields that a sample needs beside those that every row must have.
EXTRA: dict[str, Callable[[Tenant], dict[str, Any]]] = {
    "inventory.Credential": _credential,
    "inventory.Filter": lambda tenant: {
        "rules": [{"type": "label", "key": "env", "operator": "any_of", "values": ["prod"]}]
    },
    "inventory.Deployment": lambda tenant: {"kind": "environment"},
    # Refused by the address policy before anything is sent.
    "inventory.SubManager": lambda tenant: {"endpoint": "127.0.0.1", "port": 20000 + factories.number() % 40000},
}
