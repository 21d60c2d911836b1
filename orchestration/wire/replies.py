"""How errors leave v3.1: {"error_code", "message", "server_traceback": null}, never a traceback, never HTML."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, RequestDataTooBig, ValidationError
from django.db import DataError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from accounts.errors import UNSTORABLE, Conflict
from inventory.filters import InvalidRule
from orchestration.errors import Refused, bad_parameters, of_validation

logger = logging.getLogger(__name__)


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """The reply to any exception of a view; None for one that nobody foresaw, which Django then logs and answers with 500."""
    refused = as_refusal(error)
    if refused is None:
        return None
    body = {"error_code": refused.code, "message": refused.message, **refused.extra}
    if refused.has_traceback_key:
        body["server_traceback"] = None
    response = Response(body, status=refused.status)
    if refused.status == 401:
        response["WWW-Authenticate"] = 'Basic realm="DeployOn"'
    return response


def as_refusal(error: Exception) -> Refused | None:
    """What an exception means to a client of v3.1."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, InvalidRule):
        return invalid_rule(error.rule, error.reason)
    if isinstance(error, Conflict):
        return Refused(409, "conflict_error", str(error))
    if isinstance(error, ValidationError):
        return of_validation(error)
    if isinstance(error, DataError):
        return bad_parameters(UNSTORABLE)
    if isinstance(error, ObjectDoesNotExist | Http404):
        return Refused(404, "not_found_error", str(error) or "The requested resource was not found")
    if isinstance(error, PermissionDenied):
        return Refused(403, "forbidden_error", str(error) or "You are not permitted to do this")
    if isinstance(error, RequestDataTooBig):
        return Refused(413, "bad_parameters_error", "The request is too large; see ARCHIVE_MAX_BYTES for blueprints.")
    return as_framework_refusal(error)


def as_framework_refusal(error: Exception) -> Refused | None:
    """The same for what the framework itself raises."""
    if isinstance(error, exceptions.ParseError):
        return bad_parameters(f"The body is not JSON: {error.detail}")
    if isinstance(error, exceptions.UnsupportedMediaType):
        return Refused(415, "unsupported_content_type_error", "Content type must be application/json")
    if isinstance(error, exceptions.MethodNotAllowed):
        return Refused(405, "method_not_allowed_error", "The method is not allowed for the requested URL.")
    if isinstance(error, exceptions.APIException):
        return Refused(error.status_code, "bad_parameters_error", str(error.detail))
    return None


def invalid_rule(rule: Any, reason: str) -> Refused:
    """400 for a filter rule, in the words of v3.1."""
    shown = rule
    if isinstance(rule, dict):  # the reply's message has the keys in the order in which they were sent
        shown = {str(key): value for key, value in rule.items()}
    return Refused(
        400,
        "invalid_filter_rule",
        f"The filter rule {shown} is not in the right format. {reason}",
        err_filter_rule=rule,
        err_reason=reason,
    )
