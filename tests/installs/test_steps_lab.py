"""Steps on hosts of the lab: long work followed to its end whatever happens to the connection, the worker and the host."""

import dataclasses
import time

import pytest
from django.test import override_settings

from installs import reaching
from installs.steps import HostStep
from inventory.cluster_hosts import trust_host_key
from inventory.connectors.ssh import Command
from runs import engine
from runs.models import Event, Run, Step
from runs.operations import operation
from runs.sweeper import sweep
from runs.work import Crew
from tests.installs.factories import actor
from tests.installs.hosts import cluster_of
from tests.lab import Lab, machine
from tests.runs.drive import drive
from tests.runs.factories import start

FOUND = machine.lacks()
pytestmark = [
    pytest.mark.skipif(bool(FOUND), reason=f"No lab here. {' '.join(FOUND)}"),
    pytest.mark.django_db,
]


@operation("test.script")
@dataclasses.dataclass(frozen=True)
class Script(HostStep):
    """Is done once `path` is there; `script` makes it."""

    path: str
    script: str
    seconds: float = 60.0
    patience = 60.0

    def describe(self):
        return f"Make {self.path}"

    def look(self, context, host):
        return host.test(Command("test", "-e", self.path))

    def act(self, context, host):
        return self.detached(context, host, "make", self.script, seconds=self.seconds)


@operation("test.impatient")
@dataclasses.dataclass(frozen=True)
class Impatient(Script):
    patience = 3.0


@pytest.fixture(scope="module")
def lab():
    with Lab.of(["n1"], prefix="step", ordinary=["n1"]) as lab:
        yield lab


@pytest.fixture
def there(lab):
    host = lab.host("n1")
    host.start().wait()
    return host


@pytest.fixture
def cluster(lab, acme, there):
    yield cluster_of(lab, acme)
    reaching.forget()


@pytest.fixture
def path(request):
    return f"/var/tmp/{request.node.name[:60].replace('[', '-').strip(']')}"


def look_once():
    with override_settings(RUN_THREADS=0):
        sweep(lambda items: Crew().work(items))


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come to that"
        look_once()
        time.sleep(0.05)


def output_of(run):
    return "".join(f"{event.message}\n" for event in Event.objects.filter(run=run, kind="output").order_by("pk"))


def said(run, words):
    return Event.objects.filter(run=run, message__contains=words).exists()


def runs_of(there, path):
    """How often the script ran: it writes a line each time."""
    return there.console_run("cat", f"{path}.runs").count("run")


def script(path, seconds=2, rest=""):
    return f"echo run >> {path}.runs; echo begun; sleep {seconds}; {rest} echo done; touch {path}"


def test_work_is_followed_to_its_end_with_its_output_and_done_once(cluster, there, path):
    step = Script(cluster.pk, "n1", path, script(path))
    run = drive(start(step), 60)
    assert (run.state, output_of(run)) == ("succeeded", "begun\ndone\n")
    assert runs_of(there, path) == 1
    assert drive(start(step), 30).steps.get().state == "skipped"
    assert "deployon" not in there.console_run("ls", "/var/lib/deployon-setup/detached")


def test_while_it_runs_the_step_waits_and_says_what_it_said_last(cluster, path):
    run = start(Script(cluster.pk, "n1", path, script(path, 3)))
    until(lambda: run.steps.get().why == f"Make {path}: begun")
    assert run.steps.get().state == "waiting"
    assert drive(run, 60).state == "succeeded"


def test_a_worker_that_is_killed_before_it_wrote_anything_down_is_followed_by_one_that_adopts_the_work(
    cluster, there, path
):
    run = start(Script(cluster.pk, "n1", path, script(path, 3)))
    until(lambda: there.console_run("sh", "-c", f"cat {path}.runs || true"))
    Step.objects.filter(run=run).update(memory={})
    reaching.forget()
    assert drive(run, 60).state == "succeeded"
    assert runs_of(there, path) == 1 and output_of(run).endswith("done\n")


def test_a_host_that_loses_power_in_the_middle_is_waited_for_and_the_work_begins_anew(cluster, there, path):
    run = start(Script(cluster.pk, "n1", path, script(path, 4)))
    until(lambda: "begun" in output_of(run))
    there.cut()
    until(lambda: said(run, "n1") and "Waiting for host n1" in run.steps.get().why, 60)
    there.start().wait()
    assert drive(run, 90).state == "succeeded"
    assert said(run, "went down during") and said(run, "answers again")
    assert runs_of(there, path) == 2


