"""What is said of a cluster by what its hosts' Prometheus servers answered: recorded from a real one, and worse."""

from __future__ import annotations

import dataclasses
import time

import pytest

from inventory.connectors.address import Timeouts
from inventory.connectors.prometheus import Sample
from inventory.health import asking
from inventory.health.facts import Answers
from inventory.health.judging import judge
from inventory.health.values import Health, worst
from inventory.layout import External, Part
from tests.inventory.prometheus_double import LAYOUT, RECORDED, Cluster, answers


def changed(moment, change, *hosts):
    """The answers with every sample of these hosts (all without names) as `change` gives it; None leaves it out."""
    found = answers(moment)
    told = {
        witness: [
            new
            for sample in samples
            if (new := change(sample) if not hosts or sample.get("hostname") in hosts else sample) is not None
        ]
        for witness, samples in found.samples.items()
    }
    return Answers(told, found.failures)


def setting(name, value, /, **labels):
    """A change: the metric with these labels has this value."""

    def change(sample: Sample) -> Sample:
        is_meant = sample.name == name and all(sample.get(key) == text for key, text in labels.items())
        return dataclasses.replace(sample, value=value) if is_meant else sample

    return change


def told(found):
    return " | ".join(found.why)


def states(found):
    return {str(group.part): str(group.state) for group in found.groups}


def test_a_healthy_cluster_is_healthy_in_all_its_parts():
    found = judge(LAYOUT, answers("healthy"))
    assert (found.state, found.why, found.alerts) == (Health.HEALTHY, (), ())
    assert set(states(found).values()) == {"healthy"} and len(found.groups) == 5
    database = found.group(Part.DATABASE)
    assert database.leader in ("c1", "c2", "c3") and database.says == "3 of 3 work, 2 may fail"
    assert found.group(Part.ETCD).says == "3 of 3 vote, 1 may fail"
    roles = sorted(host.part(Part.DATABASE).role for host in found.hosts[:3])
    assert roles == ["leader", "replica", "sync replica"]
    for host in found.hosts:
        assert host.seen_by == host.name and host.services and all(host.services.values())
        assert host.load is not None and 0 < host.memory_used < 1 and host.up_since > 1e9
    versions = {part.version.split()[0] for host in found.hosts for part in host.parts if part.version}
    assert {"PostgreSQL", "etcd", "RabbitMQ", "HAProxy"} <= versions
    replica = next(host.part(Part.DATABASE) for host in found.hosts if host.part(Part.DATABASE).role == "replica")
    assert replica.lag_bytes is not None and replica.lag_seconds is not None


def test_a_queue_node_that_was_stopped_is_named_with_its_service():
    found = judge(LAYOUT, answers("queue node stopped"))
    assert found.state == Health.DEGRADED and states(found)["queue"] == "degraded"
    assert "Queue: c2: rabbitmq-server is not running" in told(found)
    assert found.host("c2").services["rabbitmq-server"] is False
    assert found.group(Part.QUEUE).says == "2 of 3 in the majority, none may fail"


def test_a_database_host_that_was_stopped_is_named_and_the_others_go_on():
    found = judge(LAYOUT, answers("replica stopped"))
    assert states(found) == {
        "database": "degraded", "etcd": "healthy", "queue": "healthy", "manager": "healthy", "balancer": "healthy",
    }  # fmt: skip
    assert "Database: c1: " in told(found) and "atroni" in told(found)


@pytest.mark.parametrize("moment", ["host just cut", "host cut"])
def test_a_host_without_power_is_unknown_and_takes_margin_from_all_its_parts(moment):
    found = judge(LAYOUT, answers(moment))
    lost = found.host("c3")
    assert (lost.state, lost.seen_by) == (Health.UNKNOWN, "") and found.state == Health.DEGRADED
    assert {part.state for part in lost.parts} == {Health.UNKNOWN}
    assert {alert.host for alert in found.alerts} <= {"c3"}
    assert "nothing is known of c3" in told(found) and found.group(Part.ETCD).working == 2


