"""Labels of many deployments at once."""

from __future__ import annotations

import pytest

from accounts.models import AuditEntry
from inventory.bulk_labels import change_labels, difference
from tests.factories import actor
from tests.inventory import factories as inventory

pytestmark = pytest.mark.django_db


def labels_of(row):
    return sorted(row.deployment.labels.exclude(key__startswith="csys-").values_list("key", "value"))


@pytest.fixture
def three(acme):
    return [
        inventory.environment(acme, "e1", [("env", "prod"), ("ring", "1")]),
        inventory.environment(acme, "e2", [("env", "test"), ("env", "prod")]),
        inventory.environment(acme, "e3"),
    ]


def ids(rows):
    return [row.deployment_id for row in rows]


def test_what_would_change_is_counted_and_nothing_is_written(three):
    found = difference(ids(three), [("env", "prod")], [("env", "test"), ("ring", None)])
    assert found.gained == [("env=prod", 1)] and found.lost == [("env=test", 1), ("ring=1", 1)]
    assert found.touched == 3
    assert labels_of(three[2]) == []


def test_the_change_does_what_was_counted_under_one_audit_entry(three, alice, acme):
    done = change_labels(
        by=actor(alice), tenant=acme, ids=ids(three), add=[("env", "prod")], remove=[("env", "test"), ("ring", None)]
    )
    assert done.touched == 3
    assert [labels_of(row) for row in three] == [[("env", "prod")]] * 3
    entry = AuditEntry.objects.get(action="deployment.change_labels")
    assert entry.after == {"added": ["env=prod"], "removed": ["env=test", "ring"], "deployments": ["e1", "e2", "e3"]}


def test_what_is_added_and_removed_is_there_afterwards(three, alice, acme):
    change_labels(by=actor(alice), tenant=acme, ids=ids(three), add=[("env", "prod")], remove=[("env", None)])
    assert [labels_of(row) for row in three] == [[("env", "prod"), ("ring", "1")], [("env", "prod")], [("env", "prod")]]


def test_nothing_to_change_writes_nothing_not_even_to_the_trail(three, alice, acme):
    assert change_labels(by=actor(alice), tenant=acme, ids=ids(three[:1]), add=[("ring", "1")], remove=[]).touched == 0
    assert not AuditEntry.objects.filter(action="deployment.change_labels").exists()


def test_rows_of_another_tenant_are_left_alone(three, alice, other):
    assert change_labels(by=actor(alice), tenant=other, ids=ids(three), add=[("a", "b")], remove=[]).touched == 0
    assert labels_of(three[2]) == []


def test_the_number_of_queries_does_not_grow_with_the_rows(acme, alice, django_assert_max_num_queries):
    rows = [inventory.environment(acme) for _ in range(60)]
    with django_assert_max_num_queries(12):
        change_labels(by=actor(alice), tenant=acme, ids=ids(rows), add=[("a", "b"), ("c", "d")], remove=[("x", None)])
