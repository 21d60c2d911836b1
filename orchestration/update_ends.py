"""What the end of an execution means for the update that it carries out."""

from __future__ import annotations

from orchestration import dependencies
from orchestration.models import Execution
from orchestration.update_models import DeploymentUpdate

UPDATE = "update"
State = DeploymentUpdate.State


def follow(execution: Execution) -> None:
    """Finish the update of an execution that has succeeded; the rows of one that has not stay as they are for another try."""
    if execution.workflow != UPDATE or execution.state not in Execution.FINAL:
        return
    update = DeploymentUpdate.objects.select_related("local", "execution").filter(execution=execution).first()
    if update is None:
        return
    if execution.state == Execution.State.TERMINATED:
        finish(update)
        update.move(State.SUCCESSFUL, only_from={State.EXECUTING, State.FAILED})  # failed: it was resumed
    else:
        update.move(State.FAILED, only_from={State.EXECUTING, State.UPDATING})


def finish(update: DeploymentUpdate) -> None:
    """Take away what the workflow has uninstalled, in the transaction that ends the execution."""
    local, leftovers = update.local, update.leftovers
    local.nodes.filter(name__in=leftovers.get("nodes") or []).delete()
    for name, relationships in (leftovers.get("relationships") or {}).items():
        for node in local.nodes.filter(name=name):
            node.body = {**node.body, "relationships": relationships}
            node.save(update_fields=["body"])
    for wire_id, gone in (leftovers.get("reduced") or {}).items():
        for row in local.instances.filter(wire_id=wire_id):
            row.relationships = [one for one in row.relationships if [one["type"], one["target_id"]] not in gone]
            row.save(update_fields=["relationships"])
    removed = set(update.execution.parameters.get("removed") or []) if update.execution is not None else set()
    local.instances.filter(wire_id__in=removed).delete()
    dependencies.store_capabilities(local, update.execution.created_by if update.execution is not None else None)
    for row in local.instances.all() if removed else ():
        kept = [one for one in row.relationships if one["target_id"] not in removed]
        if kept != row.relationships:
            row.relationships = kept
            row.save(update_fields=["relationships"])