def test_what_a_manager_gathered_counts_where_the_host_itself_is_not_reached_from_here():
    given = answers("healthy")
    found = judge(
        LAYOUT, Answers({"c1": given.samples["c1"]}, dict.fromkeys(("c2", "c3", "lb1"), "does not answer in time"))
    )
    assert found.state == Health.HEALTHY and {host.seen_by for host in found.hosts} == {"c1"}


def test_what_a_manager_gathered_before_it_lost_the_host_does_not_count():
    given = answers("healthy")
    old = [
        dataclasses.replace(sample, value=0.0) if sample.get("job") == "federation" and sample.name == "up" else sample
        for sample in given.samples["c1"]
    ]
    found = judge(LAYOUT, Answers({"c1": old}, {"c2": "does not answer in time"}))
    assert found.host("c2").state == Health.UNKNOWN and found.host("c1").state == Health.HEALTHY


def test_what_was_gathered_long_ago_does_not_count():
    old = changed("healthy", lambda sample: dataclasses.replace(sample, value=300.0) if sample.get("age") else sample)
    found = judge(LAYOUT, old)
    assert found.state == Health.UNKNOWN and "has gathered nothing for 300 s" in found.host("c1").why


def test_where_nobody_answers_nothing_is_said_but_why():
    found = judge(LAYOUT, Answers({}, {host.name: "refuses connections" for host in LAYOUT.hosts}))
    assert found.state == Health.UNKNOWN and not found.is_known
    assert found.why[0].startswith("No host's Prometheus answers: c1 refuses connections")
    assert set(states(found).values()) == {"unknown"}
    assert {group.says for group in found.groups} == {"Nothing is known of its 3 hosts", "Nothing is known of its host"}


def test_a_database_that_nobody_leads_has_failed():
    found = judge(LAYOUT, changed("healthy", setting("patroni_primary", 0.0)))
    assert found.state == Health.FAILED and "nobody leads" in told(found)


def test_where_the_leader_may_be_on_the_host_that_is_silent_it_is_not_known_who_leads():
    leader = judge(LAYOUT, answers("healthy")).group(Part.DATABASE).leader
    rest = answers("healthy")
    samples = {
        witness: [sample for sample in given if sample.get("hostname") != leader and sample.get("job") != "federation"]
        for witness, given in rest.samples.items()
        if witness != leader
    }
    found = judge(LAYOUT, Answers(samples, {leader: "does not answer in time"}))
    assert found.group(Part.DATABASE).state == Health.UNKNOWN and found.state == Health.DEGRADED


def test_two_who_lead_are_an_alarm():
    found = judge(LAYOUT, changed("healthy", setting("patroni_primary", 1.0), "c1", "c2", "c3"))
    assert found.state == Health.FAILED and "both lead" in told(found)


def test_a_majority_of_votes_that_is_lost_is_a_failure():
    found = judge(LAYOUT, changed("healthy", setting("etcd_server_has_leader", 0.0), "c1", "c2"))
    assert states(found)["etcd"] == "failed" and "etcd sees no leader" in told(found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (setting("rabbitmq_alarms_memory_used_watermark", 1.0), "blocks publishers: memory is short"),
        (setting("rabbitmq_unreachable_cluster_peers_count", 2.0), "does not reach 2 of its peers"),
        (setting("node_systemd_unit_state", 0.0, name="deployon-worker@2.service"), "deployon-worker@2 not running"),
        (setting("node_systemd_unit_state", 0.0, name="prometheus-node-exporter.service"), "prometheus-node-exporter not running"),
        (setting("patroni_postgres_streaming", 0.0), "does not follow the leader"),
        (setting("pg_replication_lag_seconds", 45.0), "is 45 s behind"),
        (setting("patroni_is_paused", 1.0), "Patroni is paused"),
    ],
)  # fmt: skip
def test_what_works_with_less_margin_is_degraded_and_says_why(change, words):
    found = judge(LAYOUT, changed("healthy", change))
    assert found.state == Health.DEGRADED and words in told(found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (setting("probe_success", 0.0), "its pages or its API do not answer"),
        (setting("node_systemd_unit_state", 0.0, name="nginx.service"), "nginx is not running"),
        (setting("up", 0.0, job="rabbitmq"), "RabbitMQ runs but does not answer"),
        (setting("up", 0.0, job="patroni"), "Patroni runs but does not answer"),
        (setting("patroni_postgres_running", 0.0), "PostgreSQL is not running"),
    ],
)
def test_what_does_not_work_anywhere_has_failed(change, words):
    found = judge(LAYOUT, changed("healthy", change))
    assert found.state == Health.FAILED and words in told(found)


