"""Long lists of v3.1 are written from plain values of columns: the same as row by row, in one order, and never from yesterday's plan."""

from __future__ import annotations

import datetime
import json

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from inventory.models import Deployment, Label, Site
from orchestration.models import (
    Blueprint,
    BlueprintNode,
    DeploymentGroup,
    Execution,
    ExecutionEvent,
    ExecutionGroup,
    LocalDeployment,
    NodeInstance,
)
from orchestration.wire import plain, plans
from orchestration.wire.blueprint_shape import BLUEPRINT
from orchestration.wire.deployment_shape import DEPLOYMENT
from orchestration.wire.events import EVENTS, EventRows
from orchestration.wire.execution_shape import EXECUTION
from orchestration.wire.nodes import INSTANCE, NODE
from orchestration.wire.plain import PlainRows
from orchestration.wire.times import AsText, wire_time
from tests.inventory import factories as inventory
from tests.orchestration import factories as made

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

ODD = 'é "quoted" \\ back\u2028slash \x07 ‮ 한 %s {}'
SHAPES = {
    Deployment: DEPLOYMENT,
    Blueprint: BLUEPRINT,
    Execution: EXECUTION,
    BlueprintNode: NODE,
    NodeInstance: INSTANCE,
}


@pytest.fixture
def filled(acme, alice):
    """Rows of all sorts: odd texts, empty ones, an environment, what is not created yet."""
    site = Site.objects.create(tenant=acme, name=ODD)
    for number in range(4):
        labels = (("env", ODD), ("csys-env-type", f"t{number}"), ("zone", "a")) if number else ()
        row = made.local(
            acme, by=alice if number % 2 else None, instances=("started", "deleted")[:number], labels=labels
        )
        Deployment.objects.filter(pk=row.deployment_id).update(site=site, description=ODD, display_name=ODD)
        instances = NodeInstance.objects.filter(local=row)
        instances.update(runtime_properties={ODD: [1.5, None]}, system_properties={"status": {"ok": True}})
        run = made.execution(row, error=ODD, parameters={"a": ODD})
        made.event(run, ODD)
        made.event(run, kind="cloudify_log", level="info", error_causes=[{"message": ODD}])
        made.execution(row, "upload_blueprint", local=None)
    LocalDeployment.objects.filter(pk=row.pk).update(plan=None, inputs=None)
    needed = {**made.PLAN, "description": ODD, "requirements": {"secrets": [ODD], "parent_capabilities": []}}
    Blueprint.objects.filter(pk=row.blueprint_id).update(plan=needed)
    made.blueprint(acme, plan=None, state=Blueprint.State.PARSING)
    made.blueprint(acme, plan={**made.PLAN, "requirements": None})
    group = DeploymentGroup.objects.create(tenant=acme, wire_id=ODD)
    group.members.add(*Deployment.objects.all()[:2])
    runs = ExecutionGroup.objects.create(tenant=acme, workflow="install")
    ExecutionEvent.objects.create(group=runs, kind="cloudify_event", timestamp=timezone.now(), message="of a group")
    inventory.environment(acme)


@pytest.mark.parametrize("model", SHAPES)
def test_a_row_of_a_list_is_what_the_same_row_is_alone(filled, model):
    shape = SHAPES[model]
    include = list(shape.fields)
    rows = model.objects.order_by("-pk")
    keys = [*rows.values_list("pk", flat=True)]
    texts = list(PlainRows(shape, include).texts(rows, keys))
    assert len(texts) == rows.count() >= 3
    for key, text in zip(keys, texts, strict=True):
        alone = next(PlainRows(shape, include).rendered(rows, [key]))
        if model is Blueprint:  # whose plan goes out as the database writes it
            assert json.loads(text) == alone and list(json.loads(text)) == list(alone)
        else:
            assert text == json.dumps(alone, ensure_ascii=False, separators=(",", ":"))
        if model is not Deployment:  # of which no row is at hand anywhere
            assert shape.render(model.objects.get(pk=key)) == alone


def test_a_list_of_blueprints_reads_no_plan_and_tells_all(call, acme, alice, monkeypatch):
    needed = {"secrets": ["a"], "parent_capabilities": [["host"]]}
    made.blueprint(acme, "shop", plan={**made.PLAN, "requirements": needed})
    made.blueprint(acme, "new", plan=None)
    read, loads = [], json.loads
    monkeypatch.setattr(
        json, "loads", lambda text, *more, **options: read.append(text) or loads(text, *more, **options)
    )
    reply = call(alice, "GET", "/blueprints?_sort=id")
    monkeypatch.undo()
    assert not [text for text in read if "plugin" in str(text)]  # which every plan has, and nothing else of these rows
    new, shop = reply.json()["items"]
    assert (new["plan"], new["requirements"]) == (None, None)
    assert (shop["plan"], shop["requirements"]) == ({**made.PLAN, "requirements": needed}, needed)
    assert call(alice, "GET", "/blueprints/shop").json()["plan"] == shop["plan"]
    (found,) = call(alice, "GET", "/blueprints?id=shop&_include=requirements").json()["items"]
    assert found == {"requirements": needed}


