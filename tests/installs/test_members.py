"""Hosts let in and let go: what each step decides by, and that a worker may be lost after every command."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from accounts.models import AuditEntry, Secret
from installs import steps
from installs.certificates import ensure_certificates
from installs.models import Certificate
from installs.operations import database, database_members, etcd_members, queue_copies, queue_members
from installs.operations.etcd import healthy_of
from installs.operations.etcd_members import JoinEtcd, LeaveEtcd
from installs.operations.leaving import ForgetHost
from installs.operations.queue_copies import QueuesAreWhole
from installs.wanted import invent_secrets
from inventory.layout import Part
from inventory.models import Cluster, ClusterNode
from tests.installs import factories, layouts
from tests.installs.toy_etcd import Killed, ToyEtcd
from tests.runs.operation_battery import keeps_the_rules

FOUR = replace(
    layouts.compact(), hosts=(*layouts.compact().hosts, layouts.bare("n4", 14, parts=frozenset({Part.ETCD})))
)
MEMBERS = {"n1": "10.0.0.11", "n2": "10.0.0.12", "n3": "10.0.0.13"}


def recorded_members():
    """As etcdctl 3.5 writes them."""
    return [
        {"ID": 9372538179322589801, "name": "n1", "peerURLs": ["https://10.0.0.11:2380"], "clientURLs": ["https://10.0.0.11:2379"]},
        {"ID": 10501334649042878790, "name": "", "peerURLs": ["https://10.0.0.14:2380"], "isLearner": True},
    ]  # fmt: skip


# --- etcd ---


@pytest.mark.parametrize(
    ("entry", "has_data", "is_running", "step"),
    [
        (None, False, False, "add"),
        (None, True, True, "add"),
        ({"ID": 1, "name": ""}, False, False, "start"),
        ({"ID": 1, "name": ""}, True, True, "wait"),
        ({"ID": 1, "name": ""}, False, True, "wait"),
        ({"ID": 1, "name": ""}, True, False, "readmit"),
        ({"ID": 1, "name": "n4", "isLearner": True}, True, True, "promote"),
        ({"ID": 1, "name": "n4"}, True, True, "done"),
        ({"ID": 1, "name": "n4"}, True, False, "start"),
        ({"ID": 1, "name": "n4"}, False, False, "readmit"),
    ],
)
def test_the_member_list_and_the_hosts_data_say_what_letting_in_needs_next(entry, has_data, is_running, step):
    assert etcd_members.next_of(entry, has_data=has_data, is_running=is_running) == step


def test_a_member_is_known_by_its_address_also_before_it_has_a_name():
    found = etcd_members.entry_of(recorded_members(), FOUR.host("n4"))
    assert found["isLearner"] and etcd_members.entry_of(recorded_members(), FOUR.host("n2")) is None


def test_who_answers_is_read_from_what_etcdctl_wrote():
    told = '[{"endpoint":"https://10.0.0.11:2379","health":true,"took":"9.9ms"},{"endpoint":"https://10.0.0.12:2379","health":false,"took":"5.0s","error":"context deadline exceeded"}]'
    assert healthy_of(told, FOUR.having(Part.ETCD)) == {"n1"}
    assert healthy_of("", FOUR.having(Part.ETCD)) == set()


@pytest.fixture
def cluster(acme):
    made = factories.cluster(acme, FOUR)
    invent_secrets(by=factories.actor(acme), cluster=made)
    made.nodes.exclude(name="n4").update(state=ClusterNode.State.INSTALLED)
    made.nodes.filter(name="n4").update(state=ClusterNode.State.JOINING)
    return made


@pytest.fixture
def toy(monkeypatch):
    made = ToyEtcd(MEMBERS)
    monkeypatch.setattr(steps, "session", made.session)
    return made


class Memory(SimpleNamespace):
    def hide(self, value):
        return value

    def say(self, message, **more):
        pass


def carried_out(step, toy):
    """As the engine does it, a killed worker's successor beginning with nothing in memory; how many workers it took."""
    for workers in range(1, 30):
        context = Memory(memory={}, run_id=0, step_id=0)
        try:
            for _ in range(30):
                if step.check(context) is True:
                    return workers
                step.apply(context)
            raise AssertionError(f"it does not end: {toy.commands} {toy.listed}")
        except Killed:
            toy.kill_after = 0
    raise AssertionError("it does not end")


@pytest.mark.django_db
def test_joining_etcd_keeps_the_rules_of_operations(cluster, toy, caplog):
    step = JoinEtcd(cluster.pk, "n4")
    keeps_the_rules(step, world=toy.snapshot, caplog=caplog, secrets=["correct-horse"], tenant=cluster.tenant)
    assert toy.names() == ["n1", "n2", "n3", "n4"]
    assert toy.commands == ["n4: added", "n4: begun", "n4: promoted"]


