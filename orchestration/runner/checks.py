"""What the parser accepts and this manager cannot or must not run: foreign plugins, host agents, paths out of the folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

OWN_PLUGINS = ("default_workflows", "script", "agent", "cfy_extensions")
# What components and shared resources are asked for; the portal carries it out itself.
SERVED = frozenset(
    [f"cloudify_types.component.{name}" for name in ("upload_blueprint", "create", "execute_start", "delete", "refresh", "check_status", "check_drift", "preupdate", "update")]
    + [f"cloudify_types.shared_resource.{name}" for name in ("connect_deployment", "disconnect_deployment", "execute_workflow", "refresh", "check_status", "check_drift")]
)  # fmt: skip
OWN_WORKFLOW_CODE = "cloudify.plugins.workflows."
Refuse = Callable[[str, str], Exception]


def check_plan(plan: dict[str, Any], folder: str, refuse: Refuse) -> None:
    """Raise `refuse(kind, message)` for the first thing in the plan that will not be run."""
    _check_plugins(plan, refuse)
    for node in plan["nodes"]:
        _check_agent(node, refuse)
    for place, operation in operations_of(plan):
        _check_script(place, operation, folder, refuse)
    for name, workflow in plan["workflows"].items():
        if not str(workflow["operation"]).startswith(OWN_WORKFLOW_CODE):
            raise refuse(
                "custom_workflow",
                f"Workflow '{name}' runs code of the blueprint ('{workflow['operation']}'): only the built-in workflows run here.",
            )


def operations_of(plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation of nodes and relationships, with a name for it."""
    for node in plan["nodes"]:
        for name, operation in node["operations"].items():
            yield f"operation {name} of node '{node['id']}'", operation
        for relationship in node["relationships"]:
            for side in ("source_operations", "target_operations"):
                for name, operation in relationship[side].items():
                    yield (
                        f"operation {name} of the relationship from '{node['id']}' to '{relationship['target_id']}'",
                        operation,
                    )


def _check_plugins(plan: dict[str, Any], refuse: Refuse) -> None:
    for place, operation in operations_of(plan):
        plugin = str(operation.get("plugin") or "")
        if plugin and operation.get("operation") and plugin.rpartition("--")[2] not in OWN_PLUGINS:
            raise refuse(
                "plugin",
                f"Plugin '{plugin}' is not installed here, and {place} needs it. Only scripts run on this manager.",
            )
        function = str(operation.get("operation") or "")
        if plugin.rpartition("--")[2] == "cfy_extensions" and function and function not in SERVED:
            raise refuse(
                "component", f"'{function}' of {place} is nothing that components and shared resources can do here."
            )
    for key in ("deployment_plugins_to_install", "workflow_plugins_to_install", "host_agent_plugins_to_install"):
        for plugin_row in plan.get(key) or []:
            if plugin_row.get("install") and str(plugin_row["name"]).rpartition("--")[2] not in OWN_PLUGINS:
                raise refuse(
                    "plugin", f"Plugin '{plugin_row['name']}' is not installed here. Only scripts run on this manager."
                )
    for name, workflow in plan["workflows"].items():
        if str(workflow.get("plugin")).rpartition("--")[2] not in OWN_PLUGINS:
            raise refuse(
                "plugin", f"Plugin '{workflow['plugin']}' is not installed here, and workflow '{name}' needs it."
            )


def _check_agent(node: dict[str, Any], refuse: Refuse) -> None:
    if "cloudify.nodes.Compute" not in node["type_hierarchy"]:
        return
    properties = node["properties"]
    methods = [
        (properties.get(key) or {}).get("install_method")
        for key in ("agent_config", "cloudify_agent")
        if isinstance(properties.get(key), dict)
    ]
    for method in methods:
        if method not in (None, "", "none"):
            raise refuse(
                "host_agent",
                f"Node '{node['id']}' asks for a host agent (install_method '{method}'): there are no host agents here. Set agent_config.install_method to none.",
            )
    if properties.get("install_agent") in (True, "true"):
        raise refuse(
            "host_agent",
            f"Node '{node['id']}' asks for a host agent (install_agent): there are no host agents here. Remove install_agent.",
        )


def _check_script(place: str, operation: dict[str, Any], folder: str, refuse: Refuse) -> None:
    inputs = operation.get("inputs") or {}
    path = inputs.get("script_path")
    if not isinstance(path, str) or path.startswith(("http://", "https://")):
        return
    path = path.rpartition("--")[2]
    real = os.path.realpath(os.path.join(folder, path))
    if "://" in path or os.path.isabs(path) or ".." in path.split("/") or os.path.commonpath([real, folder]) != folder:
        raise refuse("path", f"The script '{path}' of {place} is outside the blueprint's folder.")
