"""Hosts forgotten by force: what is said to remain, and that the next plan has the others let their members go."""

from __future__ import annotations

import contextlib
import json
from types import SimpleNamespace

import pytest
from django.test import Client

from accounts.models import Secret
from installs import plans, steps
from installs.certificates import ensure_certificates
from installs.models import Certificate
from installs.operations.strangers import LetStrangersGo
from installs.wanted import invent_secrets
from inventory.layout import Part
from inventory.models import Cluster, ClusterNode
from runs.operations import Later, OperationError
from tests import factories as people
from tests.installs import factories, layouts
from tests.installs.test_members import MEMBERS, Memory, carried_out
from tests.installs.toy_etcd import ToyEtcd
from tests.runs.operation_battery import keeps_the_rules

pytestmark = pytest.mark.django_db


@pytest.fixture
def by(acme):
    return factories.actor(acme)


@pytest.fixture
def cluster(acme, by):
    made = factories.cluster(acme, layouts.compact())
    invent_secrets(by=by, cluster=made)
    ensure_certificates(by=by, cluster=made)
    made.nodes.update(state=ClusterNode.State.INSTALLED)
    made.move(Cluster.State.READY, only_from=list(Cluster.State.values))
    return made


@pytest.fixture
def ask(acme):
    token = people.token(factories.manager(acme))

    def run(method, address, body=None, expect=200):
        reply = Client().generic(
            method, f"/api/v1/clusters/trio/{address}", "" if body is None else json.dumps(body),
            content_type="application/json", headers={"Authorization": f"Token {token}", "Tenant": "acme"},
        )  # fmt: skip
        assert reply.status_code == expect, reply.content
        return reply.json() if reply.content and "json" in reply["Content-Type"] else reply

    return run


def test_a_host_forgotten_by_force_says_what_remains_where_and_with_which_commands(ask, cluster):
    key = Certificate.objects.get(cluster=cluster, owner="n3").key_id
    told = ask("DELETE", "hosts/n3/?force=1")
    assert "switch it off, then plan changes" in told["detail"]
    remains = told["remains"]
    assert [each["at"] for each in remains] == ["n3", "n1", "n1", "n1"]
    commands = "\n".join(line for each in remains for line in each["commands"])
    assert (
        "systemctl disable --now etcd patroni" in commands and "rabbitmqctl forget_cluster_node rabbit@n3" in commands
    )
    assert "member remove ID" in commands and "10.0.0.13:2380" in commands and "https://10.0.0.11:2379" in commands
    assert not cluster.nodes.filter(name="n3").exists() and not Secret.objects.filter(pk=key).exists()


def test_a_host_that_was_described_alone_leaves_nothing(ask, cluster):
    cluster.nodes.filter(name="n3").update(state=ClusterNode.State.PLANNED)
    ask("DELETE", "hosts/n3/?force=1", expect=204)


def test_without_force_an_installed_host_stays(ask, cluster):
    ask("DELETE", "hosts/n3/", expect=409)
    assert cluster.nodes.filter(name="n3").exists()


def test_the_next_plan_and_a_verification_look_for_what_was_left(cluster):
    for is_rolling in (True, False):
        stages = plans.install_stages(cluster.pk, layouts.compact(), is_rolling=is_rolling)
        found = [
            one["args"]["part"]
            for stage in stages
            for lane in stage["lanes"]
            for one in lane["operations"]
            if one["key"] == "members.strangers"
        ]
        assert sorted(found) == ["database", "etcd", "queue"]


@pytest.fixture
def toy(monkeypatch):
    made = ToyEtcd(MEMBERS)
    monkeypatch.setattr(steps, "session", made.session)
    return made


def test_a_member_of_etcd_that_is_no_host_any_more_is_let_go(cluster, toy, caplog):
    cluster.nodes.filter(name="n3").delete()
    keeps_the_rules(LetStrangersGo(cluster.pk, "n1", "etcd"), world=toy.snapshot, caplog=caplog, tenant=cluster.tenant)
    assert toy.names() == ["n1", "n2"] and toy.commands == ["n3: removed"]


