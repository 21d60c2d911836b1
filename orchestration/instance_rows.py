"""Rows of node instances: added as the parser made them, linked to others, taken away with what points to them."""

from __future__ import annotations

from collections.abc import Collection
from itertools import count, filterfalse

from orchestration.models import LocalDeployment, NodeInstance
from orchestration.runner_types import Row


def write_instances(local: LocalDeployment, instances: dict[str, list[Row]]) -> None:
    """Add new instances, and new relationships of those that were there."""
    add_instances(local, [row for row in instances["added_and_related"] if row.get("modification") == "added"])
    # Those that were there and now point to a new instance come as related ones, those between old instances as extended.
    links = [*instances["added_and_related"], *instances["extended_and_related"]]
    link(local, {row["id"]: row["relationships"] for row in links if row.get("modification") != "added"})


def add_instances(local: LocalDeployment, rows: Collection[Row]) -> None:
    """Add instances; each gets the lowest number that no other of its node has."""
    nodes = {node.name: node for node in local.nodes.all()}
    taken: dict[str, set[int]] = {name: set() for name in nodes}
    for name, index in local.instances.values_list("node__name", "index"):
        taken[name].add(index)
    numbers = {name: filterfalse(known.__contains__, count(1)) for name, known in taken.items()}
    NodeInstance.objects.bulk_create(
        NodeInstance(
            local=local,
            node=nodes[row["name"]],
            wire_id=row["id"],
            host_id=row.get("host_id"),
            index=next(numbers[row["name"]]),
            relationships=row.get("relationships") or [],
            scaling_groups=row.get("scaling_groups") or [],
        )
        for row in rows
    )


def link(local: LocalDeployment, wanted: dict[str, list[Row]]) -> None:
    """Add relationships to instances that do not have them."""
    for known in NodeInstance.objects.filter(local=local, wire_id__in=wanted):
        there = {(one["type"], one["target_id"]) for one in known.relationships}
        new = [one for one in wanted[known.wire_id] if (one["type"], one["target_id"]) not in there]
        if new:
            known.relationships = [*known.relationships, *new]
            known.save(update_fields=["relationships"])


def drop_instances(local: LocalDeployment, wire_ids: Collection[str]) -> None:
    """Take instances away, and what points to them."""
    if not wire_ids:
        return
    gone = set(wire_ids)
    local.instances.filter(wire_id__in=gone).delete()
    changed = []
    for row in local.instances.only("pk", "local_id", "relationships", "version"):
        kept = [one for one in row.relationships if one["target_id"] not in gone]
        if len(kept) != len(row.relationships):
            row.relationships, row.version = kept, row.version + 1
            changed.append(row)
    NodeInstance.objects.bulk_update(changed, ["relationships", "version"], batch_size=500)
