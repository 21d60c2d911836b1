"""Bodies of the environments' API as the services take them, and faults of the services under the names of the body."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.core.exceptions import ValidationError


def flattened(given: dict[str, Any]) -> dict[str, Any]:
    """The body as the services take it: what was inside `credential` beside the rest."""
    return {name: value for name, value in given.items() if name != "credential"} | dict(given.get("credential") or {})


CREDENTIAL_FIELDS = frozenset(
    {"token", "token_secret", "username", "username_secret", "password", "password_secret", "mint_token"}
)


@contextmanager
def told_as_given() -> Iterator[None]:
    """Faults of the services under the names of the request's body: `tenant`, and credential parts inside `credential`."""
    try:
        yield
    except ValidationError as error:
        if not hasattr(error, "error_dict"):
            raise
        faults: dict[str, list[str]] = {}
        for field, messages in error.message_dict.items():
            if field in CREDENTIAL_FIELDS:
                faults.setdefault("credential", []).extend(f"{field}: {message}" for message in messages)
            else:
                faults["tenant" if field == "remote_tenant" else field] = messages
        raise ValidationError(cast(Any, faults)) from None
