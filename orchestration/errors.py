"""Refusals of the management service, each with the status and the `error_code` that clients of v3.1 branch on."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError


class Refused(Exception):
    """A request that is not carried out; `extra` are further keys of the reply's body."""

    def __init__(self, status: int, code: str, message: str, *, has_traceback_key: bool = True, **extra: Any) -> None:
        super().__init__(message)
        self.has_traceback_key = has_traceback_key  # genuine managers leave `server_traceback` out here and there
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra


def bad_parameters(message: str) -> Refused:
    """400: the caller must change what it sends."""
    return Refused(400, "bad_parameters_error", message)


def not_found(kind: str, wire_id: str) -> Refused:
    """404, in the words of v3.1: `kind` is the model's name there."""
    return Refused(404, "not_found_error", f"Requested `{kind}` with ID `{wire_id}` was not found")


def exists(kind: str, wire_id: str, tenant: str) -> Refused:
    """409: the id is taken in this tenant, or by something global."""
    return Refused(
        409,
        "conflict_error",
        f"<{kind} id=`{wire_id}` tenant=`{tenant}`> already exists on <Tenant name=`{tenant}`> or with global visibility",
    )


def illegal_action(message: str) -> Refused:
    """400: not possible in the present state."""
    return Refused(400, "illegal_action_error", message)


def dependent_exists(message: str) -> Refused:
    """400: something else needs it."""
    return Refused(400, "dependent_exists_error", message)


def unauthorized(message: str) -> Refused:
    """401, with the prefix that clients look for."""
    return Refused(401, "unauthorized_error", f"User unauthorized: {message}")


def forbidden(message: str) -> Refused:
    """403."""
    return Refused(403, "forbidden_error", message)


def of_validation(error: ValidationError) -> Refused:
    """400 from a service's ValidationError: its sentences, with the field before those that do not name it."""
    if not hasattr(error, "error_dict"):
        return bad_parameters(" ".join(error.messages))
    sentences = []
    for field, messages in error.message_dict.items():
        sentence = " ".join(messages)
        is_plain = field in ("__all__", "labels") or field in sentence.lower()
        sentences.append(sentence if is_plain else f"{field}: {sentence}")
    return bad_parameters(" ".join(sentences))
