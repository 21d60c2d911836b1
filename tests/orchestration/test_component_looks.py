"""What each operation of a component does to a remote manager, look by look, on good and on bad days; without engine and runner."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from inventory.connectors.errors import ManagerError
from inventory.doubles import Fault, FaultKind, ManagerDouble
from inventory.models import Credential, Deployment, SubManager
from orchestration import components, components_looks
from orchestration.components_client import connect
from orchestration.models import Execution
from orchestration.runner_types import Subject
from tests import factories
from tests.inventory import factories as inventory
from tests.orchestration import factories as made
from tests.orchestration.serving import shelf

pytestmark = pytest.mark.django_db
TOKEN = "ctok-alice-0123456789"
LOGIN = ("octo", "ghp_SECRET_0123456789")
ARCHIVE = b"\x1f\x8b" + b"a small archive"


@pytest.fixture
def double(settings):
    settings.ENDPOINT_NETWORKS = ["127.0.0.1/32"]
    with ManagerDouble() as double:
        yield double


@pytest.fixture
def files(settings):
    settings.ENDPOINT_NETWORKS = ["127.0.0.1/32"]
    with shelf() as running:
        running.url_of_app = running.put("/app.tar.gz", ARCHIVE)
        yield running


@pytest.fixture
def execution(acme, alice):
    return made.execution(made.local(acme, "wrapper", by=alice), "install", Execution.State.STARTED, created_by=alice)


class Component:
    """An instance of a component: its properties, what it remembers, and operations on it."""

    def __init__(self, execution, double, **config):
        self.execution, self.memory = execution, {}
        self.client = {
            "host": "127.0.0.1",
            "port": str(double.port),
            "protocol": "http",
            "tenant": "acme",
            "token": TOKEN,
        }
        self.blueprint = {"id": "app", "main_file_name": "blueprint.yaml"}
        self.deployment = {"id": "app", "inputs": {"hello": "World"}}
        self.more, self.folder, self.said = {}, Path("/nonexistent"), []
        for name, value in config.items():
            getattr(self, name).update(value)

    def begin(self, function, operation="create", **inputs):
        full = function if "." in function else f"component.{function}"
        served = components.serve(self.execution, f"cloudify_types.{full}")
        config = {"blueprint": self.blueprint, "deployment": self.deployment}
        properties = {"client": self.client, "resource_config": config, **self.more}
        name = f"cloudify.interfaces.lifecycle.{operation}"
        subject = Subject("comp_abc123", name, properties, dict(self.memory), inputs, self.folder)
        served.fault_told = served.prepare(subject)
        return served

    def look(self, served):
        found = served.look()
        for name, value in (found.properties or {}).items():
            if value is None:
                self.memory.pop(name, None)
            else:
                self.memory[name] = value
        self.said += [text for _, text in found.said]
        return found

    def run(self, function, operation="create", seconds=20.0, **inputs):
        """To its end; the last look."""
        served = self.begin(function, operation, **inputs)
        assert served.fault_told == ""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.look(served)
            if found.is_done or found.error:
                return found
            time.sleep(0.02)
        raise AssertionError("it never ended")

    def install(self):
        for function, operation in (
            ("upload_blueprint", "create"),
            ("create", "configure"),
            ("execute_start", "start"),
        ):
            found = self.run(function, operation)
            assert found.is_done and not found.error, found
        return found

    def uninstall(self):
        for function, operation in (("execute_start", "stop"), ("delete", "delete")):
            found = self.run(function, operation)
            assert found.is_done and not found.error, found


@pytest.fixture
def component(execution, double, files):
    def make(**config):
        one = Component(execution, double, **config)
        one.blueprint.setdefault("blueprint_archive", files.url_of_app)
        return one

    return make


def there(double, name="app"):
    return double.answers("acme").world.deployment(name) if hasattr(double.answers("acme"), "world") else None


# --- the good day ---------------------------------------------------------------------------------------------------------


def test_it_is_brought_made_installed_read_and_taken_away_again(component, double):
    one = component()
    one.install()
    assert one.memory["capabilities"] == {"answer": "hello"}
    assert one.memory["deployment"] == {"id": "app"} and one.memory["blueprint"]["is_ours"] is True
    assert (double.count("PUT", "/blueprints"), double.count("PUT", "/deployments")) == (1, 1)
    assert double.count("POST", "/executions") == 1
    one.uninstall()
    assert one.memory == {}
    assert double.count("DELETE", "/deployments/app") == double.count("DELETE", "/blueprints/app") == 1


def test_each_operation_once_more_changes_nothing_there(component, double):
    one = component()
    one.install()
    one.install()
    assert (double.count("PUT", "/blueprints"), double.count("POST", "/executions")) == (1, 1)


def test_its_events_are_copied_and_no_secret_is_among_them(component, double):
    one = component()
    one.install()
    assert any(text.startswith("[app]") for text in one.said)
    assert TOKEN not in " ".join(one.said)


def test_what_is_there_before_is_used_with_a_warning_and_stays(component, double, files):
    component().run("upload_blueprint")
    two = component()
    two.run("upload_blueprint")
    assert "is there already" in " ".join(two.said) and two.memory["blueprint"]["is_ours"] is False
    assert len(files.asked) == 1  # the archive was not fetched again
    two.deployment["id"] = "other"
    two.run("create", "configure")
    two.uninstall()
    assert double.count("DELETE", "/blueprints") == 0


def test_a_private_archive_is_fetched_with_its_login_and_remembered_without(component, files, double):
    url = files.put("/private.zip", ARCHIVE, LOGIN)
    with_login = url.replace("http://", f"http://{LOGIN[0]}:{LOGIN[1]}@")
    one = component(blueprint={"blueprint_archive": with_login})
    one.run("upload_blueprint")
    assert one.memory["blueprint"]["blueprint_archive"] == url
    assert LOGIN[1] not in str(one.memory) + " ".join(one.said)
    assert [path for path, _ in files.asked] == ["/private.zip"]


def test_an_archive_beside_the_blueprint_is_packed_and_pushed_and_nothing_outside_is(component, tmp_path, double):
    (tmp_path / "bp" / "inner").mkdir(parents=True)
    (tmp_path / "bp" / "inner" / "blueprint.yaml").write_text("x: 1")
    (tmp_path / "secret").mkdir()
    one = component(blueprint={"blueprint_archive": "inner"})
    one.folder = tmp_path / "bp"
    assert one.run("upload_blueprint").is_done
    for wrong in ("../secret", "/etc/hostname", "nothing"):
        other = component(blueprint={"id": "other", "blueprint_archive": wrong})
        other.folder = tmp_path / "bp"
        assert "no file or folder" in other.run("upload_blueprint").error


def test_numbers_are_tried_where_the_id_is_somebody_elses_and_that_was_allowed(component, execution, acme, alice):
    first = component()
    first.install()
    elsewhere = made.execution(made.local(acme, "another", by=alice), created_by=alice)
    two = component(deployment={"auto_inc_suffix": True})
    two.execution = elsewhere
    two.run("upload_blueprint")
    assert two.run("create", "configure").is_done
    assert two.memory["deployment"] == {"id": "app-0"}


# --- what is refused ------------------------------------------------------------------------------------------------------


def test_a_deployment_of_somebody_else_is_not_touched(component, acme, alice, double):
    component().install()
    two = component()
    two.execution = made.execution(made.local(acme, "another", by=alice), created_by=alice)
    two.run("upload_blueprint")
    assert "is there already" in two.run("create", "configure").error
    two.memory["deployment"] = {"id": "app"}
    two.run("delete", "delete")
    assert double.count("DELETE", "/deployments") == 0 and "left there" in " ".join(two.said)


@pytest.mark.parametrize(
    ("config", "function", "words"),
    [
        ({"client": {"token": "ctok-nobody-000"}}, "upload_blueprint", "token"),
        ({"client": {"token": {"et_secret": "x"}}}, "upload_blueprint", "no text"),
        ({"client": {"token": "", "password": "half"}}, "upload_blueprint", "username"),
        ({"client": {"token": ""}}, "upload_blueprint", "no login"),
        ({"client": {"port": "abc"}}, "upload_blueprint", "a number"),
        ({"client": {"protocol": "ftp"}}, "upload_blueprint", "http or https"),
        ({"client": {"host": ""}}, "upload_blueprint", "host name"),
        ({"client": {"host": "169.254.169.254"}}, "upload_blueprint", "must not call"),
        ({"blueprint": {"blueprint_archive": ""}}, "upload_blueprint", "none is given"),
        ({"blueprint": {"external_resource": True, "id": "nosuch"}}, "upload_blueprint", "not present"),
        ({"blueprint": {"blueprint_archive": "ftp://x/y.zip"}}, "upload_blueprint", "begins with https"),
        ({"blueprint": {"blueprint_archive": "http://169.254.169.254/a"}}, "upload_blueprint", "must not call"),
        ({"deployment": {"external_resource": True, "id": "nosuch"}}, "create", "no deployment nosuch"),
        ({"deployment": {"id": "nosuch"}}, "shared_resource.connect_deployment", "no deployment nosuch"),
        ({"deployment": {"id": "nosuch"}}, "check_status", "not there any more"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_at_the_first_look(component, config, function, words):
    found = component(**config).run(function, seconds=10)
    assert words in found.error, found.error


@pytest.mark.parametrize(
    ("more", "words"),
    [({"secrets": {"a": "b"}}, "does not bring secrets"), ({"plugins": {"a": {}}}, "does not bring plugins")],
)
def test_what_it_would_copy_to_every_manager_is_refused(component, more, words):
    one = component(more=more)
    assert words in one.begin("upload_blueprint").fault_told


def test_a_missing_file_and_a_wrong_login_are_told_without_the_login(component, files):
    files.put("/closed.zip", ARCHIVE, LOGIN)
    for path, words in (("/none.zip", "There is nothing at"), ("/closed.zip", "refuses the login")):
        url = f"{files.url}{path}?token=hidden".replace("http://", "http://octo:wrong-token@")
        error = component(blueprint={"blueprint_archive": url}).run("upload_blueprint").error
        assert words in error and "wrong-token" not in error and "hidden" not in error


# --- bad days -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.LOST_AFTER_WRITE, FaultKind.ERROR_AFTER_WRITE, FaultKind.BAD_GATEWAY])  # fmt: skip
@pytest.mark.parametrize(("method", "path"), [("PUT", "/blueprints"), ("PUT", "/deployments"), ("POST", "/executions")])
def test_one_lost_packet_costs_time_and_nothing_twice(component, double, kind, method, path):
    double.faults.append(Fault(kind, method, path, times=1))
    one = component()
    one.install()
    assert one.memory["capabilities"] == {"answer": "hello"}
    runs = [run for run in double.requests if run[:2] == ("POST", "/executions")]
    assert len(runs) <= 2


def test_trouble_that_stays_ends_it_with_words(component, double, monkeypatch):
    monkeypatch.setattr(components_looks, "PATIENCE", 0.3)
    double.faults.append(Fault(FaultKind.BAD_GATEWAY, "GET", "/blueprints"))
    one = component()
    found = one.run("upload_blueprint", seconds=20)
    assert "Resume when it is well again" in found.error and "tried again" in " ".join(one.said)


def test_a_failed_install_is_told_with_the_managers_words(component, double):
    double.script.install_error = "RuntimeError: the disk is full"
    one = component()
    one.run("upload_blueprint")
    one.run("create", "configure")
    error = one.run("execute_start", "start").error
    assert "install of app failed there" in error and "the disk is full" in error


def test_what_was_caught_in_the_middle_is_followed_by_the_next_process(component, double):
    double.script.install = 1.0
    one = component()
    one.run("upload_blueprint")
    one.run("create", "configure")
    served = one.begin("execute_start", "start")
    while "execution" not in one.memory:
        one.look(served)
    assert one.run("execute_start", "start").is_done  # by another process, which knows what was stored alone
    assert double.count("POST", "/executions") == 1 and "execution" not in one.memory


def test_a_cancel_reaches_the_manager_and_waits_for_its_word(component, double):
    double.script.install, double.script.cancelling = 60.0, 0.5
    one = component()
    one.run("upload_blueprint")
    one.run("create", "configure")
    served = one.begin("execute_start", "start")
    while not served.remote_execution:
        one.look(served)
    assert "may still run there" in served.describe()
    served.cancel("cancel")
    ends = []
    while not ends or not ends[-1].error:
        ends.append(one.look(served))
        time.sleep(0.05)
    assert len(ends) > 1 and "ended there as cancelled" in ends[-1].error


def test_time_runs_out_and_what_runs_there_is_left(component, double):
    double.script.install = 60.0
    one = component()
    one.run("upload_blueprint")
    one.run("create", "configure")
    error = one.run("execute_start", "start", timeout=0.2).error
    assert "has not ended after 0 seconds" in error and "resume this execution" in error


# --- whom it talks to -----------------------------------------------------------------------------------------------------


def test_without_a_login_it_uses_that_of_the_environment_that_it_stands_on(component, execution, acme, alice, double):
    manager = SubManager.objects.create(tenant=acme, endpoint="127.0.0.1", port=double.port, protocol="http")
    secret = factories.secret(acme, "plant-token", TOKEN)
    login = Credential.objects.create(tenant=acme, kind="token", token=secret)
    environment = inventory.environment(acme, "plant", sub_manager=manager, credential=login, remote_tenant="acme")
    one = component(client={"token": ""})
    assert "no login" in one.run("upload_blueprint").error
    Deployment.objects.filter(pk=execution.local.deployment_id).update(parent=environment.deployment)
    assert one.run("upload_blueprint").is_done
    one.client["tenant"] = "elsewhere"
    assert "no login" in one.run("upload_blueprint").error


def test_trust_all_is_said_and_a_known_manager_keeps_its_own_trust(execution, acme):
    said = []
    block = {"host": "manager.example.com", "protocol": "https", "token": TOKEN, "trust_all": True}
    assert connect(execution, block, said).address.trust.mode == "insecure" and "trust_all" in said[0][1]
    fingerprint = ":".join(["AB"] * 32)
    where = {"endpoint": "manager.example.com", "port": 443, "protocol": "https"}
    SubManager.objects.create(tenant=acme, trust="fingerprint", fingerprint=fingerprint, **where)
    said.clear()
    assert connect(execution, block, said).address.trust.mode == "fingerprint" and said == []


def test_without_a_client_this_installation_answers_in_the_name_of_the_starter(execution, acme, bob, client):
    made.blueprint(acme, "mine")
    with connect(execution, {}, []) as ours:
        assert ours.blueprint("mine").is_uploaded
        assert ours.whoami().username == "alice"
        with pytest.raises(ManagerError, match="nosuch"):
            ours.deployment("nosuch")
        made.local(acme, "here", by=execution.created_by)
        assert ours.deployment("here").id == "here"
    execution.created_by = bob
    with connect(execution, {}, []) as viewer, pytest.raises(ManagerError, match="not permitted"):
        viewer.start_execution("here", "install")
