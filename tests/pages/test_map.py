"""Environments by place: the pins of the map, and the part of the earth that an address names."""

from __future__ import annotations

import pytest

from inventory.choosing import read_area
from inventory.models import Environment, Site
from inventory.pins import pins
from tests.inventory import factories as inventory

pytestmark = pytest.mark.django_db
State = Environment.State


@pytest.fixture
def fleet(acme):
    """Two at Lisbon, one of them unreachable; one at Suva, one at Apia, across 180° from it; one nowhere; one at a site without place."""
    places = {"Lisbon": (38.7, -9.1), "Suva": (-18.1, 178.4), "Apia": (-13.8, -171.8), "Depot": (None, None)}
    rows = {
        name: Site.objects.create(tenant=acme, name=name, latitude=at[0], longitude=at[1])
        for name, at in places.items()
    }
    made = {}
    for name, site, state in [
        ("lis-1", "Lisbon", State.READY), ("lis-2", "Lisbon", State.UNREACHABLE), ("suv-1", "Suva", State.READY),
        ("api-1", "Apia", State.DEGRADED), ("dep-1", "Depot", State.READY), ("off-1", None, State.READY),
    ]:  # fmt: skip
        environment = inventory.environment(acme, name)
        environment.deployment.site = rows.get(site)
        environment.deployment.save()
        Environment.objects.filter(pk=environment.pk).update(state=state)
        made[name] = environment
    return made


def test_a_pin_counts_states_of_its_site_and_the_worst_comes_first(fleet, django_assert_num_queries):
    with django_assert_num_queries(1):
        found = pins(Environment.objects.all())
    assert [pin.site for pin in found] == ["Lisbon", "Apia", "Depot", "Suva"]
    assert list(found[0].counts.items()) == [("unreachable", 1), ("ready", 1)] and found[0].total == 2
    assert found[0].troubles == [("unreachable", 1)] and found[3].troubles == []
    assert [pin.site for pin in found if not pin.is_on_map] == ["Depot"]


@pytest.mark.parametrize(
    ("area", "names"),
    [
        ("30,-20,50,10", {"lis-1", "lis-2"}),
        ("-30,170,-10,-160", {"suv-1", "api-1"}),  # crosses 180°
        ("-30,170,-10,180", {"suv-1"}),
        ("-90,-180,90,180", {"lis-1", "lis-2", "suv-1", "api-1"}),
    ],
)
def test_an_area_holds_the_environments_whose_site_lies_in_it(fleet, area, names):
    found = Environment.objects.within(*read_area(area))
    assert {row.deployment.wire_id for row in found} == names


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "a,b,c,d", "50,0,30,10", "-91,0,0,0", "0,-181,0,0", "nan,0,1,1", "0,0,0,inf"]
)
def test_what_is_no_area_is_told_so(text):
    assert read_area(text) is None


def test_the_list_and_the_rollout_follow_the_area(signed_in, alice, fleet):
    page = signed_in(alice).get("/environments/?area=30,-20,50,10").text
    assert "lis-1" in page and "suv-1" not in page and "view of the map" in page
    form = signed_in(alice).get("/rollouts/new/?area=30,-20,50,10", follow=True).text
    assert "No environment matches any more" not in form
    wrong = signed_in(alice).get("/environments/?area=here").text
    assert "Choose it on the map again" in wrong


def test_the_map_says_in_text_what_it_draws_and_who_is_not_on_it(signed_in, alice, fleet):
    text = signed_in(alice).get("/environments/map/").text
    assert "Sites with most trouble" in text and "Lisbon" in text and "1 site has no place on the map" in text
    only_depot = signed_in(alice).get("/environments/map/?site=Depot").text
    assert "have no latitude and longitude" in only_depot


def test_a_site_whose_name_would_end_the_script_is_harmless(signed_in, alice, acme):
    environment = inventory.environment(acme, "odd-1")
    environment.deployment.site = Site.objects.create(tenant=acme, name="</script><b>x", latitude=1, longitude=1)
    environment.deployment.save()
    text = signed_in(alice).get("/environments/map/").text
    assert "<b>x" not in text and "&lt;b&gt;x" in text
