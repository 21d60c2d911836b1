"""Sites, saved filters, visibility, archives: what their services accept, refuse and record."""

from __future__ import annotations

import hashlib

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts.errors import Conflict
from accounts.models import AuditEntry, Tenant, Visibility
from inventory import saved_filters, sites
from inventory.content import store
from inventory.deployments import create_deployment, set_site, set_visibility
from inventory.filters import InvalidRule
from inventory.models import Archive, Deployment, Filter, Site
from tests.factories import actor
from tests.inventory import factories

RULE = {"type": "label", "key": "env", "operator": "any_of", "values": ["prod"]}


def create(user, tenant, wire_id, **more):
    return create_deployment(by=actor(user), tenant=tenant, wire_id=wire_id, kind=Deployment.Kind.LOCAL, **more)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["London", "New York", "Tel Aviv", "São Paulo", "Zürich-2"])
def test_a_site_is_called_as_people_call_the_place(acme, alice, name):
    site = sites.create_site(
        by=actor(alice), tenant=acme, name=name, latitude=51.5, longitude=-0.12, time_zone="Europe/London"
    )
    assert site.location == "51.5, -0.12"
    assert AuditEntry.objects.filter(object_type="inventory.site").get().action == "site.create"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"name": ""}, "name", "Enter a name"),
        ({"name": "9th street"}, "name", "begins with a letter"),
        ({"name": "a/b"}, "name", "none of"),
        ({"name": "x" * 257}, "name", "too long"),
        ({"latitude": 91.0}, "latitude", "between -90 and 90"),
        ({"longitude": -180.5}, "longitude", "between -180 and 180"),
        ({"latitude": float("nan")}, "latitude", "Must be a number"),
        ({"longitude": None}, "longitude", "needs both latitude and longitude"),
        ({"time_zone": "Europe/Londn"}, "time_zone", "no known time zone"),
        ({"visibility": "all"}, "visibility", "Choose one of"),
    ],
)
def test_a_wrong_site_is_refused_by_field(acme, alice, wrong, field, words):
    given = {"name": "London", "latitude": 51.5, "longitude": -0.1, "time_zone": "Europe/London"} | wrong
    with pytest.raises(ValidationError) as caught:
        sites.create_site(by=actor(alice), tenant=acme, **given)
    assert words in caught.value.message_dict[field][0]
    assert not Site.objects.exists()


@pytest.mark.django_db
def test_site_names_are_unique_in_a_tenant_and_global_ones_everywhere(acme, other, alice, charlie, admin):
    sites.create_site(by=actor(alice), tenant=acme, name="London")
    sites.create_site(by=actor(charlie), tenant=other, name="London")
    with pytest.raises(Conflict, match="London exists already"):
        sites.create_site(by=actor(alice), tenant=acme, name="London")
    with pytest.raises(PermissionDenied, match="Only a system administrator"):
        sites.create_site(by=actor(alice), tenant=acme, name="Berlin", visibility=Visibility.GLOBAL)
    sites.create_site(by=actor(admin), tenant=acme, name="Berlin", visibility=Visibility.GLOBAL)
    with pytest.raises(Conflict):
        sites.create_site(by=actor(charlie), tenant=other, name="Berlin")
    assert sorted(Site.objects.visible_to(charlie, other).values_list("name", "tenant__name")) == [
        ("Berlin", "acme"),
        ("London", "other"),
    ]


@pytest.mark.django_db
def test_a_deleted_site_leaves_its_deployments_without_one(acme, alice):
    site = sites.create_site(by=actor(alice), tenant=acme, name="London")
    row = create(alice, acme, "shop", site=site)
    sites.update_site(by=actor(alice), site=site, name="Leeds", latitude=1.0, longitude=2.0)
    sites.delete_site(by=actor(alice), site=site)
    row.refresh_from_db()
    assert row.site is None
    assert list(AuditEntry.objects.filter(object_type="inventory.site").values_list("action", flat=True)) == [
        "site.delete",
        "site.change",
        "site.create",
    ]


@pytest.mark.parametrize("text", ["x", "1", "1,2,3", "a,b"])
def test_a_location_that_is_none_is_refused_in_the_genuine_words(text):
    assert sites.parse_location("32.07, 34.78") == (32.07, 34.78)
    assert sites.parse_location("") == (None, None)
    with pytest.raises(ValidationError) as caught:
        sites.parse_location(text)
    assert (
        f'Invalid location `{text}`, the format is expected to be "latitude,longitude"'
        in caught.value.message_dict["location"][0]
    )


