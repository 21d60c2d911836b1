"""One conversation in v3.1 terms: the headers that carry who we are, JSON in and out, refusals and odd shapes as ManagerError."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from inventory.connectors.address import Address, Credential, Timeouts
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.fields import NEEDED, UNKNOWN, LacksFieldError, unknown_in, without, words_of
from inventory.connectors.policy import EndpointPolicy
from inventory.connectors.refusals import refusal, wrong_shape
from inventory.connectors.shapes import WrongShapeError
from inventory.connectors.transport import Body, Reply, Transport

BASE = "/api/v3.1"
T = TypeVar("T")


class Conversation:
    """What every call has in common; a context manager that closes the connection. The calls themselves are in `manager`."""

    def __init__(
        self,
        address: Address,
        credential: Credential | None,
        policy: EndpointPolicy,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.address = address
        self.credential = credential
        self._timeouts = timeouts or Timeouts()
        self._transport = Transport(address, policy, self._timeouts)
        self._headers = {"Tenant": address.tenant}
        if credential is not None:
            name, value = credential.header
            self._headers[name] = value
        self._json_headers = {**self._headers, "Content-Type": "application/json"}
        self._unknown_fields: frozenset[str] = frozenset()  # that this manager said it does not have

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._transport.close()

    @property
    def requests_sent(self) -> int:
        """How many requests this client has sent so far."""
        return self._transport.requests_sent

    def refuse(self, reply: Reply) -> ManagerError:
        """The error that a raw answer amounts to."""
        return refusal(reply, self.address, self.credential, is_write=False)

    def _get(self, path: str, read: Callable[[Any], T]) -> T:
        return self._read(self._request("GET", path, self._json_headers), read)

    def _send(self, method: str, path: str, read: Callable[[Any], T], body: Mapping[str, Any]) -> T:
        return self._read(self._request(method, path, self._json_headers, to_json(body)), read, is_write=True)

    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Body = None,
        seconds: float | None = None,
        *,
        is_write: bool | None = None,
    ) -> Reply:
        asked = without(path, self._unknown_fields)
        try:
            reply = self._transport.request(method, BASE + asked, headers, body, seconds)
        except ManagerError as error:
            error.is_unknown = error.is_unknown and is_write is not False
            raise
        if not 200 <= reply.status < 300:
            writes = method != "GET" if is_write is None else is_write
            refused = refusal(reply, self.address, self.credential, is_write=writes)
            if refused.error_code == UNKNOWN and self._can_do_without(unknown_in(asked, refused.message)):
                return self._request(method, path, headers, body, seconds, is_write=is_write)
            raise refused
        return reply

    def _can_do_without(self, unknown: frozenset[str]) -> bool:
        """Remember what this manager does not have; an error where the portal needs it, False where that is nothing new."""
        if needed := sorted(unknown & NEEDED):
            raise self._lacks(needed[0])
        is_news = bool(unknown - self._unknown_fields)
        self._unknown_fields |= unknown
        return is_news

    def _lacks(self, field: str, *, is_write: bool = False) -> ManagerError:
        return ManagerError(ErrorKind.INPUT, words_of(field, self.address.where), is_unknown=is_write)

    def _read(self, reply: Reply, read: Callable[[Any], T], *, is_write: bool = False) -> T:
        try:
            content = json.loads(reply.body)
        except (ValueError, RecursionError):
            is_page = b"<html" in reply.body[:1000].lower() or b"<!doctype" in reply.body[:1000].lower()
            what = "a web page instead of JSON" if is_page else "no JSON"
            raise wrong_shape(self.address, what, status=reply.status, is_write=is_write) from None
        try:
            if not isinstance(content, dict):
                raise WrongShapeError("no object")
            return read(content)
        except LacksFieldError as error:
            raise self._lacks(str(error), is_write=is_write) from None
        except WrongShapeError as error:
            raise wrong_shape(self.address, str(error), status=reply.status, is_write=is_write) from None


def to_json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