@pytest.mark.django_db
@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_worker_lost_after_any_command_of_letting_in_is_followed_by_one_that_goes_on(cluster, toy, after):
    toy.kill_after = after
    assert carried_out(JoinEtcd(cluster.pk, "n4"), toy) == 2
    assert toy.names() == ["n1", "n2", "n3", "n4"] and toy.units["n4"] == "active"


@pytest.mark.django_db
@pytest.mark.parametrize("data", [None, 77])
def test_a_host_that_comes_back_without_its_data_is_let_in_as_another_member(cluster, toy, data):
    """A member that voted and forgot must not vote again: its line goes, whatever lies on the host."""
    toy.listed.append(toy.line("n4" if data is None else "", "10.0.0.14"))
    old = toy.listed[-1]["ID"]
    if data:
        toy.data["n4"] = data
    carried_out(JoinEtcd(cluster.pk, "n4"), toy)
    assert toy.names() == ["n1", "n2", "n3", "n4"] and toy.data["n4"] != old and len(toy.listed) == 4


@pytest.mark.django_db
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_member_that_leads_hands_over_before_it_is_let_go(cluster, toy, after):
    toy.kill_after = after
    cluster.nodes.filter(name="n1").update(state=ClusterNode.State.LEAVING)
    carried_out(LeaveEtcd(cluster.pk, "n2", "n1"), toy)
    assert toy.names() == ["n2", "n3"] and toy.commands == ["leader moved", "n1: removed"]


@pytest.mark.django_db
def test_letting_go_of_a_member_keeps_the_rules_of_operations(cluster, toy, caplog):
    keeps_the_rules(LeaveEtcd(cluster.pk, "n2", "n3"), world=toy.snapshot, caplog=caplog, tenant=cluster.tenant)
    assert toy.commands == ["n3: removed"], "who does not lead has nothing to hand over"


# --- PostgreSQL ---


def member(name, role="Replica", state="streaming", lag=0):
    return {
        "Cluster": "trio",
        "Member": name,
        "Host": "10.0.0.1",
        "Role": role,
        "State": state,
        "TL": 3,
        "Lag in MB": lag,
    }


def test_a_synchronous_replica_takes_over_before_others():
    told = [member("n1", "Leader", "running"), member("n2"), member("n3", "Sync Standby")]
    assert database_members.successor_of(told, "n1") == "n3"
    assert database_members.role_of(told, "n3") == "Sync Standby" and database_members.role_of(told, "n9") == ""


def test_nobody_who_does_not_stream_takes_over():
    told = [member("n1", "Leader", "running"), member("n2", state="starting"), member("n3", state="stopped")]
    assert database_members.successor_of(told, "n1") == ""
    assert database_members.successor_of([*told, member("n4", lag=7), member("n5", lag=1)], "n1") == "n5"


SHOWN = """loop_wait: 5
maximum_lag_on_failover: 1048576
postgresql:
  parameters:
    wal_level: replica
  use_pg_rewind: true
retry_timeout: 5
synchronous_mode: true
synchronous_mode_strict: false
ttl: 20
"""


def test_only_settings_that_differ_are_told():
    wanted = {"ttl": 30, "loop_wait": 5, "synchronous_mode": True, "synchronous_mode_strict": True}
    assert database_members.differing_settings(SHOWN, wanted) == {"ttl": 30, "synchronous_mode_strict": True}
    assert database_members.differing_settings("", {"ttl": 20}) == {"ttl": 20}


def test_that_its_ports_are_in_use_or_a_host_that_joins_does_not_answer_yet_is_not_held_against_a_member_at_work():
    told = (
        "etcd.hosts 10.81.0.11:2379,10.81.0.14:2379 didn't pass validation: '10.81.0.14:2379 is not reachable'\n"
        "postgresql.listen 10.81.0.11,127.0.0.1:5432 didn't pass validation: Port 5432 is already in use.\n"
    )
    assert database.faults_of_file(told) == []
    assert database.faults_of_file(f"{told}ttl is not an integer\n") == ["ttl is not an integer"]


# --- RabbitMQ ---

STATUS = {
    "disk_nodes": ["rabbit@n1", "rabbit@n2", "rabbit@n3"],
    "ram_nodes": [],
    "running_nodes": ["rabbit@n1", "rabbit@n3"],
    "partitions": {},
}


def test_nodes_that_belong_to_it_and_nodes_that_run_are_told_apart():
    assert queue_members.listed_in(STATUS) - queue_members.running_in(STATUS) == {"rabbit@n2"}


def test_queues_with_and_without_a_copy_on_a_node_are_counted():
    told = json.dumps(
        [
            {"name": "celery", "type": "quorum", "members": ["rabbit@n1", "rabbit@n2"]},
            {"name": "runs", "type": "quorum", "members": ["rabbit@n1"]},
            {"name": "reply", "type": "classic", "members": None},
        ]
    )
    queues = queue_members.queues_of(told)
    assert queue_members.on_node(queues, "rabbit@n2") == (["celery"], ["runs"])
    assert queue_members.queues_of("Error: unable to connect") is None