@pytest.mark.django_db
def test_a_deployment_is_not_seen_more_widely_than_its_site_and_visibility_only_widens(acme, alice, admin):
    site = sites.create_site(by=actor(alice), tenant=acme, name="Lab", visibility=Visibility.PRIVATE)
    row = create(alice, acme, "shop", visibility=Visibility.PRIVATE)
    set_site(by=actor(alice), deployment=row, site=site)
    with pytest.raises(ValidationError, match="Widen the site first"):
        set_visibility(by=actor(alice), deployment=row, visibility=Visibility.TENANT)
    set_site(by=actor(alice), deployment=row, site=None)
    set_visibility(by=actor(alice), deployment=row, visibility=Visibility.TENANT)
    with pytest.raises(ValidationError, match="can only widen"):
        set_visibility(by=actor(alice), deployment=row, visibility=Visibility.PRIVATE)
    with pytest.raises(PermissionDenied):
        set_visibility(by=actor(alice), deployment=row, visibility=Visibility.GLOBAL)
    set_visibility(by=actor(admin), deployment=row, visibility=Visibility.GLOBAL)
    row.refresh_from_db()
    assert row.visibility == Visibility.GLOBAL


@pytest.mark.django_db
@pytest.mark.both_databases
def test_private_is_for_creator_managers_and_system_administrators_and_global_for_all(
    acme, other, alice, bob, charlie, admin
):
    from tests.factories import member, user

    manager = user("maria")
    member(manager, acme, "manager")
    create(alice, acme, "private", visibility=Visibility.PRIVATE)
    create(alice, acme, "shared")
    create(admin, other, "everywhere", visibility=Visibility.GLOBAL)
    create(charlie, other, "theirs")

    def seen(who, tenant):
        return sorted(Deployment.objects.visible_to(who, tenant).values_list("wire_id", flat=True))

    for who in (alice, manager, admin, None):
        assert seen(who, acme) == ["everywhere", "private", "shared"]
    assert seen(bob, acme) == ["everywhere", "shared"]
    assert seen(charlie, acme) == []
    assert seen(charlie, other) == ["everywhere", "theirs"]


@pytest.mark.django_db
def test_saved_filters_are_checked_and_audited(acme, alice):
    saved = saved_filters.create_filter(by=actor(alice), tenant=acme, name="production", rules=[RULE, RULE])
    assert saved.rules == [RULE]
    with pytest.raises(Conflict, match="production exists already"):
        saved_filters.create_filter(by=actor(alice), tenant=acme, name="production", rules=[])
    with pytest.raises(InvalidRule):
        saved_filters.update_filter(by=actor(alice), saved=saved, rules=[{"key": "env"}])
    saved_filters.update_filter(by=actor(alice), saved=saved, rules=[RULE | {"values": ["dev"]}])
    assert [rule.values for rule in saved_filters.rules_of(alice, acme, "production")] == [("dev",)]
    saved_filters.delete_filter(by=actor(alice), saved=saved)
    assert [entry.action for entry in AuditEntry.objects.filter(object_type="inventory.filter").order_by("id")] == [
        "filter.create",
        "filter.change",
        "filter.delete",
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["csys-mine", "CSYS-mine", "9lives", "two words", ""])
def test_reserved_and_wrong_names_of_filters_are_refused(acme, alice, name):
    with pytest.raises(ValidationError) as caught:
        saved_filters.create_filter(by=actor(alice), tenant=acme, name=name, rules=[])
    assert "name" in caught.value.message_dict


@pytest.mark.django_db
def test_the_systems_filters_are_there_for_everybody_and_stay_as_they_are(acme, alice, admin):
    assert (
        Filter.objects.filter(is_system=True, tenant__name=Tenant.DEFAULT, visibility=Visibility.GLOBAL).count() == 22
    )
    factories.environment(acme, "plant")
    create(alice, acme, "shop")
    rules = saved_filters.rules_of(alice, acme, "csys-environment-filter")
    assert [row.wire_id for row in Deployment.objects.visible_to(alice, acme).matching(rules)] == ["plant"]
    rules = saved_filters.rules_of(alice, acme, "csys-service-filter")
    assert [row.wire_id for row in Deployment.objects.visible_to(alice, acme).matching(rules)] == ["shop"]
    saved = Filter.objects.get(name="csys-environment-filter")
    for change in (
        lambda: saved_filters.delete_filter(by=actor(admin), saved=saved),
        lambda: saved_filters.update_filter(by=actor(admin), saved=saved, rules=[]),
    ):
        with pytest.raises(ValidationError, match="filter of the system"):
            change()


@pytest.mark.django_db
def test_the_same_content_is_kept_once():
    first, second = store(b"archive", "a.zip"), store(b"archive", "b.zip")
    assert first == second
    assert (first.digest, first.size, first.file_name) == (hashlib.sha256(b"archive").hexdigest(), 7, "a.zip")
    assert bytes(Archive.objects.get().content) == b"archive"
