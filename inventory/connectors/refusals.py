"""What a manager's refusal means: from an HTTP answer that is no success to a ManagerError with its kind and its words."""

from __future__ import annotations

import json

from inventory.connectors.address import Address, Credential
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.transport import Reply

_BY_CODE = {
    "existing_running_execution_error": ErrorKind.BUSY,
    "global_parallel_running_executions_limit_reached_error": ErrorKind.BUSY,
    "deployment_environment_creation_pending_error": ErrorKind.BUSY,
    "deployment_environment_creation_in_progress_error": ErrorKind.BUSY,
    "forbidden_while_cancelling": ErrorKind.BUSY,
    "dependent_exists_error": ErrorKind.CONFLICT,
    "blueprint_in_use": ErrorKind.CONFLICT,
    "plugin_in_use": ErrorKind.CONFLICT,
    "only_deployment_update": ErrorKind.CONFLICT,
    "illegal_action_error": ErrorKind.CONFLICT,
    "unavailable_workflow_error": ErrorKind.CONFLICT,
    "missing_cloudify_license": ErrorKind.CREDENTIAL,
    "expired_cloudify_license": ErrorKind.CREDENTIAL,
}
"""Codes that say more than their HTTP status does."""

_LONGEST_QUOTE = 400
_INPUT_REMEDY = "Correct what was asked for, then try again."


def refusal(reply: Reply, address: Address, credential: Credential | None, *, is_write: bool) -> ManagerError:
    """The error for an answer whose status is not 2xx."""
    status, where = reply.status, address.where
    said, code = _read(reply, credential)
    is_unknown = is_write and status >= 500 and not (status == 503 and code)

    def error(kind: ErrorKind, text: str) -> ManagerError:
        return ManagerError(kind, text, status, code, is_unknown=is_unknown)

    if status == 401:
        return error(ErrorKind.CREDENTIAL, _explain_401(said, where, credential))
    if status in (502, 504):
        return error(
            ErrorKind.UNREACHABLE,
            f"The web server at {where} answers, but the manager's REST service behind it does not ({status}). "
            "Start that service at the manager, or wait until it is up.",
        )
    if status in (503, 429):
        return error(ErrorKind.BUSY, _explain_busy(code, where, said))
    if not _is_from_manager(reply, code):
        return error(*_explain_stranger(reply, where))
    if code in _BY_CODE:
        return error(_BY_CODE[code], _explain_code(code, where, said))
    if status == 403:
        return error(ErrorKind.CREDENTIAL, _explain_403(said, address))
    if status == 404:
        return error(ErrorKind.GONE, f"{where} does not have it: {said}. Check the name, or create it first.")
    if status == 409:
        return error(ErrorKind.CONFLICT, f"{where} has it already: {said}. Compare what is there before going on.")
    if status >= 500:
        return error(
            ErrorKind.BROKEN, f"{where} failed inside ({status}): {said}. Look at the manager's log, then try again."
        )
    if status in (400, 405, 413, 415):
        return error(ErrorKind.INPUT, f"{where} does not accept this: {said}. {_INPUT_REMEDY}")
    return error(ErrorKind.BROKEN, f"{where} gave an answer that no manager gives ({status}). Check that it is one.")


def wrong_shape(address: Address, what: str, *, status: int | None = None, is_write: bool = False) -> ManagerError:
    """The error for a 2xx answer that cannot be read as what was asked for."""
    return ManagerError(
        ErrorKind.BROKEN,
        f"{address.where} answered, but not as a manager does ({what}). Check that the address is a manager's REST service, "
        "and that no proxy or login page stands before it.",
        status,
        is_unknown=is_write,
    )


def mask(text: str, credential: Credential | None) -> str:
    """The text without any secret of the credential, should the other side have sent one back."""
    for secret in credential.secrets if credential else ():
        if secret in text:
            text = text.replace(secret, "***") if len(secret) >= 4 else "(withheld, for it held the password)"
    return text


def first_line(text: str) -> str:
    """The first line of a remote text, short enough for a message: the rest of it is a traceback."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= _LONGEST_QUOTE else line[: _LONGEST_QUOTE - 1] + "…"


def _read(reply: Reply, credential: Credential | None) -> tuple[str, str]:
    """(what the manager said, its error code); both empty where it said nothing in JSON."""
    try:
        content = json.loads(reply.body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(content, dict):
        return "", ""
    said, code = content.get("message"), content.get("error_code")
    said = said if isinstance(said, str) else ""
    return mask(first_line(said), credential).rstrip("."), code if isinstance(code, str) else ""


def _is_from_manager(reply: Reply, code: str) -> bool:
    return bool(code) or "json" in reply.headers.get("Content-Type", "")


def _explain_stranger(reply: Reply, where: str) -> tuple[ErrorKind, str]:
    status = reply.status
    if 300 <= status < 400:
        return ErrorKind.BROKEN, (
            f"{where} sends us elsewhere ({status}), and redirects are not followed. Enter the final address: often it is "
            "protocol https with its own port."
        )
    text = reply.body[:2000].lower()
    if status == 400 and (b"https port" in text or b"ssl_required" in text):
        return ErrorKind.INPUT, f"{where} expects TLS. Choose protocol https."
    if status == 404:
        return ErrorKind.BROKEN, (
            f"{where} is a web server, but has no manager's REST service (404 for /api/v3.1). Check host and port."
        )
    if status == 413:
        return (
            ErrorKind.INPUT,
            f"{where} does not take uploads of this size. Make the archive smaller, or raise its limit.",
        )
    return ErrorKind.BROKEN, (
        f"{where} answered with a web page instead of JSON ({status}). Check that the address is a manager's REST service, and "
        "that no proxy or login page stands before it."
    )


def _explain_401(said: str, where: str, credential: Credential | None) -> str:
    low = said.lower()
    if credential is None:
        return f"{where} wants a credential. Give this environment a token, or a user and password."
    if credential.is_token:
        if "expired" in low:
            return f"The token for {where} has expired. Make a new one there, and store it in this credential."
        if "structure" in low:
            return f"{where} does not take this text for a token. Copy the whole token again, from ctok- to its end."
        return f"{where} does not know this token (deleted, or mistyped). Make a new one there, and store it in this credential."
    return (
        f"{where} does not accept this user and password, or the account is locked. Check both there before trying again: "
        "the portal does not retry, for repeated failures lock accounts."
    )


def _explain_403(said: str, address: Address) -> str:
    low = said.lower()
    if "invalid tenant name" in low or "tenant not provided" in low:
        return f"{address.where} has no tenant {address.tenant}. Check its spelling, or create the tenant there."
    if "not permitted" in low:
        return (
            f"{address.where} does not let this account do that in tenant {address.tenant}: {said}. Give it the role user or "
            "manager in that tenant."
        )
    return (
        f"{address.where} forbids it: {said or 'no reason given'}. Check the account's role in tenant {address.tenant}."
    )


def _explain_busy(code: str, where: str, said: str) -> str:
    if code in ("maintenance_mode_active", "entering_maintenance_mode"):
        return (
            f"{where} is in maintenance mode. Wait until its administrator ends it; the portal looks again by itself."
        )
    return f"{where} cannot take work at present ({said or 'no reason given'}). Wait a little; the portal looks again by itself."


def _explain_code(code: str, where: str, said: str) -> str:
    if code.endswith("cloudify_license"):
        return f"{where} has no valid licence: {said}. Upload one there."
    if _BY_CODE[code] is ErrorKind.BUSY:
        return f"{where} is busy with this deployment: {said}. Wait until that has ended."
    return f"{where} refuses in its present state: {said}. Look at what is there before going on."