@pytest.mark.parametrize("state", ["installed", "joining", "leaving"])
def test_members_of_hosts_that_are_there_come_or_leave_by_a_plan_of_their_own_are_left_alone(cluster, toy, state):
    cluster.nodes.filter(name="n3").update(state=state)
    assert carried_out(LetStrangersGo(cluster.pk, "n1", "etcd"), toy) == 1
    assert toy.commands == []


class Node:
    """A node of RabbitMQ, or a member of Patroni, that lists n1 to n3; `away` of them do not run."""

    credential = SimpleNamespace(hidden=[])

    def __init__(self, away=()):
        self.listed, self.away, self.commands = ["n1", "n2", "n3"], set(away), []

    def run(self, command, **more):
        words = list(command.parts)
        if "cluster_status" in words:
            running = [f"rabbit@{name}" for name in self.listed if name not in self.away]
            told = {"disk_nodes": [f"rabbit@{name}" for name in self.listed], "running_nodes": running}
        elif words[0] == "patronictl":
            told = [{"Member": name, "State": "stopped" if name in self.away else "streaming"} for name in self.listed]
        else:
            told, _ = [], self.commands.append(" ".join(words[-2:]))
            if "forget_cluster_node" in words:
                self.listed.remove(words[-1].partition("@")[2])
        return SimpleNamespace(stdout=json.dumps(told), text="", code=0)


@pytest.mark.parametrize("part", [Part.QUEUE, Part.DATABASE])
def test_a_forgotten_host_that_still_runs_is_named_with_what_stops_it(cluster, monkeypatch, part):
    node, context = Node(), Memory(memory={}, run_id=0, step_id=0)
    monkeypatch.setattr(steps, "session", lambda *_: contextlib.nullcontext(node))
    cluster.nodes.filter(name="n3").delete()
    step = LetStrangersGo(cluster.pk, "n1", str(part))
    assert step.check(context) is False
    with pytest.raises(OperationError, match=r"n3 is no host of the cluster any more.*systemctl disable --now"):
        step.apply(context)
    assert node.commands == []


def test_a_node_of_rabbitmq_that_is_switched_off_is_forgotten_and_patroni_waited_for(cluster, monkeypatch):
    node, context = Node(away=["n3"]), Memory(memory={}, run_id=0, step_id=0)
    monkeypatch.setattr(steps, "session", lambda *_: contextlib.nullcontext(node))
    cluster.nodes.filter(name="n3").delete()
    assert isinstance(LetStrangersGo(cluster.pk, "n1", "database").apply(context), Later)
    step = LetStrangersGo(cluster.pk, "n1", "queue")
    step.apply(context)
    assert node.commands == ["shrink rabbit@n3", "forget_cluster_node rabbit@n3"] and step.check(context) is True


# --- a first install that failed, and hosts that are another by the next one ---


def test_after_a_failed_install_hosts_may_be_added_changed_and_taken_out_and_the_next_plan_is_a_first_install_of_what_is_there(
    ask, cluster
):
    cluster.move(Cluster.State.FAILED, only_from=list(Cluster.State.values), why="Host n2 did not come back")
    cluster.nodes.update(state=ClusterNode.State.JOINING)
    ask("PATCH", "hosts/n2/", {"private_address": "10.0.0.22"})
    ask("DELETE", "hosts/n3/", expect=409)  # something of it may stand there
    assert ask("DELETE", "hosts/n3/?force=1")["remains"][0]["at"] == "n3"
    new = {"name": "n4", "private_address": "10.0.0.14", "parts": ["etcd", "database", "queue", "manager", "balancer"]}
    ask("POST", "hosts/", new, expect=201)
    told = ask("POST", "plan/", {"kind": "install"})
    assert told["title"] == "Install trio"
    done = [one for stage in told["stages"] for lane in stage["lanes"] for one in lane["operations"]]
    hosts = {one["args"].get("host") for one in done}
    assert {"n1", "n2", "n4"} <= hosts and "n3" not in hosts
    named = {finding["host"] for finding in told["findings"] if finding["rule"] == "host_key"}
    assert named == {"n1", "n2", "n4"}, "it says what keeps it from being begun"
