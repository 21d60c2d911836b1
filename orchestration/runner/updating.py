"""The workflow `update`: uninstalls what is gone from a deployment, installs what is new, brings up to date what has changed or drifted.

The portal has written the new nodes and instances before, and takes the old ones away when this has succeeded.
"""

from __future__ import annotations

from typing import Any

from cloudify.decorators import workflow
from cloudify.plugins import lifecycle, workflows
from cloudify.workflows.tasks_graph import make_or_get_graph

NOT_LIVE = ("uninitialized", "deleted")
# A node that has one of these is brought up to date by them; any other is installed anew.
UPDATES = tuple(
    f"cloudify.interfaces.lifecycle.{name}"
    for name in ("preupdate", "update", "postupdate", "update_config", "update_apply", "update_postapply")
)
CHECK_DRIFT = "check_drift"
OWN_DRIFT = "configuration_drift"
DRIFTS_OF_RELATIONSHIPS = ("source_relationships_configuration_drift", "target_relationships_configuration_drift")


@workflow(resumable=True)  # type: ignore[untyped-decorator]
def update(ctx: Any, **told: Any) -> None:
    """`told`: ids of instances by what is to be done with them, and what is to be left out."""
    work = Work(ctx, told)
    parts = [work.uninstall, work.install]
    for part in reversed(parts) if told.get("install_first") else parts:
        part()
    work.bring_up_to_date()


class Work:
    """The parts of one update."""

    def __init__(self, ctx: Any, told: dict[str, Any]) -> None:
        self.ctx = ctx
        self.told = told
        self.new = set(told.get("added") or [])

    def of(self, name: str) -> set[Any]:
        """The instances with the ids of that list."""
        return {found for found in map(self.ctx.get_node_instance, self.told.get(name) or []) if found is not None}

    def is_installed(self) -> bool:
        """Is anything installed of what was there before? A deployment without instances is."""
        before = [one for one in self.ctx.node_instances if one.id not in self.new]
        return not before or any(one.state not in NOT_LIVE for one in before)

    def links(self, name: str) -> tuple[set[Any], dict[str, list[str]]]:
        """Live instances whose relationships come or go, and target nodes by source node."""
        found = {one for one in self.of(name) if one.state not in NOT_LIVE}
        return found, {one.node_id: self.told[name][one.id] for one in found}

    def uninstall(self) -> None:
        """Take away instances and relationships that the new plan does not have."""
        if self.told.get("skip_uninstall"):
            return
        links, targets = self.links("reduced")
        if links:
            lifecycle.execute_unlink_relationships(
                self.ctx.graph_mode(), node_instances=links, modified_relationship_ids=targets
            )
        gone = {one for one in self.of("removed") if one.state not in NOT_LIVE}
        if gone:
            lifecycle.uninstall_node_instances(
                graph=self.ctx.graph_mode(),
                node_instances=gone,
                ignore_failure=bool(self.told.get("ignore_failure")),
                related_nodes=self.of("removed_related"),
                name_prefix="update-",
            )
        self.ctx.refresh_node_instances()

    def install(self) -> None:
        """Install new instances and establish new relationships; where nothing is installed, the next install does it."""
        if self.told.get("skip_install") or not self.is_installed():
            return
        new = self.of("added")
        if new:
            lifecycle.install_node_instances(
                graph=self.ctx.graph_mode(),
                node_instances=new,
                related_nodes=self.of("added_related"),
                name_prefix="update-",
            )
            self.ctx.refresh_node_instances()
        links, targets = self.links("extended")
        if links:
            lifecycle.execute_establish_relationships(
                self.ctx.graph_mode(), node_instances=links, modified_relationship_ids=targets
            )
        self.ctx.refresh_node_instances()

    def drifted(self) -> set[Any]:
        """Instances that were there before and differ from what is configured, as their checks say now."""
        there = [one for one in self.ctx.node_instances if one.state not in NOT_LIVE and one.id not in self.new]
        checked = [one.id for one in there if can_check_drift(one)]
        if self.told.get("skip_drift_check") or not checked:
            return set()
        workflows._make_check_drift_graph(
            self.ctx, node_instance_ids=checked, name="update-check-drift", ignore_failure=True
        ).execute()
        self.ctx.refresh_node_instances()
        return {one for one in map(self.ctx.get_node_instance, checked) if differs(one)}

    def bring_up_to_date(self) -> None:
        """Changed and drifted instances by their own operations, or by installing them anew with all that they contain."""
        drifted = self.drifted()
        changed = {one for one in self.of("changed") if one.state not in NOT_LIVE and one.id not in self.new} | drifted
        forced = {one for one in self.of("reinstall_list") if one.state not in NOT_LIVE}
        own = set() if self.told.get("force_reinstall") else {one for one in changed if has_updates(one)} - forced
        if own:
            make_update_graph(self.ctx, own, name="update-changed").execute()
            for one in own & drifted:
                forget_drift(self.ctx, one)
        anew = {} if self.told.get("skip_reinstall") else {one.id: one for one in changed - own}
        anew |= {one.id: one for one in forced}
        whole = {inner.id: inner for one in anew.values() for inner in one.get_contained_subgraph()}
        if whole:
            self.ctx.refresh_node_instances()
            chosen = {self.ctx.get_node_instance(key) for key in whole}
            lifecycle.reinstall_node_instances(
                graph=self.ctx.graph_mode(),
                node_instances=chosen,
                ignore_failure=bool(self.told.get("ignore_failure")),
                related_nodes=set(self.ctx.node_instances) - chosen,
            )


def can_check_drift(instance: Any) -> bool:
    """Has the node, or one of its relationships, a check of its own?"""
    lists = [instance.node.operations]
    for relationship in instance.node.relationships:
        lists += [relationship.source_operations, relationship.target_operations]
    return any((one.get(name) or {}).get("operation") for one in lists for name in one if name.endswith(CHECK_DRIFT))


def differs(instance: Any) -> bool:
    """Did a check find something? One that failed has found nothing: that is no reason to change anything."""
    found = instance.system_properties or {}
    checks = [
        found.get(OWN_DRIFT),
        *(check for name in DRIFTS_OF_RELATIONSHIPS for check in (found.get(name) or {}).values()),
    ]
    return any(check and check.get("ok", True) and check.get("result") for check in checks)


def forget_drift(ctx: Any, instance: Any) -> None:
    """Its own operations have brought it back."""
    gone = (OWN_DRIFT, *DRIFTS_OF_RELATIONSHIPS)
    kept = {name: value for name, value in (instance.system_properties or {}).items() if name not in gone}
    ctx.update_node_instance(instance.id, force=True, system_properties=kept)


def has_updates(instance: Any) -> bool:
    """Has the node an operation of its own for updates?"""
    operations = instance.node.operations
    return any((operations.get(name) or {}).get("operation") for name in UPDATES)


@make_or_get_graph  # type: ignore[untyped-decorator]
def make_update_graph(ctx: Any, instances: set[Any]) -> Any:
    """The update operations of each instance, one after another."""
    graph = ctx.graph_mode()
    for instance in instances:
        tasks = [instance.execute_operation(name) for name in UPDATES]
        sequence = graph.subgraph(f"update_{instance.id}").sequence()
        sequence.add(
            instance.send_event("Updating node instance"),
            *(task for task in tasks if not task.is_nop()),
            instance.send_event("Node instance updated"),
        )
    return graph
