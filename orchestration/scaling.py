"""How many instances there are of what: what of a deployment can be scaled, what a change would add and remove, its beginning."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.db import transaction

from accounts.models import User
from orchestration import runner_jobs
from orchestration.errors import Refused, bad_parameters
from orchestration.gateway_functions import instance_row, node_row
from orchestration.instance_rows import write_instances
from orchestration.models import Execution, LocalDeployment
from orchestration.runner_types import BlueprintProblem, JobHost, Row
from orchestration.scaling_models import Modification

UNBOUNDED = -1
# Where numbers stand: current, planned, least, most.
NODE_COUNTS = (
    "number_of_instances", "planned_number_of_instances", "min_number_of_instances", "max_number_of_instances",
)  # fmt: skip
GROUP_COUNTS = ("current_instances", "planned_instances", "min_instances", "max_instances")
HINTS = ("removed_ids_include_hint", "removed_ids_exclude_hint")
MOST = 10_000  # instances of one node or group: what one request may make


@dataclasses.dataclass(frozen=True)
class Scalable:
    """A node or a scaling group, and how many of it there are and may be."""

    name: str
    is_group: bool
    current: int
    planned: int
    least: int
    most: int

    @property
    def limits(self) -> str:
        """In words."""
        return f"at least {self.least}" if self.most == UNBOUNDED else f"{self.least} to {self.most}"


def scalables(local: LocalDeployment) -> dict[str, Scalable]:
    """Scaling groups and nodes by name. A group hides a node of its name, as it does for the workflow."""
    found = {name: read(name, body, NODE_COUNTS) for name, body in local.nodes.values_list("name", "body")}
    for name, group in ((local.plan or {}).get("scaling_groups") or {}).items():
        found[name] = read(name, group.get("properties") or {}, GROUP_COUNTS, is_group=True)
    return found


def read(name: str, counts: Row, keys: tuple[str, str, str, str], *, is_group: bool = False) -> Scalable:
    """From the numbers under `keys`: how many there are, are planned, at least and at most."""
    current, planned, least, most = keys
    there = int(counts.get(current, 1))
    return Scalable(
        name=name,
        is_group=is_group,
        current=there,
        planned=int(counts.get(planned, there)),
        least=int(counts.get(least, 0)),
        most=int(counts.get(most, UNBOUNDED)),
    )


def check(local: LocalDeployment, wanted: Row) -> Row:
    """`wanted` as it is stored; Refused where it names what is not there, or more or fewer than there may be."""
    if not wanted:
        raise bad_parameters("Name at least one node or scaling group, and how many instances of it there are to be.")
    known = scalables(local)
    checked: Row = {}
    for name, change in wanted.items():
        one = known.get(name)
        if one is None:
            there = ", ".join(sorted(known)) or "none"
            raise Refused(
                404,
                "not_found_error",
                f"{local.deployment.wire_id} has no node or scaling group {name}. There are: {there}",
            )
        count = change.get("instances") if isinstance(change, dict) else None
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise bad_parameters(f"{name}: `instances` must be a whole number, 0 or more, and is {count!r}")
        # Where there are more or fewer than allowed, a step in the right direction is fine.
        if count > one.current and count > (MOST if one.most == UNBOUNDED else one.most):
            limits = f"at most {MOST:,}" if one.most == UNBOUNDED else one.limits
            raise bad_parameters(f"{name} may have {limits} instances: {count:,} are too many.")
        if count < one.current and count < one.least:
            raise bad_parameters(f"{name} may have {one.limits} instances: {count:,} are too few.")
        checked[name] = {"instances": count, **{hint: ids_of(name, change, hint) for hint in HINTS}}
    return checked


def ids_of(name: str, change: Row, hint: str) -> list[str]:
    """The ids of instances that a hint names."""
    value = change.get(hint) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise bad_parameters(f"{name}: `{hint}` must be a list of ids of node instances")
    return value


def outlook(local: LocalDeployment, host: JobHost, wanted: Row) -> tuple[Row, dict[str, list[Row]]]:
    """What would be added and removed, with all that it is contained in or related to; waits for a child process.

    `wanted`: {node or group: {"instances": how many, "removed_ids_include_hint": [...], "removed_ids_exclude_hint": [...]}}
    """
    checked = check(local, wanted)
    wire_id, blueprint_id = local.deployment.wire_id, local.blueprint.wire_id
    nodes = [node_row(row, wire_id, blueprint_id) for row in local.nodes.all()]
    for node in nodes:
        node.pop("capabilities", None)  # of the plan: the numbers that count are those of the row
    rows = [instance_row(row, wire_id) for row in local.instances.select_related("node")]
    try:
        found = runner_jobs.modify(
            host,
            nodes=nodes,
            previous_nodes=nodes,
            previous_node_instances=rows,
            modified_nodes=checked,
            scaling_groups=(local.plan or {}).get("scaling_groups") or {},
        )
    except BlueprintProblem as problem:
        raise bad_parameters(f"The instances cannot be changed so: {problem.message}") from None
    return checked, {**found, "before_modification": rows}


def marked(instances: dict[str, list[Row]], part: str, word: str) -> list[str]:
    """The ids of the instances of a part that are themselves added or removed."""
    return [row["id"] for row in instances.get(part) or [] if row.get("modification") == word]


def start(
    *,
    local: LocalDeployment,
    host: JobHost,
    wanted: Row,
    context: Any = None,
    execution: Execution | None = None,
    user: User | None = None,
) -> Modification:
    """Begin a modification: what is to be added is there now, uninstalled; what is to be removed stays until it is finished."""
    refuse_second(local)
    checked, instances = outlook(local, host, wanted)
    with transaction.atomic():
        locked = LocalDeployment.objects.select_for_update().get(pk=local.pk)
        refuse_second(local)
        there = set(local.instances.values_list("wire_id", flat=True))
        if there != {row["id"] for row in instances["before_modification"]}:
            raise Refused(
                409, "conflict_error", "The instances of the deployment have changed in the meantime: try again."
            )
        write_instances(local, instances)
        set_counts(locked, {name: change["instances"] for name, change in checked.items()}, is_final=False)
        local.plan = locked.plan
        fill_added(local, instances)
        return Modification.objects.create(
            local=local,
            execution=execution,
            modified_nodes=checked,
            node_instances=instances,
            context=context if isinstance(context, dict) else {},
            created_by=user,
        )


def refuse_second(local: LocalDeployment) -> None:
    """One at a time."""
    active = [
        str(pk) for pk in local.modifications.filter(state=Modification.State.STARTED).values_list("pk", flat=True)
    ]
    if active:
        raise Refused(
            400,
            "existing_started_deployment_modification_error",
            "Cannot start deployment modification while there are existing started deployment modifications. "
            f"Currently started deployment modifications: {active}. "
            "Roll it back, or start scale with abort_started=true, which uninstalls first what was added.",
        )


def fill_added(local: LocalDeployment, instances: dict[str, list[Row]]) -> None:
    """The added ones with all fields of their rows, as a client reads instances."""
    added = set(marked(instances, "added_and_related", "added"))
    rows = {
        row.wire_id: instance_row(row, local.deployment.wire_id)
        for row in local.instances.filter(wire_id__in=added).select_related("node")
    }
    instances["added_and_related"] = [
        {**row, **rows[row["id"]]} if row["id"] in rows else row for row in instances["added_and_related"]
    ]


def set_counts(local: LocalDeployment, counts: dict[str, int], *, is_final: bool) -> None:
    """Write how many there are planned to be; `is_final`: how many there are."""
    groups = {name: dict(group) for name, group in ((local.plan or {}).get("scaling_groups") or {}).items()}
    names = ("planned_instances", "current_instances") if is_final else ("planned_instances",)
    for name in counts.keys() & groups.keys():
        groups[name]["properties"] = {**groups[name].get("properties", {}), **dict.fromkeys(names, counts[name])}
    if counts.keys() & groups.keys():
        local.plan = {**(local.plan or {}), "scaling_groups": groups}
        local.save(update_fields=["plan"])
    names = ("planned_number_of_instances", "number_of_instances") if is_final else ("planned_number_of_instances",)
    for node in local.nodes.filter(name__in=counts.keys() - groups.keys()):
        node.body = {**node.body, **dict.fromkeys(names, counts[node.name])}
        node.save(update_fields=["body"])
