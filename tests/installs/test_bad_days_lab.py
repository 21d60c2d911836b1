"""Bad days of an install, on a host of the lab: each ends with the step, the cause and the remedy, and Resume works after repair."""

import contextlib
import dataclasses

import pytest

from accounts.actors import Actor
from installs import installing, reaching
from installs.bundle.pushing import PLACE, SOURCE
from installs.operations import hosts as steps
from installs.operations.applying import Configure
from installs.preflight.starting import last_report, start_preflight
from installs.rendering.values import RenderedFile
from inventory.cluster_hosts import change_host, trust_host_key
from inventory.connectors.ssh import Command
from inventory.host_access import Access
from runs import engine
from runs.operations import operation
from tests.installs.bundles import make_bundle
from tests.installs.factories import actor
from tests.installs.hosts import access_of, cluster_of
from tests.lab import Lab, machine
from tests.runs.drive import drive
from tests.runs.factories import start

FOUND = machine.lacks()
pytestmark = [
    pytest.mark.skipif(bool(FOUND), reason=f"No lab here. {' '.join(FOUND)}"),
    pytest.mark.django_db,
]
# Holds the lock of dpkg's front ends until it is stopped.
LOCKER = "import fcntl,time; f=open('/var/lib/dpkg/lock-frontend','w'); fcntl.lockf(f,fcntl.LOCK_EX); time.sleep(600)"
# A lab's host has the machine's clock. Whoever asks for the time is told another one.
AN_HOUR_AHEAD = '#!/bin/sh\nexec /usr/bin/date -d "+1 hour" "$@"\n'


PORT = 8009
# A service as those of a cluster are: it tells systemd when it is ready, or ends.
SERVICE = f"""
import os, socket, time
listener = socket.create_server(("", {PORT}))
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
    told.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
time.sleep(600)
"""
UNIT = "[Service]\nType=notify\nExecStart=/usr/bin/python3 /usr/local/lib/greeting.py\n[Install]\nWantedBy=multi-user.target\n"


@operation("test.greeting")
@dataclasses.dataclass(frozen=True)
class ConfigureGreeter(Configure):
    service = "greeting"
    units = ("greeting",)

    def wanted(self, context):
        return None

    def files(self, context, wanted, host):
        return [
            RenderedFile("/etc/systemd/system/greeting.service", UNIT),
            RenderedFile("/usr/local/lib/greeting.py", SERVICE),
        ]

    def tell(self, wanted, host, files):
        host.run(Command("systemctl", "daemon-reload"))
        host.run(Command("systemctl", "enable", "greeting"))
        host.run(Command("systemctl", "restart", "greeting"))


@pytest.fixture(scope="module")
def lab():
    with Lab.of(["n1"], prefix="badd", ordinary=["n1"]) as lab:
        yield lab


@pytest.fixture
def there(lab):
    host = lab.host("n1")
    yield host
    clean = 'dpkg --purge greeter greeting-words 2>/dev/null; rm -rf "$0" "$1"'
    host.console_run("sh", "-c", clean, PLACE, SOURCE, check=False)


@pytest.fixture
def cluster(lab, acme, there):
    yield planned(cluster_of(lab, acme))
    reaching.forget()


def planned(cluster):
    """With the secrets and certificates that its plan makes."""
    installing.prepare(by=actor(cluster.tenant), cluster=cluster)
    return cluster


@pytest.fixture
def greeter(monkeypatch, tmp_path):
    """The packages of the host are `greeter` and what it needs, from a small bundle."""
    bundle = make_bundle(tmp_path / "bundle", size=3_000_000)
    monkeypatch.setattr(steps, "bundle_for", lambda release: bundle)
    monkeypatch.setattr(steps, "packages_of", lambda layout, host: ["greeter"])


def resumed(cluster, run):
    engine.resume(run, by=actor(cluster.tenant))
    return drive(run, 90)


def change_access(cluster, **parts):
    """As a person corrects how the host is signed in to."""
    change_host(by=actor(cluster.tenant), node=cluster.nodes.get(), access=Access(**parts))
    reaching.forget()


@contextlib.contextmanager
def at_work(there, unit, *command):
    """A program on the host that is in the way; gone at the latest in the end."""
    there.console_run("systemd-run", "--quiet", f"--unit={unit}", *command)
    try:
        yield lambda: there.console_run("systemctl", "stop", unit)
    finally:
        there.console_run("systemctl", "stop", unit, check=False)


def test_a_wrong_password_of_the_user(lab, cluster, there):
    change_access(cluster, user=there.user, password="not-this-one")
    run = drive(start(steps.SetNames(cluster.pk, "n1")), 60)
    assert (run.state, run.cause) == ("failed", "credential") and there.address in run.why
    assert run.steps.get().title == "Set the names of hosts on n1" and "Then resume" in run.why
    change_access(cluster, user=there.user, password=there.password)
    assert resumed(cluster, run).state == "succeeded", run.why


