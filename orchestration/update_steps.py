"""What differs between a deployment and a new plan, as the steps that v3.1 shows; pure functions over plans and node bodies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestration.errors import Refused

Row = dict[str, Any]
CONTAINED_IN = "cloudify.relationships.contained_in"
# Part of the plan -> what v3.1 calls an entity of it.
PARTS = {"workflows": "workflow", "outputs": "output", "capabilities": "capability", "groups": "group"}
# What of a node makes its instances anew when it changes.
OF_RELATIONSHIPS = ("properties", "source_interfaces", "target_interfaces", "source_operations", "target_operations")


def steps_between(
    old_nodes: Mapping[str, Row], new_nodes: Mapping[str, Row], old_plan: Row, new_plan: Row
) -> list[Row]:
    """All steps: nodes and what is in them, then the parts of the plan. Refused for a change that an update cannot make."""
    steps: list[Row] = []
    for name in [*old_nodes, *(name for name in new_nodes if name not in old_nodes)]:
        if name not in new_nodes:
            steps.append(step("remove", "node", "nodes", name))
        elif name not in old_nodes:
            steps.append(step("add", "node", "nodes", name))
        else:
            check_can_change(name, old_nodes[name], new_nodes[name])
            steps += node_steps(name, old_nodes[name], new_nodes[name])
    for part, kind in PARTS.items():
        steps += changes(kind, old_plan.get(part) or {}, new_plan.get(part) or {}, part)
    if (old_plan.get("description") or "") != (new_plan.get("description") or ""):
        steps.append(step("modify", "description", "description"))
    return steps


def step(action: str, kind: str, *path: str) -> Row:
    """One step."""
    return {"action": action, "entity_type": kind, "entity_id": list(path), "topology_order": 0}


def changes(kind: str, old: Mapping[str, Any], new: Mapping[str, Any], *path: str) -> list[Row]:
    """Entries added, removed and changed."""
    found = []
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in new:
            found.append(step("remove", kind, *path, name))
        elif name not in old:
            found.append(step("add", kind, *path, name))
        elif old[name] != new[name]:
            found.append(step("modify", kind, *path, name))
    return found


def node_steps(name: str, old: Row, new: Row) -> list[Row]:
    """What changes within a node that stays."""
    found = changes("property", old.get("properties") or {}, new.get("properties") or {}, "nodes", name, "properties")
    found += changes("operation", operations_of(old), operations_of(new), "nodes", name, "operations")
    before, after = by_target(old), by_target(new)
    for key in [*before, *(key for key in after if key not in before)]:
        path = ("nodes", name, "relationships", ":".join(key))
        if key not in after:
            found.append(step("remove", "relationship", *path))
        elif key not in before:
            found.append(step("add", "relationship", *path))
        elif any(before[key].get(part) != after[key].get(part) for part in OF_RELATIONSHIPS):
            found.append(step("modify", "relationship", *path))
    return found


def operations_of(node: Row) -> Row:
    """Operations by their full names: the short ones are the same again."""
    return {name: one for name, one in (node.get("operations") or {}).items() if "." in name}


def by_target(node: Row) -> dict[tuple[str, str], Row]:
    """Relationships by type and target."""
    return {(one["type"], one["target_id"]): one for one in node.get("relationships") or []}


def check_can_change(name: str, old: Row, new: Row) -> None:
    """400 for a node that would have to become another one."""
    what = "type" if old["type"] != new["type"] else "host" if host_of(old) != host_of(new) else ""
    if what:
        raise Refused(
            400,
            "unsupported_change_in_deployment_update",
            f"Node {name} has another {what} in the new blueprint. Give the new node another name: then the old one is "
            "uninstalled and the new one is installed.",
        )


def host_of(node: Row) -> str | None:
    """What the node is contained in."""
    for one in node.get("relationships") or []:
        if CONTAINED_IN in (one.get("type_hierarchy") or [one["type"]]):
            return str(one["target_id"])
    return None


def changed_nodes(steps: Iterable[Row]) -> set[str]:
    """Nodes that stay, and whose properties, operations or kept relationships change."""
    return {
        one["entity_id"][1]
        for one in steps
        if one["entity_id"][0] == "nodes"
        and len(one["entity_id"]) > 2
        and (one["entity_type"] != "relationship" or one["action"] == "modify")
    }