QUEUES = [
    {"name": "runs", "leader": "rabbit@n1", "members": ["rabbit@n1", "rabbit@n2", "rabbit@n3"], "online": ["rabbit@n1", "rabbit@n2", "rabbit@n3"]},
    {"name": "celery", "leader": "rabbit@n1", "members": ["rabbit@n1", "rabbit@n2"], "online": ["rabbit@n1", "rabbit@n2"]},
    {"name": "lost", "leader": "", "members": ["rabbit@n3"], "online": []},
]  # fmt: skip
NODES = ["rabbit@n1", "rabbit@n2", "rabbit@n3"]


def test_a_queue_with_too_few_copies_is_named_with_hosts_and_remedy():
    said = queue_copies.fault_of(QUEUES, NODES)
    assert "celery has 2 of 3 copies at work, none on n3" in said and "runs has" not in said
    assert "lost has no leader, 0 of 3 copies at work, none on n1, n2, n3" in said and "planning changes" in said
    assert queue_copies.fault_of(QUEUES[:1], NODES) == "" and queue_copies.fault_of([], NODES) == ""
    assert queue_copies.fault_of(QUEUES[:1], [*NODES, "rabbit@n4", "rabbit@n5"]) == "", "five nodes, three copies each"
    many = [QUEUES[1] | {"name": f"q{number}"} for number in range(8)]
    assert queue_copies.fault_of(many, NODES).count("copies at work") == 5 and "and 3 more" in queue_copies.fault_of(
        many, NODES
    )


class Rabbit:
    """A node that tells queues, and grows them where it is told."""

    def __init__(self, queues):
        self.queues = [dict(queue, type="quorum") for queue in queues]
        self.grown = []

    def run(self, command, **more):
        words = list(command.words) if hasattr(command, "words") else str(command).split()
        if "grow" in words:
            node = words[words.index("grow") + 1]
            self.grown.append(node)
            for queue in self.queues:
                queue["members"] = sorted({*queue["members"], node})
                queue["online"] = queue["members"]
            return SimpleNamespace(stdout="", text="", code=0)
        return SimpleNamespace(stdout=json.dumps(self.queues), text="", code=0)


@pytest.mark.django_db
@pytest.mark.parametrize("mode", ["apply", "check"])
def test_missing_copies_are_made_and_a_check_says_which_and_makes_none(cluster, monkeypatch, mode):
    rabbit, said = Rabbit(QUEUES[:2]), []
    monkeypatch.setattr(steps, "session", lambda *_: contextlib.nullcontext(rabbit))
    rabbit.credential = SimpleNamespace(hidden=[])
    step, context = QueuesAreWhole(cluster.pk, "n1"), Memory(memory={}, run_id=0, step_id=0, mode=mode)
    context.say = lambda message, **more: said.append(message)
    assert step.check(context) is False
    if mode == "check":
        assert rabbit.grown == [] and "celery has 2 of 3" in said[0]
        return
    step.apply(context)
    assert rabbit.grown == ["rabbit@n3"] and "1 queues get a copy on n3: celery" in said[0]
    assert step.check(context) is True


# --- rows ---


@pytest.mark.django_db
def test_forgetting_a_host_keeps_the_rules_marks_its_certificate_and_destroys_its_key(cluster, acme, caplog):
    ensure_certificates(by=factories.actor(acme), cluster=cluster)
    row = Certificate.objects.get(cluster=cluster, owner="n4")
    key = row.key_id

    def world():
        return cluster.nodes.count(), Certificate.objects.get(pk=row.pk).state, Secret.objects.filter(pk=key).exists()

    keeps_the_rules(ForgetHost(cluster.pk, "n4"), world=world, caplog=caplog, tenant=acme)
    assert world() == (3, "replaced", False)
    assert set(AuditEntry.objects.filter(actor="system").values_list("action", flat=True)) >= {
        "host.remove",
        "certificate.retire",
    }


@pytest.mark.django_db
def test_what_is_rendered_has_members_and_those_being_added_and_a_leaving_one_only_where_it_is_asked_for(cluster):
    cluster.nodes.filter(name="n1").update(state="leaving")
    cluster.nodes.filter(name="n2").update(state="planned")
    fresh = Cluster.objects.get(pk=cluster.pk)
    assert [host.name for host in fresh.layout_at_work().hosts] == ["n3", "n4"]
    assert [host.name for host in fresh.layout_at_work("n1").hosts] == ["n1", "n3", "n4"]
    assert [host.name for host in fresh.layout().hosts] == ["n2", "n3", "n4"], "who leaves is not wanted any more"


@pytest.mark.django_db
def test_before_anything_is_begun_all_that_is_wanted_is_rendered(acme):
    assert len(factories.cluster(acme, FOUR).layout_at_work().hosts) == 4