def test_a_wrong_password_of_sudo(cluster, there):
    change_access(cluster, user=there.user, private_key=there.key.read_text(), sudo_password="not-this-one")
    run = drive(start(steps.SetNames(cluster.pk, "n1")), 60)
    assert (run.state, run.cause) == ("failed", "sudo") and "Correct the sudo password" in run.why
    given = access_of(there)
    change_access(cluster, user=given.user, private_key=given.private_key, sudo_password=given.sudo_password)
    assert resumed(cluster, run).state == "succeeded", run.why


def test_a_user_who_may_not_become_root(cluster, there):
    there.console_run("gpasswd", "-d", there.user, "sudo")
    try:
        run = drive(start(steps.SetNames(cluster.pk, "n1")), 60)
    finally:
        there.console_run("gpasswd", "-a", there.user, "sudo")
    assert (run.state, run.cause) == ("failed", "sudo") and "sudo" in run.why and "resume" in run.why
    reaching.forget()  # whoever signed in before is in no group yet
    assert resumed(cluster, run).state == "succeeded", run.why


def test_an_unknown_host_key(lab, acme, there):
    cluster = planned(cluster_of(lab, acme, is_trusted=False))
    run = drive(start(steps.SetNames(cluster.pk, "n1")), 60)
    assert (run.state, run.cause) == ("failed", "host_key") and "SHA256:" in run.why
    trust_host_key(by=actor(acme), node=cluster.nodes.get(), public_key=there.host_key)
    assert resumed(cluster, run).state == "succeeded", run.why


def test_a_full_disk(cluster, there, greeter):
    there.console_run("sh", "-ec", f"mkdir -p {PLACE}; mount -t tmpfs -o size=2m none {PLACE}")
    try:
        run = drive(start(steps.PushBundle(cluster.pk, "n1")), 90)
    finally:
        there.console_run("umount", PLACE)
    assert run.state == "failed" and "No space left on device" in run.why
    assert "A disk of n1 is full: make room there" in run.why and "Then resume" in run.why
    assert run.steps.get().title == "Push packages to n1"
    assert resumed(cluster, run).state == "succeeded", run.why


def test_a_held_lock_of_apt_is_waited_for_and_then_named(cluster, there, greeter, monkeypatch):
    assert drive(start(steps.PushBundle(cluster.pk, "n1")), 90).state == "succeeded"
    monkeypatch.setattr(steps, "APT_OPTIONS", steps.APT_OPTIONS.replace("Timeout=300", "Timeout=3"))
    with at_work(there, "locker", "python3", "-c", LOCKER) as stop:
        run = drive(start(steps.InstallPackages(cluster.pk, "n1")), 90)
        assert (run.state, run.cause) == ("failed", "failed")
        assert "Another program on n1 holds apt's lock" in run.why and "Then resume" in run.why
        stop()
        assert resumed(cluster, run).state == "succeeded", run.why
    assert there.console_run("dpkg-query", "--show", "greeter")


def test_a_clock_that_is_an_hour_off_is_found_before_anything_is_begun(cluster, there):
    place = "/usr/local/bin/date"
    there.console_run("tee", place, given=AN_HOUR_AHEAD)
    there.console_run("chmod", "755", place)
    try:
        drive(start_preflight(by=Actor(user=None, via="test"), cluster=cluster), 90)
        findings = last_report(cluster)[2]["findings"]
    finally:
        there.console_run("rm", place)
    (found,) = [finding for finding in findings if finding["rule"] == "clock.offset"]
    assert (found["severity"], found["host"]) == ("error", "n1") and "ahead of the portal's" in found["message"]
    assert found["remedy"]
    reaching.forget()
    drive(start_preflight(by=Actor(user=None, via="test"), cluster=cluster), 90)
    assert "clock.offset" not in [finding["rule"] for finding in last_report(cluster)[2]["findings"]]


def test_a_port_that_is_taken_ends_the_step_with_the_words_of_the_service(cluster, there):
    with at_work(there, "taker", "python3", "-m", "http.server", str(PORT)) as stop:
        run = drive(start(ConfigureGreeter(cluster.pk, "n1")), 90)
        assert (run.state, run.cause) == ("failed", "service"), run.why
        assert "greeting does not start" in run.why and "Another program on" in run.why and "then resume" in run.why
        stop()
        assert resumed(cluster, run).state == "succeeded", run.why
    assert there.console_run("systemctl", "is-active", "greeting").strip() == "active"
    there.console_run("systemctl", "disable", "--now", "greeting")
