"""Whom a component talks to: the remote manager of its client block, or, without one, this installation through its own v3.1."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.handlers.wsgi import WSGIRequest
from django.urls import resolve

from accounts.models import Tenant, User
from accounts.roles import may
from inventory.connections import (
    ConnectionFields,
    Target,
    address_for,
    credential_of,
    opened,
    read_target,
)
from inventory.connectors import address as wire
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import EndpointPolicy, policy_from_settings
from inventory.connectors.transport import Body, Reply
from inventory.models import Deployment, Environment, SubManager
from inventory.sub_managers import with_known_trust
from orchestration.models import Execution

TRUST_ALL = "The certificate of {} is not checked, because trust_all is set. Expose that manager with a trust of its own to have it checked."


def connect(execution: Execution, block: Any, said: list[tuple[str, str]]) -> ManagerClient:
    """A client for the block of a node's properties; close it. ManagerError in words where the block cannot be used."""
    if not block:
        return LocalClient(execution)
    if not isinstance(block, Mapping):
        raise ManagerError(ErrorKind.INPUT, "The client of a component has host, tenant, protocol, port and a login.")
    target = with_known_trust(execution.tenant, read_block(block))
    address = address_for(target)
    if not target.trust and is_true(block.get("trust_all")) and address.is_tls:
        said.append(("warning", TRUST_ALL.format(address.where)))
        trust = wire.Trust.insecure("trust_all is set in the blueprint")
        address = wire.Address(address.endpoint, address.port, address.protocol, address.tenant, trust)
    return ManagerClient(address, credential_for(execution, block, target), policy_from_settings())


def read_block(block: Mapping[str, Any]) -> Target:
    """Where the block says that the manager is."""
    host, port = block.get("host"), block.get("port")
    if isinstance(host, list):  # the nodes of a cluster, any of which answers
        host = host[0] if host else ""
    protocol = str(block.get("protocol") or "http").strip().lower()
    if port in (None, ""):
        port = {"https": 443}.get(protocol, 80)
    if isinstance(port, bool) or not str(port).strip().isdecimal():
        raise ManagerError(ErrorKind.INPUT, f"The port of the client is a number, and {port!r} is none. Correct it.")
    fields = ConnectionFields(
        endpoint=str(host or ""),
        protocol=protocol,
        port=int(str(port)),
        remote_tenant=str(block.get("tenant") or Tenant.DEFAULT),
    )
    cert = str(block.get("cert") or "")
    if "BEGIN CERTIFICATE" in cert and protocol == "https":
        fields |= ConnectionFields(trust=SubManager.Trust.CA_BUNDLE, ca_bundle=cert)
    try:
        return read_target(fields)
    except ValidationError as error:
        raise ManagerError(ErrorKind.INPUT, f"The client block: {' '.join(error.messages)}") from None


def credential_for(execution: Execution, block: Mapping[str, Any], target: Target) -> wire.Credential:
    """The login of the block; of a block without one, that of the environment that the deployment stands on, if it is the same manager."""
    parts = {name: block.get(name) for name in ("token", "username", "password")}
    wrong = [name for name, value in parts.items() if value and not isinstance(value, str)]
    if wrong:
        raise ManagerError(
            ErrorKind.CREDENTIAL, f"The {wrong[0]} of the client is no text: check the function that it comes from."
        )
    if parts["token"]:
        return opened(token=parts["token"])
    if bool(parts["username"]) != bool(parts["password"]):
        given, missing = ("username", "password") if parts["username"] else ("password", "username")
        raise ManagerError(
            ErrorKind.CREDENTIAL, f"The client block has a {given} and no {missing}: add it, or use token instead."
        )
    if parts["username"]:
        return opened(username=parts["username"], password=parts["password"])
    environment = parent_environment(execution, target)
    if environment is None:
        raise ManagerError(
            ErrorKind.CREDENTIAL,
            "The client block has no login: give it a token, or username and password. It may be left out where the deployment "
            "stands on an environment of the same manager and tenant (label csys-obj-parent).",
        )
    return credential_of(environment)


def parent_environment(execution: Execution, target: Target) -> Environment | None:
    """The environment below which the deployment stands, if it is this manager's tenant and its user may roll out there."""
    if execution.local is None or execution.created_by is None:
        return None
    parent = Deployment.objects.filter(children=execution.local.deployment_id).first()
    found = Environment.objects.for_connecting().select_related("deployment__tenant").filter(deployment=parent).first()
    if found is None or not may(execution.created_by, "rollout.start", found.deployment.tenant):
        return None
    manager = found.sub_manager
    here = (manager.endpoint, manager.protocol, manager.port, found.remote_tenant)
    return found if here == (target.endpoint, target.protocol, target.port, target.remote_tenant) else None


def is_true(value: Any) -> bool:
    """A flag of a blueprint, which may be text."""
    return value is True or str(value).strip().lower() in ("true", "yes", "1")


class LocalClient(ManagerClient):
    """This installation, through the same views that answer /api/v3.1: the same rules and words hold, in the name of the starter."""

    def __init__(self, execution: Execution) -> None:
        if execution.created_by is None:
            raise ManagerError(ErrorKind.CREDENTIAL, "The user who started the execution is gone. Start it again.")
        super().__init__(wire.Address("localhost", 80, "http", execution.tenant.name), None, EndpointPolicy())
        self._transport = LocalTransport(execution.created_by)  # type: ignore[assignment]


class LocalTransport:
    """In place of a connection: calls the view of an address."""

    requests_sent = 0

    def __init__(self, user: User) -> None:
        self._user = user

    def close(self) -> None:
        """There is nothing to let go of."""

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: Body = None, seconds: float | None = None
    ) -> Reply:
        """One request, answered in this thread."""
        content = body if isinstance(body, bytes) else b"" if body is None else body.read()
        parts = urlsplit(path)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method, "PATH_INFO": parts.path, "QUERY_STRING": parts.query, "SERVER_NAME": "localhost",
            "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(content),
            "CONTENT_LENGTH": str(len(content)), "CONTENT_TYPE": headers.get("Content-Type", "application/json"),
            "REMOTE_ADDR": "127.0.0.1",
        }  # fmt: skip
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        request = WSGIRequest(environ)
        request.user = self._user
        request._force_auth_user = self._user  # type: ignore[attr-defined]  # who is logged in, for REST framework
        found = resolve(parts.path)
        reply = found.func(request, *found.args, **found.kwargs)
        if hasattr(reply, "render"):
            reply.render()
        return Reply(reply.status_code, dict(reply.items()), bytes(reply.content))
