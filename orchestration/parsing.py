"""What the upload execution does: from a kept archive to the plan of a blueprint, or to what is wrong with it, in words."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from inventory.label_rules import normalise_all
from orchestration import states
from orchestration.archives import ArchiveError
from orchestration.folders import folder_of
from orchestration.models import Blueprint, Execution
from orchestration.runner_types import BlueprintProblem, Row, RunnerError
from orchestration.supervisor import supervisor

State = Blueprint.State
BEFORE = frozenset({State.PENDING, State.UPLOADING, State.EXTRACTING, State.PARSING})
# kind of problem -> state; anything else is an invalid blueprint
STATES = {
    "no_main_file": State.FAILED_EXTRACTING,
    "plugin": State.FAILED_PARSING,
    "limit": State.FAILED_PARSING,
    "internal": State.FAILED_PARSING,
}


def parse(execution: Execution) -> None:
    """Bring the blueprint of this execution to its end state, and the execution with it."""
    blueprint = Blueprint.objects.select_related("tenant", "created_by").filter(executions=execution).first()
    if blueprint is None or blueprint.archive_id is None:
        states.report(execution, Execution.State.FAILED, "The blueprint was deleted before it was parsed.")
        return
    blueprint.move(State.EXTRACTING, only_from=BEFORE)
    try:
        folder = folder_of(blueprint.archive_id)
        if not (folder / blueprint.main_file).is_file():
            fail(
                blueprint,
                execution,
                State.FAILED_EXTRACTING,
                f"{blueprint.main_file} does not exist in the application directory",
            )
            return
        blueprint.move(State.PARSING, only_from=BEFORE)
        plan = supervisor.host.parse(folder, blueprint.main_file)
    except ArchiveError as error:
        fail(blueprint, execution, State.FAILED_EXTRACTING, str(error))
    except BlueprintProblem as problem:
        state = STATES.get(problem.kind, State.INVALID)
        prefix = "Invalid blueprint" if state == State.INVALID else "Failed parsing blueprint"
        is_plain = problem.kind == "no_main_file"
        fail(blueprint, execution, state, problem.message if is_plain else f"{prefix} - {problem.message}")
    except RunnerError as error:
        fail(blueprint, execution, State.FAILED_PARSING, str(error))
    else:
        keep(blueprint, execution, plan)
    if blueprint.is_hidden:  # it was to be validated only; the execution says how that ended
        blueprint.delete()


def keep(blueprint: Blueprint, execution: Execution, plan: Row) -> None:
    """Store the plan; the blueprint may be used from now on."""
    known = {(label["key"], label["value"]) for label in blueprint.labels}
    for warning in plan.pop("warnings", []):
        states.warn(execution, warning)
    now = timezone.now().isoformat()
    creator = blueprint.created_by.username if blueprint.created_by else None
    own = [
        {"key": key, "value": value, "created_at": now, "created_by": creator}
        for key, value in normalise_all(pairs_of(plan.get("blueprint_labels") or {}))
        if (key, value) not in known
    ]
    with transaction.atomic():
        blueprint.move(
            State.UPLOADED,
            only_from=BEFORE,
            plan=plan,
            description=plan.get("description") or "",
            labels=[*blueprint.labels, *own],
            error="",
            updated_at=timezone.now(),
        )
        states.report(execution, Execution.State.TERMINATED)


def fail(blueprint: Blueprint, execution: Execution, state: str, error: str) -> None:
    """Store what is wrong."""
    with transaction.atomic():
        blueprint.move(state, only_from=BEFORE, error=error, updated_at=timezone.now())
        states.report(execution, Execution.State.FAILED, error)


def pairs_of(labels: Row) -> list[tuple[str, str]]:
    """Labels of a plan, {"key": {"values": [...]}}, as pairs; what is not text by now is left out."""
    pairs = [(key, value) for key, entry in labels.items() for value in entry.get("values") or []]
    return [
        (key, value)
        for key, value in dict.fromkeys((key, str(value)) for key, value in pairs if not isinstance(value, dict | list))
    ]
