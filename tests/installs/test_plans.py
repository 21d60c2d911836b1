"""Plans of clusters as golden files: what is done on which host, in which order and what beside what."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from installs import plans
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


def test_managers_that_serve_already_are_taken_one_after_another():
    first, rolling = (plans.install_stages(1, layouts.ten(), is_rolling=rolls) for rolls in (False, True))
    lanes = {stage["title"]: len(stage["lanes"]) for stage in first}
    assert lanes["Management service"] == 3
    (lane,) = next(stage["lanes"] for stage in rolling if stage["title"] == "Management service")
    hosts = [one["args"]["host"] for one in lane["operations"] if one["key"] == "manager.configure"]
    assert hosts == ["mg1", "mg2", "mg3"]
    kept = [stage for stage in first if stage["title"] != "Management service"]
    assert kept == [stage for stage in rolling if stage["title"] != "Management service"]


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
