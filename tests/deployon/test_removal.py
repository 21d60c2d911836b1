"""Environments that were in rollouts are removed: what stands there, what is at work there, what history keeps."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from accounts.errors import Conflict
from accounts.models import AuditEntry
from deployon import previews, reads, rollouts
from deployon.models import Placement, Rollout, Target
from inventory.exposing import hide
from inventory.models import Deployment, Environment
from runs.states import RunState
from tests.deployon import factories as make
from tests.factories import actor

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_one_that_was_in_rollouts_is_removed_and_they_stay_readable(alice, acme, double, drive, client) -> None:
    gone, left = make.environment(double, acme, "gone"), make.environment(double, acme, "left")
    first = drive(make.rollout(alice, make.version(acme)))
    undone = drive(rollouts.uninstall_rollout(by=actor(alice), rollout=first))

    hide(by=actor(alice), environment=gone)

    assert [(row.name, row.environment, row.state) for row in reads.rollout_rows(first)] == [
        ("gone", None, "succeeded"),
        ("left", left.pk, "succeeded"),
    ]
    assert not Deployment.objects.filter(display_name__contains="gone").exists()
    client.force_login(alice)
    for rollout in (first, undone):
        page = client.get(f"/rollouts/{rollout.pk}/")
        assert page.status_code == 200 and "gone" in page.text and "removed since" in page.text
        told = client.get(f"/api/v1/rollouts/{rollout.pk}/targets/").json()["results"]
        assert [(row["name"], row["environment"]) for row in told] == [("gone", None), ("left", left.pk)]
        run = rollout.targets.get(environment=None).run_id
        assert client.get(f"/runs/{run}/").status_code == 200


def test_what_stands_there_is_named_and_by_force_forgotten_here_and_left_there(alice, acme, double, drive) -> None:
    environment = make.environment(double, acme, "plant")
    rollout = drive(make.rollout(alice, make.version(acme)))
    asked = len(double.requests)

    with pytest.raises(Conflict, match="plant carries hello"):
        hide(by=actor(alice), environment=environment)
    assert Placement.objects.get().state == Placement.State.DEPLOYED

    hide(by=actor(alice), environment=environment, force=True)

    assert not Placement.objects.exists() and not Deployment.objects.exists() and not Environment.objects.exists()
    assert len(double.requests) == asked
    assert "hello" in double.answers(environment.remote_tenant).world.deployments
    entries = {
        entry.action: entry
        for entry in AuditEntry.objects.filter(action__in=["placement.forget", "environment.delete"])
    }
    assert entries["environment.delete"].before["forgotten"] == ["hello"]
    assert "placement.forget" in entries
    with pytest.raises(ValidationError, match="nothing to do"):
        rollouts.uninstall_rollout(by=actor(alice), rollout=rollout)


def test_where_a_run_is_at_work_or_waits_to_be_it_is_not_removed_even_by_force(alice, acme, double, drive) -> None:
    environment = make.environment(double, acme, "plant")
    rollout = make.rollout(alice, make.version(acme))

    with pytest.raises(Conflict, match=f"R-{rollout.targets.get().run_id} .* is at work on plant"):
        hide(by=actor(alice), environment=environment, force=True)

    rollouts.cancel_rollout(by=actor(alice), rollout=rollout)
    drive(rollout)
    hide(by=actor(alice), environment=environment, force=True)
    assert Target.objects.get().environment_name == "plant"


def test_a_placement_that_never_came_about_does_not_keep_it(alice, acme, double, drive) -> None:
    one, two = make.environment(double, acme, "a"), make.environment(double, acme, "b")
    double.script.install_error = "RuntimeError: no"
    drive(make.rollout(alice, make.version(acme), max_parallel=1, failure_budget=0))
    assert Placement.objects.get(environment=two).state == Placement.State.ABSENT

    hide(by=actor(alice), environment=two)

    with pytest.raises(Conflict, match="a carries hello"):
        hide(by=actor(alice), environment=one)


def test_a_retry_leaves_out_what_is_removed(alice, acme, double, drive) -> None:
    one, two = make.environment(double, acme, "a"), make.environment(double, acme, "b")
    double.script.install_error = "RuntimeError: no"
    rollout = drive(make.rollout(alice, make.version(acme)))
    hide(by=actor(alice), environment=one, force=True)

    rollouts.retry_rollout(by=actor(alice), rollout=rollout)
    drive(rollout)

    assert {target.environment_name: target.attempts for target in rollout.targets.all()} == {"a": 1, "b": 2}
    hide(by=actor(alice), environment=two, force=True)
    with pytest.raises(Conflict, match="nothing to retry"):
        rollouts.retry_rollout(by=actor(alice), rollout=rollout)
    assert rollout.run.state == RunState.FAILED


def test_the_api_removes_by_force_where_it_is_asked_to(alice, acme, double, drive, client) -> None:
    make.environment(double, acme, "plant")
    drive(make.rollout(alice, make.version(acme)))
    client.force_login(alice)

    refused = client.delete("/api/v1/environments/plant/")
    assert refused.status_code == 409 and "plant carries hello" in refused.json()["detail"]
    assert client.delete("/api/v1/environments/plant/?force=true").status_code == 204
    assert not Environment.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_one_that_is_removed_between_the_last_look_and_the_start_is_a_conflict(
    alice, acme, double, monkeypatch
) -> None:
    environment = make.environment(double, acme)
    make.environment(double, acme)
    shown = make.preview(alice, make.version(acme))

    def look_and_lose(preview, by):
        found = look_again(preview, by)
        hide(by=actor(alice), environment=environment)
        return found

    look_again = previews.look_again
    monkeypatch.setattr(previews, "look_again", look_and_lose)

    with pytest.raises(Conflict, match="removed a moment ago"):
        rollouts.start_rollout(by=actor(alice), tenant=acme, digest=shown.digest)

    assert not Rollout.objects.exists() and Environment.objects.count() == 2
