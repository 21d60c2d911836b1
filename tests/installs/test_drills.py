"""Drills: what is struck and what is refused, what a result comes to, the plan, and how one is started by service, page and API."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from types import SimpleNamespace

import pytest
from django.utils import timezone

from accounts.errors import Conflict
from accounts.models import AuditEntry
from installs import installing
from installs.drills import kinds, operations, striking, writing
from installs.drills.plans import drill_stages
from installs.drills.starting import refusal, start_drill
from installs.drills.writing import Said
from installs.models import ClusterRun, Drill
from inventory.connectors.ssh.detached import Progress
from inventory.layout import Balancing, Part
from inventory.models import Cluster, ClusterNode
from runs.models import Run
from runs.operations import OperationError
from tests.installs import factories, layouts
from tests.installs.test_installing import end, ready_to_install
from tests.installs.test_plans import as_text, compared

KINDS = list(Drill.Kind.values)
RESULT = {"acknowledged": 300, "lost": 0, "lost_numbers": [], "gap_seconds": 24.1, "errors": {"HTTP 503": 9}}


# --- which host, and what keeps a drill from being run ---


@pytest.mark.parametrize("layout", [layouts.ten(), layouts.compact()], ids=["ten", "compact"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_cluster_bears_every_drill(layout, kind):
    assert kinds.refusal(kind, layout) == ""
    part = kinds.PART[Drill.Kind(kind)]
    assert kinds.candidates(kind, layout) == list(layout.having(part))


@pytest.mark.parametrize("kind", KINDS)
def test_one_host_alone_is_never_struck(kind):
    assert "single manager" in kinds.refusal(kind, layouts.all_in_one())


def without(layout, *names):
    return dataclasses.replace(layout, hosts=tuple(host for host in layout.hosts if host.name not in names))


@pytest.mark.parametrize(
    ("kind", "gone", "says"),
    [
        ("queue", ["mq3"], "RabbitMQ has 1 of 2 members, which is no majority"),
        ("leader", ["db3"], "etcd has 1 of 2 members"),
        ("leader", ["db2", "db3"], "single host"),
        ("manager", ["mg2", "mg3"], "single manager"),
        ("queue", ["mq1", "mq2", "mq3"], "no queue host of its own"),
    ],
)
def test_what_would_lose_its_majority_is_refused_with_why(kind, gone, says):
    assert says in kinds.refusal(kind, without(layouts.ten(), *gone))


def test_strict_mode_needs_a_replica_that_is_left():
    layout = dataclasses.replace(without(layouts.ten(), "db3"), is_strict=True)
    only = layouts.change(layout, "mg1", parts=frozenset({Part.MANAGER, Part.ETCD}))
    assert "takes no writes" in kinds.refusal("leader", only)
    assert kinds.refusal("leader", dataclasses.replace(only, is_strict=False)) == ""


def test_a_host_that_nobody_else_stands_in_for_is_not_struck():
    layout = layouts.change(layouts.ten(), "mg1", parts=frozenset({Part.MANAGER, Part.BALANCER}))
    alone = without(layout, "lb1")
    assert "only host with the balancer" in kinds.refusal("manager", alone, "mg1")
    assert [host.name for host in kinds.candidates("manager", alone)] == ["mg2", "mg3"]
    assert kinds.refusal("manager", alone) == ""


def test_a_host_of_another_kind_is_refused_by_name():
    assert kinds.refusal("queue", layouts.ten(), "db1") == "db1 is no queue host: choose one of mq1, mq2, mq3."
    assert "single manager" in kinds.refusal("queue", dataclasses.replace(layouts.ten(), balancing=Balancing.NONE))


def test_the_leader_is_struck_by_its_own_drill_and_spared_by_the_others():
    layout = layouts.compact()
    for leader in ("n1", "n2", "n3"):
        assert operations.choose("leader", layout, asked="", leader=leader)[0] == leader
        for kind in ("manager", "queue"):
            struck, writer = operations.choose(kind, layout, asked="", leader=leader)
            assert len({struck, writer, leader}) == 3
    assert operations.choose("queue", layout, asked="n1", leader="n1") == ("n1", "n2")


def test_a_synchronous_replica_for_which_every_write_waits_is_spared_too():
    for in_step, struck in (("n3", "n2"), ("n2", "n3")):
        assert operations.choose("queue", layouts.compact(), asked="", leader="n1", in_step=[in_step])[0] == struck


def test_who_does_not_lead_is_not_struck_in_place_of_the_leader():
    with pytest.raises(OperationError, match="db2 leads the database, not db1"):
        operations.choose("leader", layouts.ten(), asked="db1", leader="db2")
    with pytest.raises(OperationError, match="Nobody leads"):
        operations.choose("leader", layouts.ten(), asked="", leader="")


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_costs_is_said_in_seconds_and_with_what_is_struck_as_well(kind):
    assert re.search(r"up to \d+ s", kinds.cost(kind, layouts.compact()))
    assert "PostgreSQL" in kinds.taken_along("manager", layouts.compact())
    assert kinds.taken_along("manager", layouts.ten()) == ""
    assert "15 s" in kinds.cost("manager", layouts.ten()) and "32 s" in kinds.cost("manager", layouts.compact())
    calm = dataclasses.replace(layouts.ten(), failover="calm")
    assert kinds.expected_seconds("leader", calm) > kinds.expected_seconds("leader", layouts.ten())


# --- the blow ---


def unsaved(kind, host="n1"):
    return Drill(pk=7, kind=kind, host=host)


@pytest.mark.parametrize("kind", KINDS)
def test_scripts_of_the_blow_are_shell_that_strikes_once_and_mends_by_itself(kind):
    script = striking.script_for(unsaved(kind), layouts.compact())
    assert subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True).stderr == ""
    assert script.index('[ ! -e "$marks/$unit" ] || exit 0') < script.index("table inet deployon_drill {")
    assert script.index("mend_later 70" if kind == "queue" else "mend_later 30") < script.index("inet deployon_drill {")
    assert ("reboot --force --force" in script) is (kind != "queue")


def test_a_host_is_cut_off_from_all_others_and_not_from_ssh():
    layout = layouts.change(layouts.compact(), "n2", public_address="203.0.113.2", networks={"agents": "fd00::2"})
    script = striking.script_for(unsaved("queue"), layouts.change(layout, "n1", ssh_port=2222))
    dropped = set(re.findall(r"saddr (\S+) drop", script))
    assert dropped == {"10.0.0.12", "10.0.0.13", "203.0.113.2", "fd00::2", "10.0.0.50"}
    assert dropped == set(re.findall(r"daddr (\S+) drop", script)) and "ip6 saddr fd00::2 drop" in script
    assert script.index("tcp dport 2222 accept") < script.index("saddr")


@pytest.mark.skipif(shutil.which("nft") is None, reason="nft is missing: apt-get install nftables")
def test_rules_of_the_blow_are_read_by_nft_itself():
    for kind in ("queue", "leader"):
        rules = striking.script_for(unsaved(kind), layouts.compact()).split("<<'RULES'\n")[1].split("\nRULES")[0]
        assert subprocess.run(["nft", "-c", "-f", "-"], input=rules, text=True, capture_output=True).stderr == ""


# --- what the counter says, and what it comes to ---


def test_what_the_counter_says_is_read_line_by_line():
    lines = [{"acknowledged": 3, "quiet": 0.1, "confirmed": 0, "errors": {}}, {"acknowledged": 5, "quiet": 4.0}]
    said = Said.read("".join(json.dumps(line) + "\n" for line in lines), Said())
    assert (said.acknowledged, said.quiet, said.result) == (5, 4.0, None)
    ended = Said.read(json.dumps({"result": RESULT}) + "\n", said)
    assert ended.acknowledged == 300 and ended.result == RESULT and Said.read("", ended) == ended
    broken = Said.read("Traceback\nOSError: no space left\n", said)
    assert broken.last_words == "OSError: no space left" and broken.acknowledged == 5


@pytest.mark.parametrize(
    ("result", "messages", "is_healed", "says"),
    [
        (RESULT, None, True, ""),
        (RESULT, RESULT | {"lost": 0}, True, ""),
        (RESULT | {"lost": 2}, None, True, "2 acknowledged writes are lost"),
        (RESULT, RESULT | {"lost": 3}, True, "3 acknowledged writes are lost"),
        (RESULT | {"lost": None}, None, True, "could not be read back"),
        (RESULT, None, False, "did not become whole again"),
    ],
)
def test_a_drill_passes_only_where_nothing_is_lost_and_all_is_well_again(result, messages, is_healed, says):
    values = operations.judged(Said(300, 0.0, result, messages), is_healed=is_healed)
    assert values["verdict"] == ("failed" if says else "passed") and says in values["why"]
    assert values["gap_seconds"] == 24.1 and values["messages"].get("acknowledged") == (300 if messages else None)


class EndsBetweenLooks:
    """A host whose counter says its result just after the first look at it."""

    def __init__(self):
        self.looks = 0

    def look(self, unit, offset=0):
        self.looks += 1
        if self.looks == 1:
            return Progress(is_running=True, code=None, output="", next_offset=offset, size=offset)
        line = json.dumps({"result": RESULT}) + "\n"
        content = line[offset:]
        return Progress(is_running=False, code=0, output=content, next_offset=offset + len(content), size=len(line))

    def forget(self, unit):
        pass

    def run(self, command):
        pass


@pytest.mark.django_db
def test_a_counter_that_ends_between_two_looks_is_heard_out(by, cluster):
    drill = start_drill(by=by, cluster=cluster, kind="leader")
    Drill.objects.filter(pk=drill.pk).update(healed_at=timezone.now(), host="n2")
    context = SimpleNamespace(
        run_id=drill.run_id, memory={}, say=lambda *_, **__: None, write=lambda writer, item: writer([item])
    )
    assert operations.ReadCounter(cluster=cluster.pk).act(context, EndsBetweenLooks()) is None
    drill.refresh_from_db()
    assert (drill.verdict, drill.lost, drill.acknowledged) == ("passed", 0, 300)


# --- the plan ---


@pytest.mark.parametrize("kind", KINDS)
def test_the_plan_of_a_drill_is_as_written_down(kind):
    compared(f"drill-{kind}", as_text(drill_stages(1, layouts.compact(), kind)))


def test_no_step_of_a_drill_has_a_secret_in_it():
    for kind in KINDS:
        for stage in drill_stages(1, layouts.ten(), kind):
            for lane in stage["lanes"]:
                assert all(set(each["args"]) <= {"cluster", "host", "kind"} for each in lane["operations"])


# --- starting one ---


@pytest.fixture
def by(acme):
    return factories.actor(acme)


def built(acme, by):
    """A compact cluster that an install has finished, as far as rows go. Wants a bundle."""
    made = ready_to_install(acme, by)
    installing.prepare(by=by, cluster=made)
    made.move("ready", only_from="planned")
    return Cluster.objects.with_hosts().get(pk=made.pk)


@pytest.fixture
def cluster(acme, by, bundle):
    return built(acme, by)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_a_drill_is_a_run_with_a_row_of_its_own_and_stands_in_the_audit_trail(by, cluster, kind):
    drill = start_drill(by=by, cluster=cluster, kind=kind)
    assert drill.run.title.startswith("Drill of trio") and drill.run.lock == f"cluster:{cluster.pk}"
    assert ClusterRun.objects.get(run=drill.run).kind == "drill" and drill.state == drill.run.state
    told = [entry.action for entry in AuditEntry.objects.order_by("pk")]
    assert told[-2:] == ["cluster.drill", "secret.send"]


@pytest.mark.django_db
def test_the_same_key_again_starts_nothing(by, cluster):
    first = start_drill(by=by, cluster=cluster, kind="queue", host="n2", key="a")
    assert start_drill(by=by, cluster=cluster, kind="queue", host="n2", key="a") == first
    assert Run.objects.count() == 1


def spoil_state(cluster, by):
    cluster.move("degraded", only_from="ready", why="n2 does not answer.")


def spoil_work(cluster, by):
    planned = installing.plan_work(by=by, cluster=cluster, kind="verify")
    installing.start_work(by=by, cluster=cluster, kind="verify", digest=planned.digest)


def spoil_key(cluster, by):
    ClusterNode.objects.get(cluster=cluster, name="n3").host_keys.all().delete()


def spoil_host(cluster, by):
    ClusterNode.objects.get(cluster=cluster, name="n3").delete()


def spoil_password(cluster, by):
    cluster.cluster_secrets.filter(purpose="admin").delete()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_state, r"is degraded \(n2 does not answer\.\): only a ready cluster bears a drill"),
        (spoil_work, "Verify trio has not ended"),
        (spoil_key, "host key of n3 is not trusted"),
        (spoil_host, "has 1 of 2 members, which is no majority"),
        (spoil_password, "password of admin at trio is not stored here"),
    ],
    ids=["degraded", "at work", "host key", "quorum", "password"],
)
def test_a_cluster_that_would_not_bear_it_is_left_alone(by, cluster, spoil, says):
    spoil(cluster, by)
    runs = Run.objects.count()
    with pytest.raises(Conflict, match=says):
        start_drill(by=by, cluster=Cluster.objects.with_hosts().get(pk=cluster.pk), kind="queue")
    assert Run.objects.count() == runs and not Drill.objects.exists()


@pytest.mark.django_db
def test_a_drill_that_ended_makes_room_for_the_next(by, cluster):
    first = start_drill(by=by, cluster=cluster, kind="leader")
    assert "has not ended" in refusal(cluster, "queue")
    end(first.run)
    assert refusal(cluster, "queue") == ""


@pytest.mark.django_db
def test_names_on_hosts_are_those_of_this_drill_alone(by, cluster):
    first = start_drill(by=by, cluster=cluster, kind="leader")
    end(first.run)
    second = start_drill(by=by, cluster=cluster, kind="leader")
    assert len({writing.unit_of(each, what) for each in (first, second) for what in ("writer", "strike")}) == 4
    assert writing.prefix_of(first) != writing.prefix_of(second)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,99}", writing.unit_of(first, what)) for what in ("writer", "strike"))


@pytest.mark.django_db
def test_the_last_of_each_kind_is_found(by, cluster):
    for kind in ("queue", "leader", "queue"):
        last = start_drill(by=by, cluster=cluster, kind=kind)
        end(last.run)
    found = Drill.objects.filter(cluster=cluster).last_of_each()
    assert [each.kind for each in found] == ["queue", "leader"] and found[0] == last
