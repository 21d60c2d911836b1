"""A preflight over hosts of the lab, as a run: nothing is changed there, and what is wrong is found, all of it at once."""

import contextlib
import time

import pytest

from accounts.actors import Actor
from installs import reaching
from installs.preflight.starting import last_report, start_preflight
from inventory.connectors.ssh import Command
from runs.models import Event
from tests.installs.hosts import cluster_of, layout_of
from tests.lab import Lab, machine
from tests.runs.drive import drive

FOUND = machine.lacks()
pytestmark = [
    pytest.mark.skipif(bool(FOUND), reason=f"No lab here. {' '.join(FOUND)}"),
    pytest.mark.django_db,
]


@pytest.fixture(scope="module")
def lab():
    with Lab.of(["n1", "n2", "n3"], prefix="pref", ordinary=["n2"]) as lab:
        yield lab


@pytest.fixture
def cluster(lab, acme, settings, tmp_path):
    settings.DATA_DIR = tmp_path  # no bundle, unless a test makes one
    yield cluster_of(lab, acme)
    reaching.forget()


def checked(cluster):
    """(the run, its report) of a preflight."""
    run = drive(start_preflight(by=Actor(user=None, via="test"), cluster=cluster), 90)
    told = last_report(cluster)
    assert told is not None and told[0] == run.pk, run.why
    return run, told[2]


def rules(report, host=None):
    """Of the errors; warnings depend on the machine that the lab is on."""
    return sorted(
        {
            finding["rule"]
            for finding in report["findings"]
            if finding["severity"] == "error" and finding["host"] == (finding["host"] if host is None else host)
        }
    )


@contextlib.contextmanager
def spoilt(host, before, after):
    host.console_run("sh", "-ec", before)
    try:
        yield
    finally:
        host.console_run("sh", "-ec", after)


def files_and_listeners(lab):
    """What changed since the boot, but for logs and what sudo itself leaves in a home."""
    look = "find / -xdev -newer /proc/1/stat -not -path '/proc/*' -not -path '/run/*' 2>/dev/null | grep -vE '^/(run$|home|var/log|tmp|var/lib/systemd)' | sort; ss -Hltn | sort"
    return [host.ssh(look) if host.user == "root" else host.console_run("sh", "-c", look) for host in lab.hosts()]


def test_good_hosts_lack_packages_only_and_nothing_is_changed_on_them(lab, cluster):
    before = files_and_listeners(lab)
    began = time.monotonic()
    run, report = checked(cluster)
    took = time.monotonic() - began
    assert rules(report) == ["packages.source"]
    assert report["ways"] > 40 and all(report["hosts"].values())
    outcomes = {check["rule"]: check["outcome"] for check in report["checks"]}
    for rule in ("ssh", "host_key", "sudo", "system", "machine", "addresses", "ports", "reachability", "apt", "disk"):
        assert outcomes[rule] == "passed", rule
    step = run.steps.get()
    assert (run.state, step.cause) == ("failed", "preflight") and "manage.py bundle" in step.why
    assert files_and_listeners(lab) == before
    assert took < 60


def test_everything_that_is_wrong_is_found_at_once(lab, cluster, tmp_path):
    one, two, three = lab.hosts()
    lock = 'python3 -c \'import fcntl,time; f=open("/var/lib/dpkg/lock-frontend","w"); fcntl.lockf(f,fcntl.LOCK_EX); time.sleep(120)\''
    with (
        spoilt(one, f"systemd-run --quiet --unit=taker python3 -m http.server 5432; systemd-run --quiet --unit=locker {lock}", "systemctl stop taker locker"),
        spoilt(two, "mount -t tmpfs -o size=8m none /opt", "umount /opt"),
        spoilt(three, "mkdir -p /var/lib/postgresql/15; echo odd-name > /proc/sys/kernel/hostname || hostname odd-name", "rm -r /var/lib/postgresql; hostname n3"),
    ):  # fmt: skip
        time.sleep(1)
        _, report = checked(cluster)
    assert {"ports.taken", "apt.lock"} <= set(rules(report, "n1"))
    assert "disk.full" in rules(report, "n2")
    words = " ".join(f"{finding['host']}: {finding['message']}" for finding in report["findings"])
    assert "Port 5432" in words and "by python3" in words
    assert "n3: Something is left of another installation: /var/lib/postgresql" in words
    assert "n3: It calls itself odd-name" in words


def test_a_wrong_password_an_unknown_key_and_a_dead_host_are_found_side_by_side(lab, acme, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    cluster = cluster_of(lab, acme, is_trusted=False)
    node = cluster.nodes.get(name="n1")
    reached = cluster.nodes.get(name="n3")
    reached.ssh_port = 23
    reached.save()
    _, report = checked(cluster)
    assert rules(report, "n1") == ["host_key"] and rules(report, "n3") == ["ssh.unreachable"]
    assert node.host_keys.get().state == "offered"
    assert node.host_keys.get().fingerprint in next(
        finding["message"]
        for finding in report["findings"]
        if finding["host"] == "n1" and finding["rule"] == "host_key"
    )
    assert {check["outcome"] for check in report["checks"] if check["rule"] == "size"} == {"skipped"}


def test_an_address_that_is_not_the_hosts_and_a_host_entered_twice_are_found(lab, acme, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    layout = layout_of(lab)
    cluster = cluster_of(lab, acme, layout=layout)
    node = cluster.nodes.get(name="n3")
    node.ssh_address, node.private_key, node.ssh_user = (
        lab.host("n1").address,
        cluster.nodes.get(name="n1").private_key,
        "root",
    )
    node.save()
    node.host_keys.update(public_key=lab.host("n1").host_key)
    _, report = checked(cluster)
    assert "machine.twice" in rules(report, "")
    assert "addresses.missing" in rules(report, "n3")


def test_ways_that_a_firewall_closes_are_found_by_pair_and_port(lab, cluster):
    table = "table inet closed { chain in { type filter hook input priority 0; ip saddr %s tcp dport { 2380, 5671 } drop; }; }"
    with spoilt(lab.host("n1"), f"nft '{table % lab.host('n2').address}'", "nft delete table inet closed"):
        _, report = checked(cluster)
    (found,) = [finding for finding in report["findings"] if finding["rule"].startswith("reachability")]
    assert (found["rule"], found["host"]) == ("reachability.filtered", "n2")
    assert "does not reach n1" in found["message"] and "2380" in found["message"] and "5432" not in found["message"]


def test_no_secret_is_told(lab, cluster):
    run, _ = checked(cluster)
    password = lab.host("n2").password
    told = [run.why, run.steps.get().why, *(f"{event.message} {event.data}" for event in Event.objects.filter(run=run))]
    assert told and not [text for text in told if password in text or "PRIVATE KEY" in text]


def test_listeners_of_a_preflight_that_was_killed_go_by_themselves(lab, cluster):
    from installs.preflight import survey

    host = lab.host("n1")
    with reaching.session(cluster.pk, "n1") as session:
        question = {"places": [[host.address, 2380]], "word": "x", "seconds": 2}
        assert survey._call(session, "listen.py", question, is_root=True, seconds=10)["opened"] == [
            [host.address, 2380]
        ]
        assert session.test(Command.shell("ss -Hltn | grep -q :2380"))
        time.sleep(3)
        assert not session.test(Command.shell("ss -Hltn | grep -q :2380"))
