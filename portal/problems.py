"""Errors of /api/v1 as problem details (RFC 9457); v3.1 has error bodies of its own in orchestration."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import DataError
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from accounts.audit import plain
from accounts.errors import UNSTORABLE, Conflict
from accounts.revisions import Changed


class Clash(exceptions.APIException):
    """409: what was asked for does not fit what is there."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class Stale(exceptions.APIException):
    """412: somebody changed it since it was read; `changes` says what, `revision` is to be sent with the next attempt."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_code = "changed meanwhile"

    def __init__(self, changed: Changed) -> None:
        super().__init__(str(changed))
        self.body = {"changes": plain(changed.changes), "etag": f'"{changed.revision}"'}


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """A reply {"type", "title", "status", "detail"[, "errors"]} or None for an error that nobody foresaw."""
    if isinstance(error, ValidationError):
        error = exceptions.ValidationError(
            detail=error.message_dict if hasattr(error, "error_dict") else error.messages
        )
    if isinstance(error, Changed):
        error = Stale(error)
    if isinstance(error, Conflict):
        error = Clash(str(error))
    if isinstance(error, DataError):
        error = exceptions.ValidationError(UNSTORABLE)
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied(str(error) or None)
    if isinstance(error, ObjectDoesNotExist):
        error = exceptions.NotFound(
            f"There is no such {type(error).__qualname__.split('.')[0].lower()} here, or it is not yours to see."
        )
    response = exception_handler(error, context)
    if response is None:
        return None
    code = getattr(error, "default_code", "error")
    body: dict[str, Any] = {"type": "about:blank", "title": str(code).replace("_", " "), "status": response.status_code}
    if isinstance(error, exceptions.ValidationError):
        body["title"] = "invalid input"
        body["errors"] = response.data
        body["detail"] = first_message(response.data)
    else:
        body["detail"] = str(getattr(error, "detail", error))
    body |= error.body if isinstance(error, Stale) else {}
    if response.status_code == status.HTTP_401_UNAUTHORIZED:
        body["detail"] += " Send `Authorization: Token ctok-...`, or sign in."
    response.data = body
    response.content_type = "application/problem+json"
    return response


def first_message(errors: Any) -> str:
    """The first sentence found in nested validation errors, with the field before it."""
    if isinstance(errors, dict):
        for field, inner in errors.items():
            message = first_message(inner)
            return message if field == "non_field_errors" else f"{field}: {message}"
    if isinstance(errors, list) and errors:
        return first_message(errors[0])
    return str(errors)
