"""Import the whole of cloudify-common once, with the stubs that it needs, and replace its way out to a manager by our pipe."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any


def install_stubs() -> None:
    """`pkg_resources` is only asked for entry points (and costs 90 ms); `cgi` is gone since Python 3.13."""
    stub = types.ModuleType("pkg_resources")
    stub.iter_entry_points = _no_entry_points  # type: ignore[attr-defined]
    sys.modules["pkg_resources"] = stub
    if sys.version_info >= (3, 13):
        cgi = types.ModuleType("cgi")
        cgi.parse_header = _parse_header  # type: ignore[attr-defined]
        sys.modules["cgi"] = cgi


def _no_entry_points(group: str, name: str | None = None) -> Iterator[Any]:
    return iter(())


def _parse_header(line: str) -> tuple[str, dict[str, str]]:
    from email.message import Message

    message = Message()
    message["content-type"] = line
    parameters = message.get_params() or [("", "")]
    return parameters[0][0], {str(key): str(value) for key, value in parameters[1:]}


# (module, names): what we call or replace. A test and the start of the runner check that they exist.
PATCH_POINTS: dict[str, tuple[str, ...]] = {
    "cloudify.manager": (
        "get_rest_client",
        "get_resource",
        "get_resource_from_manager",
        "get_resource_directory_index",
    ),
    "cloudify.workflows.workflow_context": ("RemoteContextHandler", "CloudifyWorkflowContext"),
    "cloudify.workflows.tasks": ("RemoteWorkflowTask", "WorkflowTask"),
    "cloudify.workflows.workflow_api": ("set_cancel_request", "has_cancel_request"),
    "cloudify.dispatch": ("WorkflowHandler", "OperationHandler", "_WrappedTaskError"),
    "cloudify.error_handling": ("serialize_known_exception", "deserialize_known_exception"),
    "cloudify.state": ("current_workflow_ctx", "current_ctx"),
    "cloudify.proxy.server": ("CtxProxy", "process_ctx_request"),
    "script_runner.tasks": ("HTTPCtxProxy", "POLL_LOOP_INTERVAL", "OutputConsumer", "run"),
    "cloudify_rest_client.client": ("HTTPClient", "CloudifyClient"),
    "dsl_parser.framework.parser": ("recursive_simple_cycles",),
    "dsl_parser.tasks": ("parse_dsl", "prepare_deployment_plan"),
    "dsl_parser.utils": ("url_exists",),
    "dsl_parser.functions": (
        "evaluate_functions",
        "evaluate_node_functions",
        "evaluate_capabilities",
        "evaluate_outputs",
    ),
    "dsl_parser.import_resolver.abstract_import_resolver": ("AbstractImportResolver",),
}
METHODS: dict[tuple[str, str], tuple[str, ...]] = {
    ("cloudify.workflows.workflow_context", "RemoteContextHandler"): ("_prepare_dispatcher",),
    ("cloudify.workflows.tasks", "RemoteWorkflowTask"): ("_get_queue_kwargs",),
    ("cloudify_rest_client.client", "HTTPClient"): ("do_request", "_prepare_and_raise_exception"),
    ("dsl_parser.import_resolver.abstract_import_resolver", "AbstractImportResolver"): (
        "fetch_import",
        "retrieve_plugin",
    ),
}
# Imported so that the fork has them warm; what the plans of our types file name as operations is here too.
WARM = (
    "cloudify.plugins.workflows",
    "cloudify.plugins.lifecycle",
    "cloudify.workflows.tasks_graph",
    "cloudify.endpoint",
    "encodings.idna",
    "xml.etree.ElementTree",
    "http.client",
    "pdb",
    "difflib",
)


def missing_patch_points() -> list[str]:
    """The names of the library that this runner depends on and that are not there."""
    import importlib

    missing = []
    for module, names in PATCH_POINTS.items():
        loaded = importlib.import_module(module)
        missing += [f"{module}.{name}" for name in names if not hasattr(loaded, name)]
    for (module, owner), methods in METHODS.items():
        klass = getattr(importlib.import_module(module), owner, None)
        missing += [f"{module}.{owner}.{name}" for name in methods if not hasattr(klass, name)]
    return missing


def load() -> None:
    """Import everything and apply all replacements; RuntimeError if the library is not the one we know."""
    import importlib

    install_stubs()
    missing = missing_patch_points()
    if missing:
        raise RuntimeError(
            f"cloudify-common is not the version that this runner was written for; missing: {', '.join(missing)}"
        )
    for module in WARM:
        importlib.import_module(module)
    from . import patches

    patches.apply()
