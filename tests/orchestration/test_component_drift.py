"""Components and shared resources that are not as wanted at the other side: what check_drift says of them, and what an update does."""

from __future__ import annotations

import pytest

from inventory.connectors.resources import Deployment
from inventory.doubles import ManagerDouble
from orchestration.drift import is_drift
from orchestration.models import Execution
from tests.orchestration import factories as made
from tests.orchestration.serving import shelf
from tests.orchestration.test_component_looks import ARCHIVE, Component

pytestmark = pytest.mark.django_db


@pytest.fixture
def double(settings):
    settings.ENDPOINT_NETWORKS = ["127.0.0.1/32"]
    with ManagerDouble() as double:
        yield double


@pytest.fixture
def component(acme, alice, double):
    """An installed one."""
    execution = made.execution(
        made.local(acme, "wrapper", by=alice), "install", Execution.State.STARTED, created_by=alice
    )
    with shelf() as files:
        one = Component(execution, double)
        one.blueprint["blueprint_archive"] = files.put("/app.tar.gz", ARCHIVE)
        one.install()
        yield one


def row_of(double):
    return double.answers("acme").world.deployments["app"]


def drift(component, kind="component"):
    """What the check says."""
    found = component.run(f"{kind}.check_drift", "check_drift")
    assert found.is_done and not found.error, found
    return found.result


def test_what_is_as_wanted_has_no_drift(component):
    assert drift(component) == {} and not is_drift({"ok": True, "result": drift(component)})
    assert drift(component, "shared_resource") == {}


def test_other_inputs_there_are_named_without_their_values(component, double):
    row_of(double).inputs = {"hello": "Mars", "added": "by a default"}
    assert drift(component) == {"inputs": "Other inputs there: hello"}
    assert "Mars" not in str(component.said) and "app has drifted" in " ".join(component.said)
    assert drift(component, "shared_resource") == {}  # how somebody else's is made is not ours to judge


def test_other_inputs_wanted_are_drift_until_an_update_has_brought_them(component, double):
    component.deployment["inputs"] = {"hello": "Venus"}
    assert list(drift(component)) == ["inputs"]
    assert component.run("component.preupdate", "preupdate").is_done
    assert component.run("component.update", "update").is_done
    assert row_of(double).inputs["hello"] == "Venus" and drift(component) == {}
    assert component.memory["capabilities"] == {"answer": "hello"} and component.memory["blueprint"]["is_ours"] is True
    before = double.count("POST", "/deployment-updates")
    assert component.run("component.update", "update").is_done  # once more changes nothing
    assert double.count("POST", "/deployment-updates") == before == 1


def test_one_that_was_uninstalled_or_removed_there_has_drifted_and_is_brought_back(component, double):
    double.answers("acme").world.start(row_of(double), "uninstall")
    assert "not installed there" in drift(component)["installation"]
    assert drift(component, "shared_resource").keys() == {"installation"}
    assert component.run("component.update", "update").is_done and drift(component) == {}
    del double.answers("acme").world.deployments["app"]
    del double.answers("acme").world.blueprints["app"]
    assert drift(component) == {"deployment": "It is not there any more"}
    assert component.run("component.preupdate", "preupdate").is_done
    assert component.run("component.update", "update").is_done and drift(component) == {}
    assert row_of(double).is_installed and component.memory["deployment"] == {"id": "app"}


def test_another_blueprint_wanted_is_brought_before_the_update(component, double):
    component.blueprint["id"] = "app-2"
    assert component.run("component.preupdate", "preupdate").is_done
    assert drift(component).keys() == {"blueprint"}
    assert component.run("component.update", "update").is_done
    assert row_of(double).blueprint_id == "app-2" and drift(component) == {}


def test_instances_that_have_drifted_there_count_and_an_update_there_sets_them_right(component, double, monkeypatch):
    left = [2]
    read = Deployment.read.__func__
    monkeypatch.setattr(
        Deployment, "read", classmethod(lambda cls, row: read(cls, {**row, "drifted_instances": left[0]}))
    )
    assert drift(component) == {"instances": "2 of its instances have drifted there, by check_drift"}
    assert drift(component, "shared_resource").keys() == {"instances"}
    assert component.run("component.update", "update").is_done
    assert double.count("POST", "/deployment-updates") == 1
    left[0] = 0
    assert drift(component) == {}


def test_what_is_at_work_there_is_not_judged_and_what_is_somebody_elses_not_changed(component, double):
    double.script.update = 30.0
    row = row_of(double)
    row.inputs = {"hello": "Mars"}
    double.answers("acme").world.start(row, "update")
    assert drift(component) == {} and "not compared this time" in " ".join(component.said)
    row.runs.pop()
    row.labels = [label for label in row.labels if label["key"] != "portal-service"]
    assert "owner" in drift(component)
    found = component.run("component.update", "update")
    assert "not this component's any more" in found.error and row.inputs == {"hello": "Mars"}


def test_an_update_that_fails_there_says_so_in_the_managers_words(component, double):
    double.script.update_error = row_of(double).script.update_error = "RuntimeError: no room"
    component.deployment["inputs"] = {"hello": "Venus"}
    found = component.run("component.update", "update")
    assert "update of app failed there" in found.error and "no room" in found.error


def test_one_that_others_made_is_never_updated(component, double):
    component.deployment |= {"external_resource": True, "inputs": {"hello": "Venus"}}
    assert drift(component) == {}
    assert component.run("component.update", "update").is_done
    assert double.count("POST", "/deployment-updates") == 0
