"""Labels of many deployments at once."""

from __future__ import annotations

import pytest

from accounts.models import AuditEntry
from inventory.bulk_labels import change_labels, difference
from inventory.models import Label
from tests.factories import actor
from tests.inventory import factories as inventory
from tests.inventory.test_api import Caller

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


def test_over_the_api_labels_are_added_and_removed_and_others_stay(client, three, alice):
    api = Caller(client, alice)
    body = {"environments": ["e1", "e2"], "add": {"Zone": ["a", "b"]}, "remove": ["env=test", "ring"]}
    told = api("post", "environments/change-labels", body | {"is_dry_run": True})
    wanted = {
        "touched": 2,
        "gained": [{"label": "zone=a", "environments": 2}, {"label": "zone=b", "environments": 2}],
        "lost": [{"label": "env=test", "environments": 1}, {"label": "ring=1", "environments": 1}],
    }
    assert (told.status_code, told.json()) == (200, wanted) and labels_of(three[0]) == [("env", "prod"), ("ring", "1")]
    Label.objects.create(deployment=three[0].deployment, key="mine", value="1")  # by somebody, meanwhile
    assert api("post", "environments/change-labels", body).json() == wanted
    assert labels_of(three[0]) == [("env", "prod"), ("mine", "1"), ("zone", "a"), ("zone", "b")]
    assert labels_of(three[2]) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "name at least one label to add or to remove"),
        ({"add": {"csys-obj-type": "x"}}, "is a label of the system"),
        ({"remove": ["csys-obj-parent"]}, "is a label of the system"),
        ({"add": {"a b": "c"}}, "a b"),
        ({"add": {"a": "b"}, "environments": ["e1", "nosuch"]}, "There is no environment nosuch here"),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_changes_nothing(client, three, alice, wrong, words):
    reply = Caller(client, alice)("post", "environments/change-labels", {"environments": ["e1"]} | wrong)
    assert reply.status_code == 400 and words in reply.text
    assert labels_of(three[0]) == [("env", "prod"), ("ring", "1")]
