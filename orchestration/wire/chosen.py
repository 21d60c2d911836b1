"""What the bulk pages do, for programs: one act on deployments chosen by id or filter, previewed, then started as it was seen."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.roles import may
from inventory.models import Deployment
from orchestration import bulk_removals, bulk_runs, update_previews, updates
from orchestration.bulk_looks import MOST, Preview
from orchestration.errors import Refused, bad_parameters, forbidden
from orchestration.executions import DELETE
from orchestration.group_models import DEFAULT_CONCURRENCY, ExecutionGroup
from orchestration.models import NodeInstance
from orchestration.wire.deployment_groups import SOURCES, GroupView
from orchestration.wire.execution_groups import GROUP, MOST_AT_ONCE
from orchestration.wire.updates import read_wanted

UPDATE = updates.GROUP_WORKFLOW
KEYS = {*SOURCES, "drifted_only", "workflow_id", "parameters", "concurrency", "force", "preview", "digest"}


class ChosenExecutions(GroupView):
    """POST /execution-groups/chosen: a workflow, `csys_update_deployment`, or `delete_deployment_environment` on chosen deployments."""

    resource = "execution_group"
    needs = {"POST": "execution.start"}

    def post(self, request: Request) -> Response:
        if unknown := sorted(set(self.body()) - KEYS):
            raise bad_parameters(f"There is no {', '.join(unknown)}; there is: {', '.join(sorted(KEYS))}")
        rows, workflow = self.chosen(), self.required("workflow_id")
        if workflow == DELETE and not may(self.user, "deployment.change", self.tenant):
            raise forbidden(f"User `{self.user}` is not permitted to delete deployments in `{self.tenant}`")
        parameters = self.optional("parameters", dict, {})
        preview = self.preview(rows, workflow, parameters)
        if self.boolean("preview"):
            return Response(told(preview))
        digest = self.optional("digest", default=preview.digest)
        if not preview.acting:
            raise Refused(409, "conflict_error", f"Nothing would begin. {reasons(preview)}")
        try:
            group = self.start(rows, preview, workflow, parameters, digest)
        except bulk_runs.Changed as changed:
            raise Refused(
                409, "conflict_error", f"Nothing was started: it is not what was previewed. {reasons(changed.preview)}"
            ) from None
        row = GROUP.load(ExecutionGroup.objects.filter(pk=group.pk), list(GROUP.fields)).get()
        return Response({**GROUP.render(row), "excluded": told(preview)["excluded"]}, status=201)

    def chosen(self) -> list[Deployment]:
        """The deployments that the body names, by id."""
        body = self.body()
        if not any(body.get(name) is not None for name in SOURCES):
            raise bad_parameters(f"Name the deployments: by {', '.join(SOURCES)}")
        rows = self.members_named(body, *SOURCES)
        if self.boolean("drifted_only"):
            keys = [row.pk for row in rows]
            found = NodeInstance.objects.filter(has_drift=True, local__deployment__in=keys)
            drifted = set(found.values_list("local__deployment", flat=True))
            rows = [row for row in rows if row.pk in drifted]
        if len(rows) > MOST:
            raise bad_parameters(f"These are {len(rows):,} deployments. Choose at most {MOST:,} at once.")
        return sorted(rows, key=lambda row: row.wire_id)

    def concurrency(self) -> int:
        """How many at once."""
        value: int = self.optional("concurrency", int, DEFAULT_CONCURRENCY)
        if not 0 <= value <= MOST_AT_ONCE:
            raise bad_parameters(f"concurrency is {value}: enter at most {MOST_AT_ONCE}; 0 is a pause.")
        return value

    def wish(self, workflow: str, parameters: dict[str, Any]) -> bulk_runs.Wish:
        """A workflow as the body asks for it."""
        return bulk_runs.Wish(workflow, parameters, self.concurrency(), self.boolean("force"))

    def preview(self, rows: list[Deployment], workflow: str, parameters: dict[str, Any]) -> Preview:
        """What would begin; of an update each with its steps."""
        if workflow == DELETE:
            return bulk_removals.preview(rows=rows, tenant=self.tenant, force=self.boolean("force"))
        if workflow == UPDATE:
            if len(rows) > update_previews.MOST:
                raise bad_parameters(f"An update is previewed for at most {update_previews.MOST} deployments.")
            wanted = read_wanted(self, parameters)
            return update_previews.preview_many(by=self.actor, rows=rows, tenant=self.tenant, wanted=wanted)
        return bulk_runs.preview(rows=rows, tenant=self.tenant, wish=self.wish(workflow, parameters))

    def start(
        self, rows: list[Deployment], preview: Preview, workflow: str, parameters: dict[str, Any], digest: str
    ) -> ExecutionGroup:
        """Begin what the digest was told of."""
        by, tenant = self.actor, self.tenant
        if workflow == DELETE:
            return bulk_removals.start(by=by, tenant=tenant, rows=rows, force=self.boolean("force"), digest=digest)
        if workflow == UPDATE:
            return update_previews.start_many(
                by=by,
                tenant=tenant,
                rows=preview.acting,
                wanted=read_wanted(self, parameters),
                concurrency=self.concurrency(),
                digest=digest,
            )
        return bulk_runs.start(by=by, tenant=tenant, rows=rows, wish=self.wish(workflow, parameters), digest=digest)


def told(preview: Preview) -> dict[str, Any]:
    """A preview as the reply has it."""
    steps = {row.wire_id: preview.outlooks[row.pk].steps for row in preview.acting if row.pk in preview.outlooks}
    return {
        "deployment_ids": [row.wire_id for row in preview.acting],
        "excluded": [{"deployment_id": one.deployment.wire_id, "reason": one.why} for one in preview.left_out],
        "dependents": {row.wire_id: preview.notes[row.pk] for row in preview.acting if row.pk in preview.notes},
        "order": [[row.wire_id for row in wave] for wave in preview.waves],
        "steps": steps,
        "digest": preview.digest,
    }


def reasons(preview: Preview) -> str:
    """Why deployments are left out, in one line."""
    return " ".join(f"{len(rows):,}: {why}" for why, rows in preview.by_reason[:3])
