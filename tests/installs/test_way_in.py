"""The way in as a client meets it: what is well, and what is told of a balancer that is not."""

from __future__ import annotations

import pytest

from installs import plans
from installs.operations.entrance import fault_of
from inventory.layout import Balancing
from tests.installs import layouts

WELL = {"pages": [["200", "mg1"]] * 6, "agents": [["401", "mg2"]] * 6, "plain": False}


def test_nothing_is_told_of_an_entrance_that_is_well():
    assert fault_of(WELL, "west.example.org", is_ours=False) == ""


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"pages": [["200", "mg1"], ["200", "mg2"]]}, "one client was led to mg1 and mg2 on port 443"),
        ({"agents": [["401", "mg1"], ["401", "mg3"]]}, "by its address"),
        ({"agents": [["[Errno 111] Connection refused", ""]]}, "port 53333 answers [Errno 111] Connection refused"),
        ({"pages": [["503", ""]]}, "port 443 answers 503 instead of 200"),
        ({"plain": True}, "port 80 is open"),
    ],
)
def test_what_is_wrong_is_told_with_who_has_to_mend_it(seen, words):
    told = fault_of(WELL | seen, "west.example.org", is_ours=False)
    assert words in told and "your balancer" in told and told.startswith("Waiting for")


def keys(layout):
    return [
        one["key"]
        for stage in plans.install_stages(1, layout)
        for lane in stage["lanes"]
        for one in lane["operations"]
        if one["key"].startswith("entrance.")
    ]


def test_two_balancers_are_looked_at_for_who_holds_the_address():
    assert keys(layouts.compact()) == ["entrance.held", "entrance.answers"]


def test_a_balancer_of_the_operators_is_always_looked_at_and_ours_where_hosts_know_its_address():
    theirs = layouts.compact(balancing=Balancing.THEIRS, entrance="west.example.org")
    assert keys(theirs) == ["entrance.answers"]
    assert keys(layouts.ten()) == [] and keys(layouts.ten(entrance="10.0.0.20")) == ["entrance.answers"]
    assert keys(layouts.all_in_one()) == []
