"""One question to a Prometheus: an instant query over TLS with a password, read into plain samples within a few seconds."""

from __future__ import annotations

import http.client
import json
import math
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import urllib3.exceptions

from inventory.connectors.address import Address, Credential, Timeouts, Trust
from inventory.connectors.errors import ManagerError
from inventory.connectors.policy import EndpointPolicy
from inventory.connectors.transport import Transport

QUICK = Timeouts(connect=2.0, read=3.0, max_reply_bytes=8 * 1024 * 1024)  # somebody waits for it


class PrometheusError(Exception):
    """Why there is no answer, in words that go on from "the Prometheus of <host> ..."."""


@dataclass(frozen=True)
class Sample:
    """One value of an instant query; `name` is that of the metric."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)

    def get(self, label: str) -> str:
        return self.labels.get(label, "")


@dataclass(frozen=True)
class Access:
    """How all Prometheus servers of one cluster are asked. Printing one shows no password."""

    authority: str = field(repr=False)  # PEM of the CA that signed their certificates
    user: str
    password: str = field(repr=False)
    policy: EndpointPolicy
    port: int = 8009
    timeouts: Timeouts = QUICK


class _Wire(Transport):
    """The same conversation, with its failures told of a Prometheus."""

    def _lost(self, error: Exception, method: str) -> ManagerError:
        lost = super()._lost(error, method)
        lost.message = words_of(error) or lost.message
        return lost


def ask(host: str, query: str, access: Access) -> list[Sample]:
    """The samples that an instant query gives at one host; PrometheusError in words where it gives none."""
    address = Address(host, access.port, trust=Trust.bundle(access.authority))
    name, value = Credential.by_password(access.user, access.password).header
    wire = _Wire(address, access.policy, access.timeouts)
    headers = {name: value, "Content-Type": "application/x-www-form-urlencoded"}
    limit = f"{access.timeouts.read:.0f}s"
    try:
        reply = wire.request(
            "POST", "/api/v1/query", headers, urlencode({"query": query, "timeout": limit, "limit": 20_000}).encode()
        )
    except ManagerError as error:
        raise PrometheusError(error.message) from None
    finally:
        wire.close()
    if reply.status in (401, 403):
        raise PrometheusError("does not take the password that is stored here: plan changes, so that it is set anew")
    if reply.status == 503:
        raise PrometheusError("is starting, and answers in a moment")
    return read(reply.status, reply.body)


def read(status: int, body: bytes) -> list[Sample]:
    """The samples of a reply; PrometheusError where it is none."""
    try:
        told: Any = json.loads(body)
        if not isinstance(told, dict) or told.get("status") != "success":
            said = told.get("error") if isinstance(told, dict) else None
            raise PrometheusError(f"answers {status}: {str(said or 'nothing that can be read')[:200]}")
        data = told["data"]
        if data["resultType"] != "vector":
            raise TypeError
        return [_sample(each) for each in data["result"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PrometheusError(f"answers {status} with something that is no list of samples") from None


def _sample(told: Any) -> Sample:
    labels = {str(name): str(value) for name, value in told["metric"].items()}
    value = float(told["value"][1])
    return Sample(labels.pop("__name__", ""), value if math.isfinite(value) else math.nan, labels)


def words_of(error: Exception) -> str:
    """What a person needs to know of a conversation that failed."""
    if isinstance(error, ConnectionRefusedError):
        return "refuses connections: it is not running"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"shows a certificate that the cluster's CA does not vouch for ({error.verify_message})"
    if isinstance(error, (ssl.SSLError, urllib3.exceptions.SSLError)):
        return "does not speak TLS as agreed"
    if isinstance(error, (TimeoutError, urllib3.exceptions.ReadTimeoutError)):
        return "does not answer in time"
    if isinstance(error, (ConnectionError, http.client.HTTPException)):
        return "broke the connection off"
    if isinstance(error, OSError):
        return "cannot be reached (no route to it)"
    return ""
