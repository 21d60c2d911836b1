"""Saved filters of blueprints: kept with their rules, applied by name, each change audited."""

from __future__ import annotations

import pytest

from accounts.models import AuditEntry
from orchestration.models import BlueprintFilter
from tests.orchestration import factories as made

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
BLUE = {"type": "label", "key": "Colour", "operator": "any_of", "values": ["blue"]}
RED = {"type": "label", "key": "colour", "operator": "any_of", "values": ["red"]}
APPS = {"type": "attribute", "key": "id", "operator": "starts_with", "values": ["app"]}
PATH = "/filters/blueprints/mine"


@pytest.fixture(autouse=True)
def blueprints(acme):
    for name, colour in (("app1", "blue"), ("app2", "red"), ("other", "blue")):
        made.blueprint(acme, name, labels=[{"key": "colour", "value": colour, "created_at": "2026-01-01T00:00:00Z"}])


def ids(reply):
    assert reply.status_code == 200, reply.content
    return sorted(row["id"] for row in reply.json()["items"])


def test_a_filter_is_saved_and_applied_alone_and_with_rules(call, alice, bob):
    kept = call(alice, "PUT", PATH, {"filter_rules": [BLUE, APPS]}).json()
    assert kept["id"] == "mine" and kept["is_system_filter"] is False
    assert kept["labels_filter_rules"] == [{**BLUE, "key": "colour"}] and kept["attrs_filter_rules"] == [APPS]
    assert ids(call(bob, "GET", "/blueprints?_filter_id=mine")) == ["app1"]
    reply = call(bob, "POST", "/searches/blueprints?_filter_id=mine", {"filter_rules": [RED]})
    assert ids(reply) == [] and reply.json()["metadata"]["filtered"] == 3
    assert ids(call(bob, "GET", "/filters/blueprints")) == ["mine"]


def test_rules_of_labels_alone_keep_those_of_attributes(call, alice):
    call(alice, "PUT", PATH, {"filter_rules": [BLUE, APPS]})
    assert call(alice, "PATCH", PATH, {"filter_rules": [RED]}).json()["value"] == [RED, APPS]
    assert ids(call(alice, "GET", "/blueprints?_filter_id=mine")) == ["app2"]


@pytest.mark.parametrize("rule", [{}, {**BLUE, "operator": "near"}, {**APPS, "key": "nosuch"}, {**BLUE, "key": 3}, "x"])
def test_a_wrong_rule_is_told_and_nothing_is_kept(call, alice, rule):
    refused = call(alice, "PUT", PATH, {"filter_rules": [rule]})
    assert (refused.status_code, refused.json()["error_code"]) == (400, "invalid_filter_rule")
    assert not BlueprintFilter.objects.exists()


def test_names_are_taken_once_and_reserved_ones_never(call, alice):
    assert call(alice, "PUT", PATH, {"filter_rules": [BLUE]}).status_code == 200
    assert call(alice, "PUT", PATH, {"filter_rules": [RED]}).status_code == 409
    assert call(alice, "PUT", "/filters/blueprints/csys-mine", {"filter_rules": [RED]}).status_code == 400


def test_who_may_not_change_filters_reads_them(call, alice, bob, charlie):
    call(alice, "PUT", PATH, {"filter_rules": [BLUE]})
    assert call(bob, "GET", PATH).status_code == 200
    for method in ("PUT", "PATCH", "DELETE"):
        assert call(bob, method, PATH, {"filter_rules": [RED]}).status_code == 403
    assert call(charlie, "GET", PATH, tenant="other").status_code == 404
    assert call(charlie, "GET", "/blueprints?_filter_id=mine", tenant="other").status_code == 404


def test_each_change_is_audited(call, alice):
    call(alice, "PUT", PATH, {"filter_rules": [BLUE]})
    call(alice, "PATCH", PATH, {"filter_rules": [RED]})
    assert call(alice, "DELETE", PATH).status_code == 204
    assert call(alice, "GET", PATH).status_code == 404
    told = list(AuditEntry.objects.filter(action__startswith="blueprint_filter").values_list("action", flat=True))
    assert sorted(told) == ["blueprint_filter.change", "blueprint_filter.create", "blueprint_filter.delete"]
