"""Looks at sub-managers: orphans both ways, drift without false alarms, and what is done about them."""

from __future__ import annotations

import pytest

from accounts.errors import Conflict
from accounts.models import AuditEntry
from deployon import clearing, mending, orphans, rollouts, scans
from deployon.adoption import Wish
from deployon.models import Placement, Rollout, Scan
from inventory.doubles import Fault, FaultKind
from inventory.models import Deployment, Environment
from runs.models import Run
from tests import factories
from tests.deployon import factories as make
from tests.inventory import factories as inventory
from tests.runs.drive import drive as drive_runs

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
SCHEMA = {"port": {"type": "integer", "default": 80}, "name": {"type": "string", "default": "x"}}


def world(double, environment):
    return double.answers(environment.remote_tenant).world


def put_by_hand(double, environment, name="foreign", **labels):
    """A deployment that somebody made there."""
    home = world(double, environment)
    rows = [
        {"key": key.replace("_", "-"), "value": value, "created_at": "", "created_by": "x"}
        for key, value in labels.items()
    ]
    from inventory.doubles.world import BlueprintRow, DeploymentRow

    home.blueprints.setdefault("theirs", BlueprintRow("theirs", "uploaded", "", 0.0, 1))
    home.deployments[name] = row = DeploymentRow(name, "theirs", name, None, rows, {"port": 5}, home.script)
    home.start(row, "create_deployment_environment")
    home.start(row, "install")
    return row


@pytest.fixture
def fleet(double, acme, alice, drive):
    """hello on edge1 and edge2."""
    version = make.version(acme, inputs_schema=SCHEMA)
    rows = [make.environment(double, acme, name) for name in ("edge1", "edge2")]
    drive(make.rollout(alice, version, rows))
    return version, rows


def look(acme, rows):
    scans.scan(scans.for_asking(Environment.objects.filter(pk__in=[row.pk for row in rows])))
    chosen = Environment.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk")
    found = orphans.drifted(acme, chosen)
    return orphans.reports(acme, chosen), {each.placement.environment_id: each for each in found}


def test_what_was_put_by_hand_what_is_gone_and_what_cannot_be_asked_are_told_apart(acme, double, fleet):
    _, rows = fleet
    empty, away = make.environment(double, acme, "empty"), make.environment(double, acme, "away")
    unseen = inventory.environment(acme, "unseen", state="ready")
    double.faults.append(Fault(FaultKind.UNAUTHORIZED, tenant=away.remote_tenant))
    put_by_hand(double, rows[0])
    put_by_hand(double, rows[0], "an-environment", csys_obj_type="environment")
    world(double, rows[1]).deployments.clear()

    found, drifted = look(acme, [*rows, empty, away])
    by_name = {each.name: each for each in [*found, *orphans.reports(acme, [unseen])]}

    assert {name: each.state for name, each in by_name.items()} == {
        "edge1": "orphans", "edge2": "orphans", "empty": "empty", "away": "unreachable", "unseen": "unseen",
    }  # fmt: skip
    assert [each.deployment for each in by_name["edge1"].strays] == ["foreign"]
    assert by_name["edge1"].ghosts == [] and by_name["edge1"].standing == 1
    assert [each.service for each in by_name["edge2"].ghosts] == ["hello"]
    assert "has expired" in by_name["away"].error
    assert {each.kind for each in drifted.values()} == {"deleted"}


def test_an_environment_that_does_not_answer_keeps_what_was_seen_before(acme, double, fleet):
    _, rows = fleet
    look(acme, rows)
    double.faults.append(Fault(FaultKind.ERROR, tenant=rows[0].remote_tenant))
    found, drifted = look(acme, rows)
    assert (found[0].state, found[0].standing, found[1].state) == ("unreachable", 1, "clear")
    assert not drifted


