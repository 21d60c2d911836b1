"""How the double answers the requests of v3.1 that the portal sends: the genuine manager's shapes, codes and words."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from inventory.doubles.accounts import error
from inventory.doubles.script import Script
from inventory.doubles.world import CREATE, DELETE, BlueprintRow, DeploymentRow, Run, TenantWorld

Answer = tuple[int, Any]
Query = Mapping[str, list[str]]
_FORMATS = "['zip', 'tar', 'tar.gz', 'tar.bz2']"
_MAGIC = (b"PK\x03\x04", b"\x1f\x8b", b"BZh")


def missing(what: str, name: str) -> Answer:
    return error(404, "not_found_error", f"Requested `{what}` with ID `{name}` was not found")


def listed(rows: list[dict[str, Any]], query: Query) -> Answer:
    """One page of a list."""
    size, offset = int(query.get("_size", ["1000"])[0]), int(query.get("_offset", ["0"])[0])
    pagination = {"total": len(rows), "size": size, "offset": offset}
    return 200, {"metadata": {"pagination": pagination, "filtered": None}, "items": rows[offset : offset + size]}


class Answers:
    """The verbs of one tenant."""

    def __init__(self, tenant: str, script: Script) -> None:
        self.tenant = tenant
        self.world = TenantWorld(script)

    def blueprint(self, method: str, name: str, query: Query, body: bytes) -> Answer:
        world = self.world
        row = world.blueprints.get(name)
        if method == "PUT":
            return self._upload(name, row, query, body)
        if row is None:
            return missing("Blueprint", name)
        if method == "GET":
            return 200, row.answer()
        users = [
            each.id
            for each in list(world.deployments.values())
            if each.blueprint_id == name and world.deployment(each.id)
        ]
        if users:
            said = f"Can't delete blueprint {name} - There exist deployments for this blueprint; Deployments ids: {','.join(users)}"
            return error(400, "dependent_exists_error", said)
        del world.blueprints[name]
        return 204, None

    def _upload(self, name: str, row: BlueprintRow | None, query: Query, body: bytes) -> Answer:
        script = self.world.script
        if row is not None and row.present_state not in (
            "failed_uploading",
            "failed_extracting",
            "failed_parsing",
            "invalid",
        ):
            said = f"blueprint with id={name} already exists on tenant {self.tenant} or with global visibility"
            return error(409, "conflict_error", said)
        if not body.startswith(_MAGIC):
            said = f"Blueprint archive is of an unrecognized format. Supported formats are: {_FORMATS}"
            self.world.blueprints[name] = BlueprintRow(name, "failed_uploading", said, 0.0, len(body))
            return error(400, "bad_parameters_error", said)
        state, said = script.blueprint_state, script.blueprint_error
        main_file = query.get("application_file_name", ["blueprint.yaml"])[0]
        if main_file != script.main_file:
            state, said = "failed_extracting", f"{main_file} does not exist in the application directory"
        row = BlueprintRow(name, state, said, time.time() + script.upload, len(body))
        self.world.blueprints[name] = row
        return 201, {**row.answer(), "state": "uploading", "error": None, "plan": None}

    def deployment(self, method: str, name: str, query: Query, body: Mapping[str, Any]) -> Answer:
        row = self.world.deployment(name)
        if method == "PUT":
            return self._create(name, row, body)
        if row is None:
            return missing("Deployment", name)
        if method == "GET":
            return 200, row.answer()
        if query.get("force") != ["true"]:
            active = [run.id for run in row.runs if run.is_active]
            if active:
                why = f"There are running or queued executions for this deployment. Running executions ids: {','.join(active)}"
                return error(400, "dependent_exists_error", f"Can't delete deployment {name} - {why}")
            if row.is_live:
                why = "There are live nodes for this deployment. Live nodes ids: s_otp1e1"
                return error(400, "dependent_exists_error", f"Can't delete deployment {name} - {why}")
        self.world.start(row, DELETE)
        return 204, None

    def _create(self, name: str, row: DeploymentRow | None, body: Mapping[str, Any]) -> Answer:
        world = self.world
        if row is not None and not (len(row.runs) == 1 and row.latest.status == "failed"):
            said = f"<Deployment id=`{name}` tenant=`{self.tenant}`> already exists on <Tenant name=`{self.tenant}`> or with global "
            return error(409, "conflict_error", said + "visibility")
        blueprint_id = str(body.get("blueprint_id"))
        blueprint = world.blueprints.get(blueprint_id)
        if blueprint is None:
            return missing("Blueprint", blueprint_id)
        if blueprint.present_state != "uploaded":
            said = f"Unable to create a deployment based on a blueprint which is not `uploaded` but: `{blueprint.present_state}`"
            return error(400, "deployment_creation_error", said)
        inputs = dict(body.get("inputs") or {})
        declared = world.script.inputs
        if declared is not None:
            unknown = sorted(set(inputs) - set(declared))
            if unknown:
                said = f"Cannot create deployment - unknown inputs: {', '.join(unknown)}"
                return error(400, "unknown_deployment_input_error", said)
            inputs = {**declared, **inputs}
            lacking = sorted(key for key, value in inputs.items() if value is ...)
            if lacking:
                return error(400, "missing_required_deployment_input_error", f"missing inputs: {', '.join(lacking)}")
        labels = [
            {"key": key.lower(), "value": value, "created_at": "2026-11-22T03:47:25.669Z", "created_by": "admin"}
            for entry in body.get("labels") or []
            for key, value in entry.items()
        ]
        row = DeploymentRow(
            name, blueprint_id, body.get("display_name") or name, body.get("site_name"), labels, inputs, world.script
        )
        world.deployments[name] = row
        world.start(row, CREATE)
        answer = row.answer()
        answer.update(
            latest_execution_status="in_progress", labels=[], inputs=None, installation_status="inactive",
            deployment_status="requires_attention",
        )  # fmt: skip
        return 201, answer

    def capabilities(self, name: str, key: str) -> Answer:
        row = self.world.deployment(name)
        if row is None:
            return missing("Deployment", name)
        return 200, {"deployment_id": name, key: dict(row.script.capabilities) if row.is_made else {}}

    def start(self, body: Mapping[str, Any]) -> Answer:
        name, workflow = str(body.get("deployment_id")), str(body.get("workflow_id"))
        row = self.world.deployment(name)
        if row is None:
            return missing("Deployment", name)
        creation = row.runs[0]
        if creation.is_active:
            said = f"Deployment environment creation is still pending, deployment: {name}"
            return error(400, "deployment_environment_creation_pending_error", said)
        if not row.is_made:
            said = f"Can't launch executions since environment creation for {name} has failed: {creation.script.creation_error}"
            return error(400, "deployment_creation_error", said)
        active = [run for run in row.runs if run.is_active]
        if active:
            who = ", ".join(
                f"<Execution id=`{run.id}` tenant=`{self.tenant}` status=`{run.status}` workflow_id=`{run.workflow}`>"
                for run in active
            )
            said = f"The following executions are currently running for this deployment: [{who}]."
            return error(400, "existing_running_execution_error", said)
        script = self.world.script
        if workflow not in ("install", "uninstall", *script.workflows):
            return error(400, "nonexistent_workflow_error", f"Workflow {workflow} does not exist in deployment {name}")
        is_available = row.instance_state != "started" if workflow == "install" else row.is_live
        is_available |= workflow in script.workflows
        if row.script.nodes and not is_available:
            return error(400, "unavailable_workflow_error", f"Workflow not available: {workflow}")
        run = self.world.start(row, workflow)
        return 201, {**run.answer(), "status": "pending", "status_display": "pending", "error": None, "ended_at": None}

    def execution(self, method: str, name: str, body: Mapping[str, Any]) -> Answer:
        run = self.world.runs.get(name)
        if run is None:
            return missing("Execution", name)
        if method == "GET":
            return 200, run.answer()
        action = str(body.get("action"))
        if not run.is_active:
            said = f"Can't {action} execution {name} because it's in status {run.status}"
            return error(400, "illegal_action_error", said)
        run.cancel_kind, run.cancelled = action, time.time()
        answer = run.answer()
        words = {"cancel": "cancelling", "force-cancel": "force_cancelling", "kill": "kill_cancelling"}
        answer["status"] = answer["status_display"] = words.get(action, "cancelling")
        return 200, answer

    def executions(self, query: Query) -> Answer:
        rows = [run for run in self.world.runs.values() if self._matches(run, query)]
        return listed([run.answer() for run in reversed(rows)], query)

    @staticmethod
    def _matches(run: Run, query: Query) -> bool:
        if run.workflow in (CREATE, DELETE) and query.get("_include_system_workflows") != ["true"]:
            return False
        return run.deployment_id in query.get("deployment_id", [run.deployment_id]) and run.status in query.get(
            "status", [run.status]
        )

    def deployments(self, query: Query) -> Answer:
        rows = [row.answer() for name in sorted(self.world.deployments) if (row := self.world.deployment(name))]
        wanted = query.get("blueprint_id")
        return listed([row for row in rows if not wanted or row["blueprint_id"] in wanted], query)

    def events(self, query: Query) -> Answer:
        run = self.world.runs.get(query.get("execution_id", [""])[0])
        words = [("workflow_started", "Starting '{}' workflow execution")] if run else []
        if run and not run.is_active:
            end = {"terminated": "succeeded", "failed": "failed", "cancelled": "cancelled"}[run.status]
            words.append((f"workflow_{end}", "'{}' workflow execution " + end))
        rows = [
            {
                "_storage_id": number, "type": "cloudify_event", "reported_timestamp": run.answer()["created_at"] if run else "",
                "event_type": kind, "message": text.format(run.workflow if run else ""), "node_instance_id": None,
                "operation": None,
            }
            for number, (kind, text) in enumerate(words, start=1)
        ]  # fmt: skip
        status, page = listed(rows, query)
        del page["metadata"]["filtered"]
        return status, page

    def nodes(self, query: Query, *, instances: bool) -> Answer:
        name = query.get("deployment_id", [""])[0]
        row = self.world.deployment(name)
        if row is None:
            return listed([], query)
        if instances:
            found: list[dict[str, Any]] = [
                {"id": f"s_{index}", "node_id": "s", "state": row.instance_state, "runtime_properties": {}}
                for index in range(row.script.nodes)
            ]
        else:
            found = [{"id": "s", "type": "demo.Script", "actual_number_of_instances": row.script.nodes}]
        return listed(found, query)
