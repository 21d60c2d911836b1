"""How the double updates deployments and replaces their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inventory.doubles.accounts import error
from inventory.doubles.answers import Answer, Answers, missing
from inventory.doubles.world import DeploymentRow


def update(answers: Answers, name: str, body: Mapping[str, Any]) -> Answer:
    """POST /deployment-updates/NAME/update/initiate, or its preview."""
    row = answers.world.deployment(name)
    if row is None:
        return missing("Deployment", name)
    blueprint_id, inputs = str(body.get("blueprint_id") or row.blueprint_id), dict(body.get("inputs") or {})
    if blueprint_id not in answers.world.blueprints:
        return missing("Blueprint", blueprint_id)
    if body.get("preview"):
        return 200, {
            "id": f"{name}-preview",
            "execution_id": None,
            "state": "preview",
            "steps": steps(row, blueprint_id, inputs),
        }
    if any(run.is_active for run in row.runs):
        return error(
            400,
            "existing_running_execution_error",
            "The following executions are currently running for this deployment",
        )
    run = answers.world.start(row, "update")
    if not run.script.update_error:
        row.blueprint_id, row.inputs = blueprint_id, {**row.inputs, **inputs}
    return 200, {"id": f"{name}-{run.id}", "execution_id": run.id, "state": "updating", "steps": []}


def steps(row: DeploymentRow, blueprint_id: str, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What would change, as a manager lists it."""
    changed = blueprint_id != row.blueprint_id or any(row.inputs.get(key) != value for key, value in inputs.items())
    return (
        [{"action": "modify", "entity_type": "property", "entity_id": ["nodes", "s", "properties", "port"]}]
        if changed
        else []
    )


def set_labels(answers: Answers, name: str, body: Mapping[str, Any]) -> Answer:
    """PATCH /deployments/NAME."""
    row = answers.world.deployment(name)
    if row is None:
        return missing("Deployment", name)
    row.labels[:] = [
        {"key": key.lower(), "value": value, "created_at": "2026-11-22T03:47:25.669Z", "created_by": "admin"}
        for entry in body.get("labels") or []
        for key, value in entry.items()
    ]
    return 200, row.answer()
