"""Workflows of a prepared plan, as data: which there are, whether one may be started now, and its parameters made whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestration.errors import Refused

ACTIVE = "started"
BUILT_IN = "cloudify.plugins.workflows."
NOT_LIVE = ("uninitialized", "deleted")
TYPES: dict[str, tuple[type, ...]] = {"integer": (int,), "float": (float, int), "string": (str,), "boolean": (bool,)}


def activity_of(states: Sequence[str]) -> set[str]:
    """Of all, partial and none, what is true of the instances; of no instances at all both all and none are."""
    active = sum(state == ACTIVE for state in states)
    if not states:
        return {"all", "none"}
    return {"all" if active == len(states) else "partial" if active else "none"}


def rules_of(name: str, workflow: dict[str, Any]) -> dict[str, Any] | None:
    """The rules that a workflow declares; the built-in ones have theirs also where the types file is too old to say so."""
    declared: dict[str, Any] | None = workflow.get("availability_rules")
    is_built_in = str(workflow.get("operation") or "").startswith(BUILT_IN)
    if declared is not None or not is_built_in or name == "execute_operation":
        return declared
    return {"node_instances_active": ["none", "partial"] if name in ("install", "start") else ["all", "partial"]}


def is_available(name: str, workflow: dict[str, Any], states: Sequence[str], node_types: set[str]) -> bool:
    """May it be started, by its own rules, with the instances in these states?"""
    rules = rules_of(name, workflow) or {}
    if rules.get("available") is False:
        return False
    wanted = rules.get("node_instances_active")
    # What is half installed can be uninstalled, where genuine managers want force.
    is_cleaning_up = name == "uninstall" and any(state not in NOT_LIVE for state in states)
    if wanted and not is_cleaning_up and not activity_of(states) & set(wanted):
        return False
    required = rules.get("node_types_required")
    return not required or bool(set(required) & node_types)


def node_types_of(plan: dict[str, Any]) -> set[str]:
    """All types of the plan's nodes, ancestors included; kept in the plan when it is stored without its nodes."""
    return set(plan.get("node_types") or ())


def listed_workflows(plan: dict[str, Any], states: Sequence[str]) -> list[dict[str, Any]]:
    """The workflows as v3.1 lists them."""
    types = node_types_of(plan)
    return [
        {
            "name": name,
            "parameters": workflow.get("parameters") or {},
            "plugin": workflow.get("plugin"),
            "operation": workflow.get("operation"),
            "is_cascading": bool(workflow.get("is_cascading")),
            "is_available": is_available(name, workflow, states, types),
            "availability_rules": rules_of(name, workflow),
        }
        for name, workflow in (plan.get("workflows") or {}).items()
    ]


def merged_parameters(
    name: str, workflow: dict[str, Any], given: dict[str, Any], *, allow_custom: bool
) -> dict[str, Any]:
    """The given parameters with defaults; Refused with `illegal_execution_parameters_error` where they do not fit."""
    declared: dict[str, dict[str, Any]] = workflow.get("parameters") or {}
    custom = sorted(set(given) - set(declared))
    if custom and not allow_custom:
        raise illegal(
            f'Workflow "{name}" does not have the following parameters declared: {",".join(custom)}. '
            "Remove these parameters or use the flag for allowing custom parameters"
        )
    missing = [
        key
        for key, schema in declared.items()
        if key not in given and "default" not in schema and schema.get("required", True)
    ]
    if missing:
        raise illegal(
            f'Workflow "{name}" must be provided with the following parameters to execute: {",".join(missing)}'
        )
    merged = {key: schema["default"] for key, schema in declared.items() if "default" in schema}
    for key, value in given.items():
        merged[key] = as_declared(key, value, declared.get(key, {}).get("type"))
    return merged


def as_declared(name: str, value: Any, wanted: str | None) -> Any:
    """The value in its declared type; text that reads as one is taken, as the command line sends it."""
    kinds = TYPES.get(wanted or "")
    if kinds is None:
        return value
    if isinstance(value, str) and wanted != "string":
        value = read(value, str(wanted))
    if not isinstance(value, kinds) or (isinstance(value, bool) and wanted != "boolean"):
        raise illegal(f'Parameter "{name}" must be of type {wanted}')
    return value


def read(text: str, wanted: str) -> Any:
    """Text as a number or boolean; the text itself where it is none."""
    try:
        if wanted == "boolean":
            return {"true": True, "false": False}.get(text.strip().lower(), text)
        return int(text) if wanted == "integer" else float(text)
    except ValueError:
        return text


def illegal(message: str) -> Refused:
    """400 for parameters."""
    return Refused(400, "illegal_execution_parameters_error", message)
