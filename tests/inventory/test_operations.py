"""The step that looks at an environment, as the engine carries it out."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import ValidationError

from accounts.models import AuditEntry
from inventory.exposing import probe_many
from inventory.models import Environment
from inventory.operations import ProbeEnvironment
from runs.models import Event, Run, Step
from tests.factories import actor
from tests.inventory import factories
from tests.inventory.exposed import TOKEN, exposed
from tests.runs.drive import drive
from tests.runs.factories import start

pytestmark = pytest.mark.django_db


def look(environment, since):
    return ProbeEnvironment(environment_id=environment.pk, name=str(environment), since=since.isoformat())


def test_a_look_is_made_once_and_the_second_is_skipped(acme, alice, double):
    from django.utils import timezone

    environment = exposed(alice, acme, double)
    since = timezone.now()
    runs = [drive(start(look(environment, since))) for _ in range(2)]
    assert [run.steps.get().state for run in runs] == ["succeeded", "skipped"]
    assert environment.probes.count() == 2


def test_checking_only_changes_nothing(acme, alice, double):
    from django.utils import timezone

    environment = exposed(alice, acme, double)
    run = drive(start(look(environment, timezone.now()), mode="check"))
    assert run.state == "failed"
    assert environment.probes.count() == 1


def test_many_are_looked_at_each_for_itself(acme, alice, double, impatient):
    good, bad = exposed(alice, acme, double), exposed(alice, acme, double, "bad", token="ctok-nobody-0")
    run = drive(probe_many(by=actor(alice), tenant=acme, environments=[bad, good]))
    assert list(run.children.order_by("position").values_list("title", "state", "cause")) == [
        ("Check bad", "failed", "unreachable"),
        ("Check plant", "succeeded", ""),
    ]
    assert "does not know this token" in run.children.get(state="failed").why
    assert AuditEntry.objects.get(action="environment.probe").after == {"environments": ["bad", "plant"]}
    kept = json.dumps(
        [list(Step.objects.values_list("args", "memory", "why")), list(Event.objects.values_list("message", "data"))]
    )
    assert TOKEN not in kept and "ctok-nobody-0" not in kept


def test_what_degrades_is_said_as_a_warning(acme, alice, loopback):
    from inventory.doubles import ManagerDouble

    with ManagerDouble(clock_skew=300) as double:
        run = drive(probe_many(by=actor(alice), tenant=acme, environments=[exposed(alice, acme, double)]))
    assert run.state == "succeeded"
    assert "Set both clocks" in Event.objects.get(kind="warning").message


def test_an_environment_that_was_removed_meanwhile_is_named(acme, alice):
    environment = factories.environment(acme, "gone")
    run = probe_many(by=actor(alice), tenant=acme, environments=[environment])
    Environment.objects.all().delete()
    child = drive(run).children.get()
    assert (child.state, child.cause) == ("failed", "gone")
    assert "gone is no environment any more" in child.why


def test_nothing_and_too_many_are_refused(acme, alice, monkeypatch):
    monkeypatch.setattr("inventory.exposing.MOST_AT_ONCE", 1)
    environments = [factories.environment(acme), factories.environment(acme)]
    for chosen, words in (([], "at least one"), (environments, "at most 1")):
        with pytest.raises(ValidationError, match=words):
            probe_many(by=actor(alice), tenant=acme, environments=chosen)
    assert not Run.objects.exists()
