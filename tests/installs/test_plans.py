"""Plans of clusters as golden files: what is done on which host, in which order and what beside what."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from installs import plans
from installs.removal_plan import removal_stages
from inventory.layout import Part
from tests.installs import layouts

GOLDEN = Path(__file__).parent / "golden"
LAYOUTS = {"ten-hosts": layouts.ten(), "compact": layouts.compact(), "all-in-one": layouts.all_in_one()}


def as_text(stages) -> str:
    """Stages with their lanes, and the operations of each as key and words."""
    lines = []
    for stage in stages:
        lines.append(stage["title"])
        for lane in stage["lanes"]:
            lines.append(f"  {lane['title']}")
            lines += [f"    {one['key']}: {one['describe']}" for one in lane["operations"]]
    return "\n".join(lines) + "\n"


def compared(name: str, text: str) -> None:
    """UPDATE_GOLDEN=1 writes the file anew."""
    path = GOLDEN / f"plan-{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), f"{path.name} says another thing; UPDATE_GOLDEN=1 writes it anew"


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_plan_of_an_install_is_as_written_down(name):
    compared(name, as_text(plans.install_stages(1, LAYOUTS[name])))


def test_the_plan_of_an_uninstall_is_as_written_down():
    compared("uninstall", as_text(plans.remove_stages(1, layouts.compact())))


SERVICE = "Management service and monitoring"


def lanes_of_managers(stages) -> list[list[str]]:
    (found,) = [stage for stage in stages if stage["title"] == SERVICE]
    hosts = [
        [one["args"]["host"] for one in lane["operations"] if one["key"] == "manager.configure"]
        for lane in found["lanes"]
    ]
    return [each for each in hosts if each]


def test_of_managers_that_serve_at_most_half_are_taken_at_once_and_new_ones_beside_them():
    first, rolling = (plans.install_stages(1, layouts.ten(), is_rolling=rolls) for rolls in (False, True))
    assert lanes_of_managers(first) == [["mg1"], ["mg2"], ["mg3"]]
    assert lanes_of_managers(rolling) == [["mg1", "mg2", "mg3"]]
    five = layouts.ten(managers=layouts.several("mg", 5, 17), balancers=layouts.several("lb", 1, 30))
    assert lanes_of_managers(plans.install_stages(1, five, is_rolling=True)) == [["mg1", "mg3", "mg5"], ["mg2", "mg4"]]
    joining = plans.install_stages(1, five, is_rolling=True, joining=["mg5"])
    assert lanes_of_managers(joining) == [["mg1", "mg3"], ["mg2", "mg4"], ["mg5"]]
    alike = ("Hosts", "Entrance", "Rows")
    assert [stage for stage in first if stage["title"] in alike] == [
        stage for stage in rolling if stage["title"] in alike
    ]


def test_what_votes_in_a_serving_cluster_is_taken_one_after_another_each_well_before_the_next():
    stages = {stage["title"]: stage for stage in plans.install_stages(1, layouts.compact(), is_rolling=True)}
    database, queue, *products = stages["Database, queue and product"]["lanes"]
    assert keys(database)[:8] == ["members.strangers n1", "etcd.configure n1", "etcd.member n1", "etcd.configure n2", "etcd.member n2", "etcd.configure n3", "etcd.member n3", "etcd.healthy n1"]  # fmt: skip
    assert keys(queue)[:5] == ["members.strangers n1", "rabbitmq.configure n1", "rabbitmq.member n1", "rabbitmq.configure n2", "rabbitmq.member n2"]  # fmt: skip
    assert [keys(lane) for lane in products] == [["manager.install n1"], ["manager.install n2"], ["manager.install n3"]]


@pytest.mark.parametrize("is_rolling", [False, True])
def test_what_a_service_needs_is_there_a_stage_before_it(is_rolling):
    """Packages before certificates, which their users read; product, database and queue before the service."""
    stages = plans.install_stages(1, layouts.compact(), is_rolling=is_rolling)
    place = {key: at for at, stage in enumerate(stages) for lane in stage["lanes"] for key in keys(lane)}
    for before, after in (
        ("host.certificates n1", "etcd.configure n1"), ("host.certificates n1", "manager.install n1"),
        ("manager.install n1", "manager.configure n1"), ("postgres.objects n1", "manager.configure n1"),
        ("rabbitmq.objects n1", "manager.configure n1"), ("postgres.objects n1", "leaders.apart n1"),
    ):  # fmt: skip
        assert place[before] < place[after], (before, after)


@pytest.mark.parametrize("part", list(Part))
def test_the_plan_that_adds_a_host_of_a_part_is_as_written_down(part):
    layout = layouts.ten()
    new = layouts.bare("new1", 40, parts=frozenset({part}))
    whole = replace(layout, hosts=(*layout.hosts, new))
    compared(f"add-{part}", as_text(plans.install_stages(1, whole, is_rolling=True, joining=["new1"])))


@pytest.mark.parametrize("which", ["db1", "mq1", "mg1", "lb1"])
def test_the_plan_that_removes_a_host_is_as_written_down(which):
    layout = layouts.ten(balancers=layouts.several("lb", 2, 20))
    rest = replace(layout, hosts=tuple(host for host in layout.hosts if host.name != which))
    compared(f"remove-{which}", as_text(removal_stages(1, rest, layout.host(which))))


def test_the_plan_that_removes_a_lost_host_asks_nothing_of_it():
    layout = layouts.compact(balancers=layouts.several("lb", 1, 20))
    rest = replace(layout, hosts=layout.hosts[1:])
    stages = removal_stages(1, rest, layout.hosts[0], is_lost=True)
    compared("remove-lost", as_text(stages))
    done_at = {
        one["args"].get("host")
        for stage in stages
        for lane in stage["lanes"]
        for one in lane["operations"]
        if not one["key"].startswith("cluster.")
    }
    assert "n1" not in done_at and {"n2", "n3"} <= done_at


def test_users_and_leadership_are_elsewhere_before_anything_of_a_leaving_host_ends():
    layout = layouts.compact(balancers=layouts.several("lb", 1, 20))
    rest = replace(layout, hosts=layout.hosts[1:])
    order = [key for stage in removal_stages(1, rest, layout.hosts[0]) for lane in stage["lanes"] for key in keys(lane)]
    place = {key: number for number, key in enumerate(order)}
    assert place["patroni.handover n1"] < place["haproxy.configure lb1"] < place["patroni.leave n1"]
    assert (
        place["rabbitmq.grow n3"] < place["rabbitmq.leave n2"]
        and place["haproxy.configure lb1"] < place["host.stop n1"]
    )
    assert place["patroni.leave n1"] < place["patroni.configure n2"] < place["etcd.leave n2"] < place["host.purge n1"]
    assert order[-2:] == ["cluster.forget_host n1", "cluster.settle"]


def keys(lane) -> list[str]:
    return [f"{one['key']} {one['args'].get('host', '')}".strip() for one in lane["operations"]]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_host_is_installed_once_and_every_part_of_it_configured(name):
    layout = LAYOUTS[name]
    done = {
        (one["key"], one["args"].get("host"))
        for stage in plans.install_stages(1, layout)
        for lane in stage["lanes"]
        for one in lane["operations"]
    }
    parts = {
        Part.ETCD: "etcd.configure",
        Part.QUEUE: "rabbitmq.configure",
        Part.DATABASE: "patroni.configure",
        Part.MANAGER: "manager.configure",
        Part.BALANCER: "haproxy.configure",
    }
    for host in layout.hosts:
        assert ("host.packages", host.name) in done and ("monitoring.configure", host.name) in done
        for part, key in parts.items():
            assert ((key, host.name) in done) is host.has(part), (host.name, key)


def test_a_cluster_without_hosts_has_nothing_to_install():
    stages = plans.install_stages(1, replace(layouts.ten(), hosts=()))
    assert [stage["title"] for stage in stages] == ["Rows"]
