"""Labels: what may be one, setting and taking them, and the parent that they name."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from accounts.errors import Conflict
from accounts.models import AuditEntry, Visibility
from inventory import labels
from inventory.deployments import create_deployment, delete_deployment
from inventory.label_rules import normalise, normalise_all, pairs_from_json, pairs_from_wire
from inventory.models import Deployment
from tests.factories import actor
from tests.inventory import factories


def pairs(deployment):
    return sorted(deployment.labels.values_list("key", "value"))


def create(user, tenant, wire_id, **more):
    return create_deployment(by=actor(user), tenant=tenant, wire_id=wire_id, kind=Deployment.Kind.LOCAL, **more)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (("Env", "Prod"), ("env", "Prod")),
        (("csys-obj-type", "Environment"), ("csys-obj-type", "environment")),
        (("name", "ﬁne"), ("name", "fine")),
        (("city", "Tel Aviv, תל"), ("city", "Tel Aviv, תל")),
        (("csys-location-lat", "-90"), ("csys-location-lat", "-90")),
        (("k", ""), ("k", "")),
        (("k" * 256, "v" * 256), ("k" * 256, "v" * 256)),
    ],
)
def test_keys_become_lower_case_and_values_nfkc(given, stored):
    assert normalise(*given) == stored


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("", "v", "The key of a label is empty"),
        ("a b", "v", "The key `a b` contains illegal characters"),
        ("ключ", "v", "contains illegal characters"),
        ("k" * 257, "v", "too long"),
        ("k", "v" * 257, "too long"),
        ("k", "ﬃ" * 200, "too long"),
        ("k", 'say "hi"', "Control characters"),
        ("k", "a\nb", "Control characters"),
        (
            "csys-foo",
            "v",
            "All labels with a `csys-` prefix are reserved for internal use. Allowed `csys-` prefixed labels are:",
        ),
        ("csys-location-lat", "90.1", "Invalid latitude `90.1`. Must be a number between -90 and 90"),
        ("csys-location-long", "east", "Invalid longitude `east`. Must be a number between -180 and 180"),
        ("csys-location-long", "nan", "Invalid longitude"),
    ],
)
def test_a_wrong_label_is_refused_in_words(key, value, words):
    with pytest.raises(ValidationError) as caught:
        normalise(key, value)
    assert words in caught.value.message_dict["labels"][0]


def test_the_same_label_twice_in_one_request_is_an_error_and_two_values_of_a_key_are_not():
    assert normalise_all([("zone", "a"), ("Zone", "b")]) == [("zone", "a"), ("zone", "b")]
    with pytest.raises(ValidationError, match="You cannot define the same label twice: zone=a"):
        normalise_all([("zone", "a"), ("ZONE", "a")])


def test_labels_are_read_in_every_form_in_which_they_are_written():
    wanted = [("env", "prod"), ("zone", "a"), ("zone", "b")]
    assert pairs_from_wire([{"env": "prod"}, {"zone": ["a", "b"]}]) == wanted
    assert pairs_from_json({"env": "prod", "zone": ["a", "b"]}) == wanted
    assert pairs_from_json([{"key": "env", "value": "prod"}, {"key": "zone", "value": ["a", "b"]}]) == wanted
    assert pairs_from_json([{"env": "prod"}, {"zone": ["a", "b"]}]) == wanted


@pytest.mark.parametrize("raw", ["env=prod", {"a": "c"}, [{"a": "b", "c": "d"}], ["a"], None, 5])
def test_other_forms_are_refused_on_the_wire_as_the_genuine_manager_does(raw):
    with pytest.raises(ValidationError) as caught:
        pairs_from_wire(raw)
    assert caught.value.message_dict["labels"][0].startswith("Labels must be a list of 1-entry dictionaries: [{<key1>")


@pytest.mark.django_db
def test_setting_adding_and_removing_keeps_what_stays_and_is_audited(acme, alice):
    row = create(alice, acme, "shop", labels=[("env", "prod"), ("zone", "a")])
    kept = row.labels.get(key="env")
    labels.set_labels(by=actor(alice), deployment=row, labels=[("Env", "prod"), ("zone", "b")])
    assert pairs(row) == [("env", "prod"), ("zone", "b")]
    assert row.labels.get(key="env").pk == kept.pk
    labels.add_labels(by=actor(alice), deployment=row, labels=[("zone", "b"), ("zone", "c")])
    labels.remove_labels(by=actor(alice), deployment=row, labels=[("ENV", None), ("zone", "b"), ("nothing", "there")])
    assert pairs(row) == [("zone", "c")]
    told = AuditEntry.objects.filter(action="deployment.remove_labels").get()
    assert told.before == {"labels": ["env=prod", "zone=b", "zone=c"]}
    assert told.after == {"labels": ["zone=c"]}


@pytest.mark.django_db
def test_a_change_that_changes_nothing_is_not_audited(acme, alice):
    row = create(alice, acme, "shop", labels=[("env", "prod")])
    labels.set_labels(by=actor(alice), deployment=row, labels=[("env", "prod")])
    assert not AuditEntry.objects.filter(action="deployment.set_labels").exists()


@pytest.mark.django_db
def test_an_environment_stays_one_and_users_do_not_write_what_the_manager_computes(acme, alice):
    environment = factories.environment(acme, "plant")
    labels.set_labels(
        by=actor(alice), deployment=environment.deployment, labels=[("env", "prod"), ("csys-consumer-id", "x")]
    )
    assert pairs(environment.deployment) == [("csys-obj-type", "environment"), ("env", "prod")]


@pytest.mark.django_db
def test_the_parent_label_sets_the_parent_and_moves_counts_with_it(acme, alice):
    one, two = create(alice, acme, "one"), create(alice, acme, "two")
    child = create(alice, acme, "child", labels=[("csys-obj-parent", "one")])
    one.refresh_from_db()
    assert (child.parent, one.sub_services_count) == (one, 1)
    labels.set_labels(by=actor(alice), deployment=child, labels=[("csys-obj-parent", "two")])
    one.refresh_from_db()
    two.refresh_from_db()
    assert (child.parent, one.sub_services_count, two.sub_services_count) == (two, 0, 1)
    labels.remove_labels(by=actor(alice), deployment=child, labels=[("csys-obj-parent", None)])
    two.refresh_from_db()
    assert (child.parent, two.sub_services_count, two.sub_services_status) == (None, 0, None)


@pytest.mark.django_db
def test_a_parent_that_is_not_there_or_not_to_be_seen_is_refused(acme, other, alice, charlie):
    create(charlie, other, "theirs")
    for wire_id in ("nowhere", "theirs"):
        with pytest.raises(labels.ParentNotFound, match=f"There is no deployment {wire_id} to be the parent"):
            create(alice, acme, "child", labels=[("csys-obj-parent", wire_id)])
    assert not Deployment.objects.filter(wire_id="child").exists()


@pytest.mark.django_db
def test_circles_of_parents_are_refused(acme, alice):
    a = create(alice, acme, "a")
    create(alice, acme, "b", labels=[("csys-obj-parent", "a")])
    create(alice, acme, "c", labels=[("csys-obj-parent", "b")])
    for wire_id in ("a", "c"):
        with pytest.raises(Conflict, match="that would be a circle"):
            labels.set_labels(by=actor(alice), deployment=a, labels=[("csys-obj-parent", wire_id)])


@pytest.mark.django_db
def test_the_vocabulary_is_that_of_what_a_user_sees(acme, other, alice, bob, charlie):
    create(alice, acme, "mine", labels=[("env", "prod"), ("env", "dev")])
    create(alice, acme, "secret", labels=[("hidden", "x")], visibility=Visibility.PRIVATE)
    create(charlie, other, "theirs", labels=[("their", "y")])
    assert labels.label_keys(alice, acme) == ["env", "hidden"]
    assert labels.label_keys(bob, acme) == ["env"]
    assert labels.label_values(bob, acme, "ENV") == ["dev", "prod"]
    assert labels.label_values(bob, acme, "env", "pr") == ["prod"]
    assert labels.label_keys(charlie, acme) == []


@pytest.mark.django_db
def test_a_deployment_with_children_is_not_deleted(acme, alice):
    one = create(alice, acme, "one")
    child = create(alice, acme, "child", parent=one)
    with pytest.raises(Conflict, match="one has deployments below it: child"):
        delete_deployment(by=actor(alice), deployment=one)
    delete_deployment(by=actor(alice), deployment=child)
    one.refresh_from_db()
    assert one.sub_services_count == 0
    delete_deployment(by=actor(alice), deployment=one)
    assert not Deployment.objects.exists()