def test_each_field_alone_is_as_in_the_whole_row(filled):
    rows = Deployment.objects.order_by("pk")
    keys = [*rows.values_list("pk", flat=True)]
    whole = [json.loads(text) for text in PlainRows(DEPLOYMENT, list(DEPLOYMENT.fields)).texts(rows, keys)]
    for name in DEPLOYMENT.fields:
        assert [json.loads(text) for text in PlainRows(DEPLOYMENT, [name]).texts(rows, keys)] == [
            {name: row[name]} for row in whole
        ]


def test_events_have_the_fields_of_their_kind(filled):
    rows = ExecutionEvent.objects.order_by("pk")
    keys = [*rows.values_list("pk", flat=True)]
    found = [json.loads(text) for text in EventRows(list(EVENTS.fields)).texts(rows, keys)]
    assert {(row["type"], "level" in row, "logger" in row, "event_type" in row) for row in found} == {
        ("cloudify_event", False, False, True),
        ("cloudify_log", True, True, False),
    }
    assert next(row["message"] for row in found) == ODD
    of_group = next(row for row in found if row["message"] == "of a group")
    assert of_group["execution_id"] is None and of_group["manager_name"] is None and of_group["execution_group_id"]


def test_a_list_longer_than_one_query_keeps_its_order(call, acme, alice, monkeypatch):
    for number in range(9):
        made.local(acme, f"d{number}", labels=(("n", str(number)),))
    monkeypatch.setattr(plain, "BATCH", 2)
    items = call(alice, "GET", "/deployments?_sort=-id&_include=id,labels").json()["items"]
    assert [row["id"] for row in items] == [f"d{number}" for number in reversed(range(9))]
    assert [row["labels"][0]["value"] for row in items] == [str(number) for number in reversed(range(9))]


def test_a_plan_that_changes_is_seen_in_the_next_list(call, acme, alice):
    row = made.local(acme, "shop")
    other = made.local(acme, "other")

    def outputs():
        items = call(alice, "GET", "/deployments?_sort=id&_include=id,outputs").json()["items"]
        return {item["id"]: item["outputs"] for item in items}

    assert outputs() == {"shop": {}, "other": {}}
    row.plan = {**row.plan, "outputs": {"address": {"value": "here"}}}
    row.save(update_fields=["plan"])
    assert outputs() == {"shop": {"address": {"value": "here"}}, "other": {}}
    LocalDeployment.objects.filter(pk=other.pk).update(plan=F("plan"), inputs={})
    LocalDeployment.objects.filter(pk=row.pk).update(plan=None)
    assert outputs() == {"shop": None, "other": {}}


def test_more_plans_than_are_remembered_are_all_shown(call, acme, alice, monkeypatch):
    monkeypatch.setattr(plans, "KEPT", 2)
    for number in range(5):
        row = made.local(acme, f"d{number}")
        row.plan = {**row.plan, "outputs": {"number": {"value": number}}}
        row.save(update_fields=["plan"])
    for _ in range(2):
        items = call(alice, "GET", "/deployments?_include=id,outputs").json()["items"]
        assert {item["id"]: item["outputs"]["number"]["value"] for item in items} == {f"d{n}": n for n in range(5)}
        assert len(plans._KNOWN) <= 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-22 03:41:20.940123+00", "2026-11-22T03:41:20.940Z"),
        ("2026-11-22 03:41:20.94+00", "2026-11-22T03:41:20.940Z"),
        ("2026-11-22 03:41:20.9+00", "2026-11-22T03:41:20.900Z"),
        ("2026-11-22 03:41:20+00", "2026-11-22T03:41:20.000Z"),
        ("2026-11-22 03:41:20.009999", "2026-11-22T03:41:20.009Z"),
        ("2026-11-22 03:41:20", "2026-11-22T03:41:20.000Z"),
        (None, None),
    ],
)
def test_a_time_as_a_database_writes_it_is_shown_with_milliseconds(text, shown):
    assert wire_time(text) == shown


@pytest.mark.parametrize("microsecond", [0, 1, 999, 1000, 100_000, 120_000, 999_999])
def test_a_time_is_shown_alike_read_as_a_time_and_as_text(acme, microsecond):
    moment = datetime.datetime(2026, 2, 3, 4, 5, 6, microsecond, tzinfo=datetime.UTC)
    row = made.local(acme, labels=(("a", "b"),)).deployment
    Label.objects.update(created_at=moment)
    as_text = Label.objects.filter(deployment=row).values_list(AsText("created_at"), flat=True).get()
    assert wire_time(as_text) == wire_time(moment) == f"2026-02-03T04:05:06.{microsecond // 1000:03d}Z"
    assert Label.objects.filter(created_at__lt=Now()).exists()
