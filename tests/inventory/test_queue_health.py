"""Quorum queues judged one by one, and who of two balancers holds the virtual address, by what the hosts tell."""

from __future__ import annotations

import pytest

from inventory.connectors.prometheus import Sample
from inventory.health.facts import Answers
from inventory.health.judging import judge
from inventory.health.queries import AGE
from inventory.layout import Host, Layout, Part

HOSTS = tuple(Host(f"mq{n}", f"10.0.0.{n}", parts=frozenset({Part.QUEUE})) for n in (1, 2, 3))
LAYOUT = Layout("west", HOSTS)
PAIR = Layout(
    "west",
    tuple(Host(f"lb{n}", f"10.0.0.2{n}", parts=frozenset({Part.BALANCER})) for n in (1, 2)),
    entrance="10.0.0.50",
)


def sample(metric, value=1.0, /, **labels):
    return Sample(metric, value, labels)


def well(host, unit, job):
    """What every host with a service at work tells."""
    own = {"hostname": host}
    return [
        sample("up", job="node", **own),
        sample("up", job=job, **own),
        sample("node_systemd_unit_state", name=f"{unit}.service", state="active", **own),
        sample("node_systemd_unit_state", name="prometheus.service", state="active", **own),
        sample("", 1.0, age=AGE, **own),
    ]


def copies(host, *queues, leads=()):
    found = [
        sample("rabbitmq_detailed_raft_term_total", 4, queue=queue, vhost="deployon", hostname=host) for queue in queues
    ]
    return found + [
        sample("rabbitmq_detailed_queue_messages", 0, queue=queue, vhost="deployon", hostname=host) for queue in leads
    ]


def queue_group(**told):
    """The queue as a whole, by which queues have a copy on which host; a host that is not named is silent."""
    samples = {host: [*well(host, "rabbitmq-server", "rabbitmq"), *found] for host, found in told.items()}
    health = judge(LAYOUT, Answers(samples, {host.name: "does not answer" for host in HOSTS if host.name not in told}))
    return health.group(Part.QUEUE)


def test_queues_with_a_copy_on_every_host_are_well_and_tell_who_leads():
    group = queue_group(
        mq1=copies("mq1", "a", "b", leads=["a"]), mq2=copies("mq2", "a", "b", leads=["b"]), mq3=copies("mq3", "a", "b")
    )
    assert (group.state, group.why) == ("healthy", "")
    assert [(each.name, each.leader, each.online) for each in group.queues] == [
        ("a", "mq1", ("mq1", "mq2", "mq3")), ("b", "mq2", ("mq1", "mq2", "mq3")),
    ]  # fmt: skip


def test_a_queue_with_too_few_copies_is_named_with_the_remedy_though_all_hosts_are_well():
    group = queue_group(mq1=copies("mq1", "a", "b"), mq2=copies("mq2", "a", "b"), mq3=copies("mq3", "a"))
    assert group.state == "degraded" and [each.name for each in group.queues] == ["b", "a"]
    assert group.why.startswith("queue b runs on mq1, mq2 alone") and "plan changes" in group.why and "mq3" in group.why


def test_a_queue_without_a_majority_fails_the_queue_as_a_whole():
    group = queue_group(mq1=copies("mq1", "a", "b"), mq2=copies("mq2", "a"), mq3=copies("mq3", "a"))
    assert group.state == "failed" and "without a majority it stands still" in group.why


def test_a_host_that_is_away_is_said_once_and_not_of_every_queue():
    group = queue_group(mq1=copies("mq1", "a", "b"), mq2=copies("mq2", "a", "b"))
    assert "queue" not in group.why and {each.state for each in group.queues} == {"healthy"}


def test_of_many_queues_that_lack_copies_five_are_named_and_the_others_counted():
    names = [f"q{number}" for number in range(9)]
    group = queue_group(mq1=copies("mq1", *names), mq2=copies("mq2", *names), mq3=[])
    assert group.why.count("queue q") == 5 and "4 more queues are like that" in group.why


def test_where_rabbitmq_tells_nothing_of_single_queues_nothing_is_said_of_them():
    group = queue_group(mq1=[], mq2=[], mq3=[])
    assert group.queues == () and group.state == "healthy"


def balancers(holding, keepalived=("lb1", "lb2"), telling=("lb1", "lb2")):
    samples = {}
    for number, host in enumerate(("lb1", "lb2"), 1):
        own = {"hostname": host}
        addresses = [f"10.0.0.2{number}", *(["10.0.0.50"] if host in holding else [])] if host in telling else []
        samples[host] = [
            *well(host, "haproxy", "haproxy"),
            sample(
                "node_systemd_unit_state", float(host in keepalived), name="keepalived.service", state="active", **own
            ),
            *(sample("node_network_address_info", device="eth0", address=each, **own) for each in addresses),
        ]
    return judge(PAIR, Answers(samples)).group(Part.BALANCER)


def test_the_balancer_that_holds_the_virtual_address_is_named():
    group = balancers(["lb2"])
    assert (group.state, group.more) == ("healthy", "lb2 holds 10.0.0.50")


@pytest.mark.parametrize(
    ("holding", "words"), [((), "nobody holds 10.0.0.50"), (("lb1", "lb2"), "lb1 and lb2 both hold 10.0.0.50")]
)
def test_none_or_two_with_the_virtual_address_is_a_failure_with_what_to_do(holding, words):
    group = balancers(holding)
    assert group.state == "failed" and words in group.why and ("112" in group.why or "systemctl status" in group.why)


def test_a_balancer_whose_keepalived_stands_still_has_less_margin():
    group = balancers(["lb1"], keepalived=["lb1"])
    assert group.state == "degraded" and "lb2: keepalived is not running" in group.why


def test_where_nobody_tells_addresses_nothing_is_said_of_the_virtual_one():
    group = balancers([], telling=[])
    assert (group.state, group.why, group.more) == ("healthy", "", "")
