"""What every operation must keep, whatever it does: called by the tests of the app that has it.

keeps_the_rules(PushBlueprint(target.pk), world=lambda: double.snapshot(), secrets=[password], caplog=caplog)
"""

import dataclasses
import json
import logging

from runs.models import Event, Run
from runs.operations import rebuild
from tests.runs.drive import drive
from tests.runs.factories import start


def told(run):
    """Everything about a run that somebody may read."""
    texts = [run.title, run.why, run.cause]
    for step in run.steps.all():
        texts += [step.title, step.why, step.cause, json.dumps(step.args), json.dumps(step.memory)]
    for event in Event.objects.filter(top=run.top_id):
        texts += [event.kind, event.message, json.dumps(event.data)]
    return texts


def states(run):
    return [step.state for step in run.steps.all()]


def keeps_the_rules(operation, *, world, secrets=(), caplog=None, seconds=30.0, tenant=None):
    """Check changes nothing; apply twice, the second time is skipped; no secret in args, events, reasons or the log.

    `world` returns what the operation is about, as a value that can be compared; it must not be as wanted yet.
    """
    if caplog is not None:
        caplog.set_level(logging.DEBUG)
    stored = json.loads(json.dumps(operation.to_json()))
    assert rebuild(stored["key"], stored["args"]) == operation, "it does not come back from its stored arguments"
    assert dataclasses.is_dataclass(operation) and operation.__dataclass_params__.frozen, "it can be changed"
    assert stored["describe"].strip(), "it does not say what it will do"

    before = world()
    checked = drive(start(operation, mode=Run.Mode.CHECK, tenant=tenant), seconds)
    assert world() == before, "check changed something"
    assert states(checked) == ["failed"], f"check does not tell that it is not as wanted: {checked.why}"

    first = drive(start(operation, tenant=tenant), seconds)
    assert states(first) == ["succeeded"], f"it was not brought about: {first.why}"
    wanted = world()
    assert wanted != before, "apply changed nothing"
    second = drive(start(operation, tenant=tenant), seconds)
    assert states(second) == ["skipped"], f"what is as wanted was not skipped: {states(second)} {second.why}"
    assert world() == wanted, "the second time changed something"
    assert drive(start(operation, mode=Run.Mode.CHECK, tenant=tenant), seconds).state == "succeeded", (
        "check does not see that it is as wanted"
    )

    texts = [text for run in (checked, first, second) for text in told(run)]
    if caplog is not None:
        texts += [record.getMessage() for record in caplog.records]
    for secret in secrets:
        assert not [text for text in texts if secret in text], "a secret was told"


def fails_well(operation, *, cause, secrets=(), seconds=30.0, tenant=None):
    """It fails with a named cause, words that say what to do, and no secret; returns the run."""
    run = drive(start(operation, tenant=tenant), seconds)
    assert (run.state, run.cause) == ("failed", cause), (run.state, run.cause, run.why)
    assert len(run.why.split()) >= 4, f"these words do not help: {run.why}"
    for secret in secrets:
        assert not [text for text in told(run) if secret in text], "a secret was told"
    return run