def test_nothing_changed_is_no_drift_with_defaults_and_with_secrets(acme, alice, double, fleet, drive):
    _, rows = fleet
    assert not look(acme, rows)[1]
    other = make.version(acme, "other", inputs_schema=SCHEMA)
    drive(make.rollout(alice, other, rows[:1], inputs={"name": {"get_secret": "name"}}))
    world(double, rows[0]).deployments["other"].inputs["name"] = "evaluated"
    assert not look(acme, rows)[1]


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda row: row.inputs.update(port=81), "inputs", "port"),
        (lambda row: setattr(row, "blueprint_id", "other"), "content", "its blueprint is other"),
        (lambda row: row.labels.clear(), "owner", "left no label"),
        (lambda row: row.runs.pop(), "installation", "not installed"),
    ],
)
def test_what_was_changed_by_hand_is_told(acme, double, fleet, change, kind, words):
    _, rows = fleet
    change(world(double, rows[0]).deployments["hello"])
    drifted = look(acme, rows)[1]
    assert list(drifted) == [rows[0].pk]
    assert drifted[rows[0].pk].kind == kind and words in drifted[rows[0].pk].why


def test_a_look_from_before_a_rollout_tells_nothing_any_more(acme, alice, double, fleet, drive):
    version, rows = fleet
    world(double, rows[0]).deployments["hello"].inputs["port"] = 81
    look(acme, rows)
    drive(make.rollout(alice, version, rows, action="update", survey=True))
    assert not orphans.drifted(acme, Environment.objects.all())
    assert Scan.objects.exclude(drift=[]).count() == 1


def test_only_what_drifted_is_set_right_each_with_its_own_inputs(acme, alice, double, drive):
    from deployon.sources import Sources

    version = make.version(acme, inputs_schema=SCHEMA)
    rows = [make.environment(double, acme, name) for name in ("a", "b", "c")]
    own = Sources.read({}, {"a": {"port": 1}, "b": {"port": 2}, "c": {"port": 3}})
    drive(make.rollout(alice, version, rows, own=own))
    world(double, rows[0]).deployments["hello"].inputs["port"] = 99
    world(double, rows[1]).deployments.clear()
    drifted = look(acme, rows)[1]
    keys = [each.placement.pk for each in drifted.values()]

    by = factories.actor(alice)
    preview = mending.preview_mending(by=by, tenant=acme, placements=keys)
    assert [row["name"] for row in preview.content["update"]] == ["a"]
    assert [row["name"] for row in preview.content["create"]] == ["b"]
    rollout = drive(rollouts.start_rollout(by=by, tenant=acme, digest=preview.digest))

    assert rollout.run.state == "succeeded", [each.why for each in rollout.run.children.all()]
    assert [world(double, each).deployments["hello"].inputs["port"] for each in rows] == [1, 2, 3]
    assert [len(world(double, each).deployments["hello"].runs) for each in rows] == [3, 2, 2]
    assert not look(acme, rows)[1]


def test_a_record_is_forgotten_only_where_its_deployment_is_surely_gone(acme, alice, double, fleet):
    _, rows = fleet
    by, keys = factories.actor(alice), list(Placement.objects.order_by("pk").values_list("pk", flat=True))
    with pytest.raises(Conflict, match="is there"):
        mending.forget_placements(by=by, tenant=acme, placements=keys[:1])
    world(double, rows[0]).deployments.clear()
    double.faults.append(Fault(FaultKind.ERROR, tenant=rows[0].remote_tenant, times=1))
    with pytest.raises(Conflict, match="cannot be told"):
        mending.forget_placements(by=by, tenant=acme, placements=keys[:1])
    assert mending.forget_placements(by=by, tenant=acme, placements=keys[:1], dry_run=True) == ["hello@edge1"]
    assert Placement.objects.count() == 2
    mending.forget_placements(by=by, tenant=acme, placements=keys[:1])
    assert Placement.objects.count() == 1
    assert Deployment.objects.filter(kind="placement").count() == 1
    assert AuditEntry.objects.filter(action="placement.forget").count() == 1


