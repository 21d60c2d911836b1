"""Replacements in cloudify-common: its REST client speaks over our pipe, its task dispatcher hands operations to the portal."""

from __future__ import annotations

import base64
import sys
from typing import Any

import dsl_parser.framework.parser
import dsl_parser.utils
import networkx
from cloudify import manager
from cloudify.exceptions import HttpException
from cloudify.workflows import tasks, workflow_context
from cloudify_rest_client.client import CloudifyClient, HTTPClient
from script_runner import tasks as script_tasks

from .dispatcher import Dispatcher
from .output import CappedConsumer
from .proxy import SecretPathProxy
from .wire import Pipe

ACCEPTED = (200, 201, 204)
_clients: dict[str | None, Any] = {}
_pipe: Pipe | None = None


def use_pipe(pipe: Pipe) -> None:
    """From here on every REST call of this process goes through this pipe."""
    global _pipe
    _pipe = pipe


def pipe() -> Pipe:
    """The pipe of this process."""
    if _pipe is None:
        raise RuntimeError("this process has no pipe")
    return _pipe


class PipeHTTPClient(HTTPClient):
    """The library's HTTP client without HTTP."""

    def do_request(
        self,
        requests_method: Any,
        uri: str,
        data: Any = None,
        params: Any = None,
        headers: Any = None,
        expected_status_code: Any = 200,
        stream: bool = False,
        url_prefix: bool = True,
        versioned_url: bool = True,
        timeout: Any = None,
    ) -> Any:
        """Send the call over the pipe; errors become the library's own exceptions."""
        method = requests_method.__name__.upper()
        if method == "POST" and uri == "/events":
            # No answer is needed: what follows on the pipe is handled after it, and a full pipe slows the sender down.
            pipe().send({"t": "rest", "method": method, "path": uri, "body": data})
            return None
        status, body = pipe().call(method, uri, params, data)
        if status not in ACCEPTED:
            problem = body if isinstance(body, dict) else {}
            self._prepare_and_raise_exception(
                problem.get("message") or f"status {status}", problem.get("error_code"), status, None
            )
        return None if status == 204 else body


class PipeClient(CloudifyClient):
    """A REST client whose transport is the pipe."""

    client_class = PipeHTTPClient


def get_rest_client(tenant: str | None = None, api_token: str | None = None) -> Any:
    """One client a tenant: it builds some 45 objects."""
    if tenant not in _clients:
        _clients[tenant] = PipeClient(host="portal", tenant=tenant or "default_tenant")
    return _clients[tenant]


def get_resource(blueprint_id: Any, deployment_id: Any, tenant_name: Any, resource_path: str) -> bytes:
    """A file of the blueprint, as the portal serves it."""
    status, body = pipe().call("GET", "/resource", {"path": str(resource_path)})
    if status != 200:
        raise HttpException(str(resource_path), status, f"Resource not found: {resource_path}")
    return base64.b64decode(body["content"])


def get_resource_from_manager(resource_path: str, base_url: Any = None, base_urls: Any = None) -> bytes:
    """As get_resource; there is no other file server."""
    return get_resource(None, None, None, resource_path)


def get_resource_directory_index(
    blueprint_id: Any, deployment_id: Any, tenant_name: Any, resource_path: str
) -> list[str]:
    """The files below a folder of the blueprint, relative to it."""
    status, body = pipe().call("GET", "/resource", {"path": str(resource_path), "list": True})
    if status != 200:
        raise HttpException(str(resource_path), status, f"No such folder: {resource_path}")
    return [str(name) for name in body["files"]]


def _prepare_dispatcher(handler: Any) -> None:
    handler._dispatcher = Dispatcher(handler.workflow_ctx, pipe())


def _get_queue_kwargs(task: Any) -> tuple[str, str, None, None]:
    """All operations run in the runner, whatever executor the blueprint names."""
    return tasks.MGMTWORKER_QUEUE, tasks.MGMTWORKER_QUEUE, None, None


def one_cycle(graph: Any) -> list[list[Any]]:
    """The library lists every cycle of the graph of all elements (26 s for two nodes); one is enough for its message."""
    try:
        return [[edge[0] for edge in networkx.find_cycle(graph)]]
    except networkx.NetworkXNoCycle:
        return []


def _replace_everywhere(old: Any, new: Any) -> None:
    """Modules bind names at import: replace an object in all of them."""
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is old:
                setattr(module, name, new)


def apply() -> None:
    """Do all replacements."""
    for name, new in (
        ("get_rest_client", get_rest_client),
        ("get_resource", get_resource),
        ("get_resource_from_manager", get_resource_from_manager),
        ("get_resource_directory_index", get_resource_directory_index),
    ):
        _replace_everywhere(getattr(manager, name), new)
    workflow_context.RemoteContextHandler._prepare_dispatcher = _prepare_dispatcher
    tasks.RemoteWorkflowTask._get_queue_kwargs = _get_queue_kwargs
    script_tasks.HTTPCtxProxy = SecretPathProxy
    script_tasks.OutputConsumer = CappedConsumer
    script_tasks.POLL_LOOP_INTERVAL = 0.02
    dsl_parser.framework.parser.recursive_simple_cycles = one_cycle
