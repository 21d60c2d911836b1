"""What users, groups, tenants and secrets may be called; the wire shares these rules."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9._~-]{0,255}")


def check_name(name: str, field: str = "name") -> str:
    """The name itself; ValidationError {field: message} where it cannot be one."""
    if not NAME.fullmatch(name):
        raise ValidationError(
            {field: "Use 1 to 256 letters, digits, '-', '.', '_' or '~', and begin with a letter (A-Z, a-z)."}
        )
    return name
