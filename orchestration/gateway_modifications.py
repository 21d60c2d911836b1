"""The modifications of one execution's deployment, as the workflow `scale` reads, begins and ends them."""

from __future__ import annotations

import uuid
from typing import Any

from orchestration import scaling, scaling_ends
from orchestration.gateway_functions import instance_row
from orchestration.models import Execution, LocalDeployment
from orchestration.runner_host import RunnerHost
from orchestration.runner_types import Row
from orchestration.scaling_models import Modification

LIVE = ("state", "version", "runtime_properties", "system_properties")


class Modifications:
    """What DatabaseStore answers about modifications."""

    local: LocalDeployment
    deployment_id: str
    _host: RunnerHost
    _execution: Execution

    def modifications(self, status: str | None) -> list[Row]:
        """Those of the deployment, the oldest first."""
        rows = Modification.objects.filter(local=self.local).order_by("created_at")
        return [self._told(row) for row in (rows.filter(state=status) if status else rows)]

    def modification(self, modification_id: str) -> Row:
        """One of them; LookupError where there is no such."""
        return self._told(self._found(modification_id))

    def start_modification(self, nodes: Row, context: Any) -> Row:
        """Begin one; waits for a child process, so to be called outside of a transaction."""
        row = scaling.start(
            local=self.local,
            host=self._host,
            wanted=nodes,
            context=context,
            execution=self._execution,
            user=self._execution.created_by,
        )
        return self._told(row)

    def end_modification(self, modification_id: str, verb: str) -> Row:
        """Finish it or roll it back. What a dry run has begun is always rolled back: nothing was installed or uninstalled."""
        row = self._found(modification_id)
        is_real = verb == "finish" and not self._execution.is_dry_run
        (scaling_ends.finish if is_real else scaling_ends.rollback)(row)
        return self._told(row)

    def _found(self, modification_id: str) -> Modification:
        try:
            row = Modification.objects.filter(local=self.local, pk=uuid.UUID(modification_id)).first()
        except ValueError:
            row = None
        if row is None:
            raise LookupError(f"Modification {modification_id} not found")
        row.local = self.local
        return row

    def _told(self, row: Modification) -> Row:
        """As the library reads one. Of one that goes on, instances are as they are now: whether to uninstall them depends on it."""
        instances = row.node_instances
        if row.state == Modification.State.STARTED:
            found = self.local.instances.select_related("node")
            now = {one.wire_id: instance_row(one, self.deployment_id) for one in found}
            for part in ("added_and_related", "removed_and_related"):
                instances = {**instances, part: [live(one, now.get(one["id"])) for one in instances[part]]}
        return {
            "id": str(row.pk),
            "status": row.state,
            "deployment_id": self.deployment_id,
            "modified_nodes": row.modified_nodes,
            "node_instances": instances,
            "context": row.context,
            "created_at": row.created_at.isoformat(),
            "ended_at": row.ended_at.isoformat() if row.ended_at else None,
        }


def live(told: Row, now: Row | None) -> Row:
    """An instance as it was told, with what has changed since."""
    return told if now is None else {**told, "node_id": now["node_id"], **{name: now[name] for name in LIVE}}
