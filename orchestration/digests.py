"""Digests of large columns, kept by the database: what has the same digest need not be read again."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import MD5, Cast


def digest_of(column: str) -> models.GeneratedField:
    """A column with the digest of another one, as the database has it; it tells contents apart and protects nothing."""
    return models.GeneratedField(
        expression=MD5(Cast(column, models.TextField())),
        output_field=models.CharField(max_length=32),
        db_persist=True,
        null=True,
    )