@pytest.mark.parametrize(("count", "state"), [(0.0, Health.FAILED), (4.0, Health.HEALTHY)])
def test_managers_none_of_whose_workers_is_at_work_have_failed(count, state):
    """Their units run, and their pages answer: nothing is ever done all the same."""
    given = answers("healthy")
    told_of = [Sample("deployon_workers", count, {"hostname": f"c{n}", "job": "deployon"}) for n in (1, 2, 3)]
    found = judge(LAYOUT, Answers({name: [*samples, *told_of] for name, samples in given.samples.items()}))
    assert found.group(Part.MANAGER).state == state and ("none is at work" in told(found)) == (count == 0)


@pytest.mark.parametrize("part", [Part.ETCD, Part.DATABASE, Part.QUEUE, Part.MANAGER, Part.BALANCER])
def test_a_part_of_which_no_sample_is_there_is_never_healthy(part):
    kept = {"node", "federation"}
    silent = changed("healthy", lambda sample: sample if sample.get("job") in kept and not sample.get("type") else None)
    found = judge(LAYOUT, silent)
    assert found.group(part).state != Health.HEALTHY


def test_a_full_disk_and_alarms_are_told_once():
    disk = Sample("", 0.95, {"hostname": "c1", "mountpoint": "/", "device": "/dev/vda"})
    alert = Sample("ALERTS", 1.0, {"alertname": "disk_full", "severity": "warning", "hostname": "c1", "job": "node"})
    given = answers("healthy")
    found = judge(LAYOUT, Answers({name: [*samples, disk, alert] for name, samples in given.samples.items()}))
    assert found.host("c1").disk_used == 0.95 and "c1: a disk is 95 % full" in told(found)
    assert [(each.name, each.host, each.says) for each in found.alerts] == [("disk_full", "c1", "node")]


def test_an_external_database_is_as_well_as_the_managers_that_use_it():
    hosts = tuple(dataclasses.replace(host, parts=host.parts - {Part.DATABASE, Part.ETCD}) for host in LAYOUT.hosts)
    layout = dataclasses.replace(LAYOUT, hosts=hosts, external_database=External(("db.example.com",), 5432))
    group = judge(layout, answers("healthy")).group(Part.DATABASE)
    assert group.is_external and group.state == Health.HEALTHY and group.more == "db.example.com"
    assert judge(layout, Answers({})).group(Part.DATABASE).state == Health.UNKNOWN


def test_the_worst_comes_first_and_nothing_is_not_healthy():
    assert worst([Health.HEALTHY, Health.UNKNOWN, Health.DEGRADED]) == Health.DEGRADED and worst([]) == Health.UNKNOWN


def test_hosts_that_hang_cost_one_wait_however_many_there_are():
    with Cluster() as servers:
        servers.silent = {"c1", "c2"}
        began = time.monotonic()
        found = asking.look(LAYOUT, servers.access(timeouts=Timeouts(connect=3.0, read=3.0)))
        assert time.monotonic() - began < 5.5  # one after the other would be 6
    assert found.host("c1").seen_by == "c3" and found.state == Health.HEALTHY


def test_a_whole_look_through_tls_is_as_the_recording():
    with Cluster("queue node stopped") as servers:
        assert told(asking.look(LAYOUT, servers.access())) == told(judge(LAYOUT, answers("queue node stopped")))
        assert sorted(servers.asked) == ["c1", "c2", "c3", "lb1"]


def test_the_recording_has_no_secret_and_no_address_of_elsewhere():
    text = str(RECORDED)
    assert "10.83." not in text and "password" not in text.lower()