def test_a_network_that_goes_away_and_comes_back_costs_nothing_but_time(cluster, there, path):
    run = start(Script(cluster.pk, "n1", path, script(path, 3)))
    until(lambda: "begun" in output_of(run))
    there.unplug()
    reaching.forget()
    until(lambda: "Waiting for host n1" in run.steps.get().why, 60)
    there.plug()
    assert drive(run, 90).state == "succeeded"
    assert runs_of(there, path) == 1


def test_a_host_that_never_comes_back_ends_the_step_and_a_resume_goes_on_when_it_is_there_again(cluster, there, path):
    there.cut()
    run = drive(start(Impatient(cluster.pk, "n1", path, script(path, 0))), 90)
    assert (run.state, run.cause) == ("failed", "unreachable")
    assert "did not come back within 3 s" in run.why and "Then resume" in run.why
    there.start().wait()
    engine.resume(run, by=actor(cluster.tenant))
    assert drive(run, 60).state == "succeeded"


def test_a_script_that_fails_says_its_last_words_and_a_resume_runs_it_anew(cluster, there, path):
    rest = f"[ -e {path}.mended ] || {{ echo the disk is full >&2; exit 9; }};"
    run = drive(start(Script(cluster.pk, "n1", path, script(path, 0, rest))), 60)
    assert (run.state, run.cause) == ("failed", "failed")
    assert "code 9: the disk is full" in run.why
    there.console_run("touch", f"{path}.mended")
    engine.resume(run, by=actor(cluster.tenant))
    assert drive(run, 60).state == "succeeded" and runs_of(there, path) == 2


def test_a_script_that_does_not_end_is_stopped_and_named(cluster, there, path):
    run = drive(start(Script(cluster.pk, "n1", path, script(path, 555), seconds=2.0)), 60)
    assert (run.state, run.cause) == ("failed", "timeout") and "was stopped" in run.why
    assert "sleep 555" not in there.console_run("ps", "-eo", "args")


def test_a_cancel_stops_it_on_the_host(cluster, there, path):
    run = start(Script(cluster.pk, "n1", path, script(path, 556)))
    until(lambda: "begun" in output_of(run))
    engine.cancel(run, by=actor(cluster.tenant))
    assert drive(run, 60).state == "cancelled"
    assert "sleep 556" not in there.console_run("ps", "-eo", "args") and said(run, "Stopped make")


def test_passwords_of_a_host_that_a_script_prints_are_masked_and_kept_nowhere(cluster, there, path):
    run = drive(start(Script(cluster.pk, "n1", path, script(path, 0, f"echo it is {there.password};"))), 60)
    memories = [str(step.memory) for step in Step.objects.filter(run=run)]
    told = [f"{event.message} {event.data}" for event in Event.objects.filter(run=run)]
    assert said(run, "it is ***") and not [text for text in told + memories if there.password in text]


def test_a_host_key_that_changed_ends_the_step_at_once_and_is_kept_for_a_person_to_look_at(cluster, there, path):
    node = cluster.nodes.get()
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    trust_host_key(by=actor(cluster.tenant), node=node, public_key=other)
    run = drive(start(Script(cluster.pk, "n1", path, "true")), 30)
    assert (run.state, run.cause) == ("failed", "host_key") and "shows another host key" in run.why
    assert node.host_keys.get(public_key=there.host_key).state in ("offered", "retired")
    trust_host_key(by=actor(cluster.tenant), node=node, public_key=there.host_key)
    engine.resume(run, by=actor(cluster.tenant))
    assert drive(run, 30).state == "failed"  # `true` makes no file: the step itself is asked now
    assert run.cause == "no-effect"


def test_a_check_of_a_host_runs_nothing_there(cluster, there, path):
    run = drive(start(Script(cluster.pk, "n1", path, script(path)), mode=Run.Mode.CHECK), 30)
    assert run.state == "failed" and not there.console_run("sh", "-c", f"ls {path}* 2>/dev/null || true")


def test_a_session_is_kept_between_the_looks_of_a_step(cluster, there, path, monkeypatch):
    opened = []
    real = reaching.open_host
    monkeypatch.setattr(reaching, "open_host", lambda *given: opened.append(given) or real(*given))
    drive(start(Script(cluster.pk, "n1", path, script(path, 2))), 60)
    assert len(opened) == 1
