"""An external RabbitMQ: what of it would keep the management service from working, and the virtual host and user made there."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import urllib3

from installs.externals.logins import USER, Login
from installs.findings import Finding, error, warning
from installs.operations.queue import objects
from inventory.connectors.tls import lenient
from inventory.layout import External

OLDEST = (3, 10)  # the first whose virtual hosts have a default type of queue
SECONDS = 10.0
RULE, FIELD = "externals.queue", "external_queue"
LOSING = (
    "message-ttl",
    "expires",
    "max-length",
    "max-length-bytes",
    "ha-mode",
)  # policies that throw tasks away, or are no more


class Refused(Exception):
    """The broker said no, or nothing; the message says what, without a password."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Management:
    """The management interface of one broker as one user; `port` of loopback leads there."""

    def __init__(self, service: External, address: str, port: int, login: Login) -> None:
        self.address = address
        self.pool = urllib3.HTTPSConnectionPool(
            "127.0.0.1", port, ssl_context=context_for(service), server_hostname=address, assert_hostname=address,
            timeout=SECONDS, retries=False,
        )  # fmt: skip
        self.headers = urllib3.make_headers(basic_auth=f"{login.user}:{login.password}")

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """The content of the reply. Raises Refused."""
        headers = self.headers | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            reply = self.pool.request(
                method, f"/api/{path}", headers=headers, body=json.dumps(body) if body is not None else None
            )
        except urllib3.exceptions.HTTPError as fault:
            raise Refused(f"{type(fault).__name__}: {fault}"[-300:]) from None
        if reply.status >= 400:
            raise Refused(f"{reply.status} {reply.data.decode(errors='replace')[:200]}", reply.status)
        return json.loads(reply.data) if reply.data else None


def context_for(service: External) -> ssl.SSLContext:
    """Trusts the CA that was given, and nobody else."""
    return lenient(ssl.create_default_context(cadata=service.ca_bundle))


def tls_findings(service: External, address: str, port: int) -> Iterator[Finding]:
    """Whether the port of AMQP shows a certificate of that CA for that name."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as plain,
            context_for(service).wrap_socket(plain, server_hostname=address),
        ):
            pass
    except OSError as fault:
        yield error(
            f"{RULE}.tls", f"RabbitMQ at {address}:{service.port} cannot be trusted: {str(fault)[:200]}",
            "Give the CA that signed its certificate, and the name that stands in it as its address; have it listen with TLS there.",
            field=FIELD,
        )  # fmt: skip


def findings(service: External, address: str, port: int, login: Login) -> list[Finding]:
    """Login, version, rights and policies by the management port, each with what to do."""
    management = Management(service, address, port, login)
    try:
        told, tags = management.ask("overview"), _tags(management.ask("whoami"))
        policies = [] if "administrator" not in tags and not login.is_service else _policies(management)
    except Refused as fault:
        what = "does not let the administrator in" if fault.status in (401, 403) else "does not answer as it should"
        remedy = (
            "Check user and password, and that the user has the tag administrator."
            if fault.status in (401, 403)
            else f"Enable its management plugin with TLS on port {service.management_port}, with a certificate of the same CA."
        )
        return [
            error(
                f"{RULE}.management",
                f"The management port of RabbitMQ at {address} {what}: {fault}",
                remedy,
                field=FIELD,
            )
        ]
    return [*_version(told, address), *_rights(tags, address, login), *policies]


def _tags(told: dict[str, Any]) -> list[str]:
    tags = told.get("tags", [])
    return tags.split(",") if isinstance(tags, str) else list(tags)


def _version(told: dict[str, Any], address: str) -> Iterator[Finding]:
    version = str(told.get("rabbitmq_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        yield error(
            f"{RULE}.version", f"{address} is RabbitMQ {version}, and {OLDEST[0]}.{OLDEST[1]} is needed.",
            "Upgrade it: quorum queues have to be the default of a virtual host.", field=FIELD,
        )  # fmt: skip


def _rights(tags: list[str], address: str, login: Login) -> Iterator[Finding]:
    if "administrator" not in tags and not login.is_service:
        yield error(
            f"{RULE}.rights", f"{login.user} at {address} may not make the virtual host and the user {USER}.",
            f"rabbitmqctl set_user_tags {login.user} administrator", field=FIELD,
        )  # fmt: skip


def _policies(management: Management) -> list[Finding]:
    """Policies that are there for the virtual host, where it is: none is needed, some lose tasks."""
    try:
        found = management.ask(f"policies/{USER}")
    except Refused as fault:
        if fault.status in (401, 403, 404):
            return []  # it is not there yet, or not ours to see
        raise
    harmful = [
        f"{each['name']} ({', '.join(sorted(set(each['definition']) & set(LOSING)))})"
        for each in found
        if set(each["definition"]) & set(LOSING)
    ]
    if not harmful:
        return []
    return [
        warning(
            f"{RULE}.policies", f"Policies of the virtual host {USER} at {management.address} throw tasks away: {', '.join(harmful)}.",
            "Remove them: tasks may wait for hours. No policy is needed, for queues are quorum queues by the virtual host's default.",
            field=FIELD,
        )
    ]  # fmt: skip


def is_made(service: External, address: str, port: int, login: Login) -> bool:
    """Whether the service's user gets in and has its virtual host."""
    management = Management(service, address, port, login)
    try:
        management.ask(f"queues/{USER}")  # what a virtual host itself is, administrators alone are told
    except Refused as fault:
        if fault.status in (401, 403, 404):
            return False
        raise
    return True


def make(service: External, address: str, port: int, administrator: Login, password: str) -> None:
    """Virtual host with quorum queues, user by a salted digest, and its rights there."""
    management, wanted = Management(service, address, port, administrator), objects(password)
    (virtual_host,), (user,), (rights,) = wanted["vhosts"], wanted["users"], wanted["permissions"]
    management.ask(f"vhosts/{USER}", "PUT", {"default_queue_type": virtual_host["default_queue_type"]})
    management.ask(f"users/{USER}", "PUT", user | {"tags": ",".join(user["tags"])})
    management.ask(f"permissions/{USER}/{USER}", "PUT", {key: rights[key] for key in ("configure", "write", "read")})