def test_what_has_no_record_here_is_removed_there_after_a_preview(acme, alice, double, fleet):
    _, rows = fleet
    by = factories.actor(alice)
    put_by_hand(double, rows[0])
    put_by_hand(double, rows[0], "claimed", portal_service="x", portal_env="of-another-portal")
    put_by_hand(double, rows[0], "base")
    put_by_hand(double, rows[0], "above", csys_obj_parent="base")
    names = ("foreign", "claimed", "hello", "never", "base")
    wishes = [Wish(rows[0].pk, name) for name in names]
    found = clearing.preview_clearing(by=by, tenant=acme, wishes=wishes)
    assert [each.verdict for each in found] == ["remove", "excluded", "excluded", "gone", "excluded"]
    assert "another portal" in found[1].why and "by a rollout" in found[2].why and "above" in found[4].why
    with pytest.raises(Conflict):
        clearing.start_clearing(by=by, tenant=acme, wishes=wishes, digest="0" * 64)

    run = clearing.start_clearing(by=by, tenant=acme, wishes=wishes, digest=clearing.digest_of(found))
    drive_runs(run, 20)

    assert Run.objects.get(pk=run.pk).state == "succeeded", run.children.get().why
    left = [name for name in list(world(double, rows[0]).deployments) if world(double, rows[0]).deployment(name)]
    assert sorted(left) == ["above", "base", "claimed", "hello"]


def test_by_api_a_viewer_looks_and_only_an_operator_acts(api_of, acme, alice, bob, charlie, double, fleet, drive):
    _, rows = fleet
    put_by_hand(double, rows[0])
    world(double, rows[1]).deployments.clear()
    api, keys = api_of(alice), [row.pk for row in rows]
    told = api.post("/api/v1/scans/", {"environments": keys}, format="json").json()
    assert [each["state"] for each in told] == ["orphans", "orphans"]
    assert api_of(bob).get("/api/v1/scans/").json()["count"] == 2
    drifted = api_of(bob).get("/api/v1/scans/drift/").json()["results"]
    assert [(each["kind"], each["environment_name"], each["is_fixable"]) for each in drifted] == [
        ("deleted", "edge2", True)
    ]
    body = {"placements": [drifted[0]["placement"]]}
    for address in ("", "mend/", "forget/", "remove/"):
        assert api_of(bob).post(f"/api/v1/scans/{address}", body, format="json").status_code == 403
    outside = api_of(charlie)
    assert outside.get("/api/v1/scans/").json()["count"] == 0
    assert outside.post("/api/v1/scans/forget/", body, format="json").status_code == 400
    assert api.post("/api/v1/scans/forget/", body | {"dry_run": True}, format="json").json() == {
        "forgotten": ["hello@edge2"]
    }
    mended = api.post("/api/v1/scans/mend/", body, format="json")
    started = api.post("/api/v1/rollouts/", {"digest": mended.json()["digest"]}, format="json")
    assert drive(Rollout.objects.get(pk=started.json()["id"])).run.state == "succeeded"
    wishes = {"deployments": [{"environment": rows[0].pk, "deployment": "foreign"}]}
    shown = api.post("/api/v1/scans/remove/", wishes, format="json").json()
    assert shown["run"] is None and shown["deployments"][0]["verdict"] == "remove"
    run = api.post("/api/v1/scans/remove/", wishes | {"digest": shown["digest"]}, format="json")
    assert run.status_code == 201 and run.json()["run"]


def test_the_chore_looks_at_those_that_are_due_and_can_be_switched_off(acme, double, fleet, settings):
    _, rows = fleet
    inventory.environment(acme, "down", state="unreachable")
    settings.SCAN_EVERY_SECONDS = 0
    scans.scan_due()
    assert not Scan.objects.exists()
    settings.SCAN_EVERY_SECONDS = 3600
    assert {row.pk for row in scans.due()} == {row.pk for row in rows}
    scans.scan_due()
    assert Scan.objects.filter(error="").count() == 2 and scans.due() == []


def test_instances_that_drifted_there_are_told_and_those_that_nobody_checked_are_not(acme, double, fleet, monkeypatch):
    from inventory.doubles.world import DeploymentRow

    _, rows = fleet
    answer = DeploymentRow.answer
    monkeypatch.setattr(DeploymentRow, "answer", lambda row: answer(row) | {"unavailable_instances": 1})
    assert not look(acme, rows)[1]
    monkeypatch.setattr(DeploymentRow, "answer", lambda row: answer(row) | {"drifted_instances": 2})
    drifted = look(acme, rows)[1]
    assert {each.kind for each in drifted.values()} == {"instances"}
    assert "2 of its instances" in drifted[rows[0].pk].why
