"""What a hostile blueprint tries: the portal's files, environment and secrets, other instances, floods; in each sandbox that works here."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from orchestration.runner_cage import CAGES
from orchestration.runner_host import RunnerHost
from orchestration.runner_types import RunnerError, RunnerSettings
from tests.orchestration.runner.cases import HEAD, one_node

SPY = """
import glob, importlib, json, os
from cloudify import ctx
from cloudify.state import ctx_parameters as given

def attempt(function):
    try:
        return repr(function())[:200]
    except BaseException as error:
        return "refused: " + type(error).__name__

def environments():
    found = []
    for name in glob.glob("/proc/[0-9]*/environ"):
        try:
            if given["marker"] in open(name, errors="replace").read():
                found.append(name)
        except OSError:
            pass
    return found

def imports(name):
    importlib.import_module(name)

def write():
    open(os.path.join(given["data"], "planted"), "w").close()

found = {
    "keys": attempt(lambda: open(os.path.join(given["data"], "vault.keys")).read()),
    "home": attempt(lambda: open(given["home"] + "/.netrc").read()),
    "list": attempt(lambda: os.listdir(given["data"])),
    "write": attempt(write),
    "environ": attempt(lambda: open("/proc/%s/environ" % given["portal"]).read()),
    "environs": environments(),
    "django": attempt(lambda: imports("django")),
    "portal code": attempt(lambda: imports("orchestration.runner_host")),
    "descriptors": sorted(os.readlink("/proc/self/fd/" + n).split(":")[0] for n in os.listdir("/proc/self/fd") if int(n) > 2 and os.path.lexists("/proc/self/fd/" + n)),
    "environment": sorted(os.environ),
    "user": os.getuid(),
    "root again": attempt(lambda: os.setuid(0)) if os.getuid() else "not applicable",
    "work": os.getcwd(),
    "mode": oct(os.stat(".").st_mode & 0o777),
}
ctx.instance.runtime_properties["found"] = json.dumps(found)
"""


def cages() -> list[str]:
    return [name for name, cage in CAGES.items() if name != "none" and (not cage["root"] or os.geteuid() == 0)]


@pytest.fixture
def data(tmp_path) -> Path:
    """A data folder as the portal makes it."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "vault.keys").write_text("the-vault-key")
    (folder / "vault.keys").chmod(0o600)
    return folder


@pytest.mark.parametrize("cage", cages())
def test_a_script_cannot_read_the_portals_data_environment_keys_or_code(case, runner_settings, data, cage, monkeypatch):
    home = data.parent / "home"
    home.mkdir(mode=0o700)
    (home / ".netrc").write_text("the-password")
    monkeypatch.setenv("HOME", str(home))
    settings = dataclasses.replace(runner_settings, sandbox=cage, hidden=[data])
    spy_host = RunnerHost(settings)
    try:
        try:
            assert spy_host.start()["chosen"] == cage
        except RunnerError as error:
            pytest.skip(f"this sandbox does not work here: {error}")
        inputs = f"{{data: '{data}', home: '{home}', portal: {os.getpid()}, marker: 'PYTEST_VERSION'}}"
        deployment = case(one_node("spy.py", inputs=inputs), {"spy.py": SPY}, host=spy_host)
        assert deployment.run().status == "terminated", deployment.messages
    finally:
        spy_host.close()
    found = json.loads(deployment.runtime["s"]["found"])
    for what in ("keys", "home", "list", "write", "environ", "django", "portal code"):
        assert found[what].startswith("refused"), (what, found[what])
    assert found["environs"] == [] and not (data / "planted").exists()
    assert set(found["environment"]) == {"CFY_EXEC_TEMP", "HOME", "LANG", "MALLOC_ARENA_MAX", "PATH", "TMPDIR"}
    assert set(found["descriptors"]) <= {"socket"} and len(found["descriptors"]) == 1
    assert found["mode"] == "0o700"
    if CAGES[cage]["user"]:
        assert found["user"] >= settings.uid_base and found["root again"].startswith("refused")
        assert not Path(found["work"]).exists()


def test_deployments_run_as_different_users(host):
    if not host.report["chosen"].endswith("user"):
        pytest.skip("needs root")
    assert host.uid_of("acme/one") != host.uid_of("acme/two")


SECRETS = {"mine": "correct-horse", "other": "not-for-you"}
THIEF = """
import sys
from cloudify import ctx, manager
client = manager.get_rest_client()

def attempt(function):
    try:
        return repr(function())
    except BaseException as error:
        return "refused: " + str(error)

me = ctx.instance.id
other = [row for row in client.node_instances.list() if row.id != me][0]
wire = sys.modules["runner.patches"].pipe()
ctx.instance.runtime_properties.update({
    "mine": attempt(lambda: client.secrets.get("mine").value),
    "secret": attempt(lambda: client.secrets.get("other").value),
    "evaluate": attempt(lambda: client.evaluate.functions("dep", {}, {"x": {"get_secret": "other"}})),
    "evaluate mine": attempt(lambda: client.evaluate.functions("dep", {}, {"x": {"get_secret": "mine"}})),
    "instance": attempt(lambda: client.node_instances.update(other.id, version=other.version, runtime_properties={"hacked": 1})),
    "force": attempt(lambda: client.node_instances.update(me, force=True, version=1, runtime_properties={})),
    "execution": attempt(lambda: client.executions.update(ctx.execution_id, "terminated")),
    "graphs": attempt(lambda: client.tasks_graphs.list(ctx.execution_id)),
    "operations": attempt(lambda: client.operations.update(ctx.task_id, "succeeded")),
    "deployments": attempt(lambda: client.deployments.get("another")),
    "start": attempt(lambda: client.executions.start("dep", "uninstall")),
    "path": repr(wire.call("GET", "/node-instances/../secrets/other")),
    "file": repr(wire.call("GET", "/resource", {"path": "../../../../etc/passwd"})),
})
client.events.create(events=[{"event_type": "workflow_succeeded", "context": {}, "message": {"text": "forged"}}])
"""


def test_a_script_gets_only_the_secrets_that_its_plan_names_and_changes_only_its_own_instance(case):
    blueprint = one_node("thief.py", inputs="{word: {get_secret: mine}}") + "  victim: {type: cloudify.nodes.Root}\n"
    deployment = case(blueprint, {"thief.py": THIEF}, secrets=SECRETS)
    deployment.prepared["secrets"].remove("other") if "other" in deployment.prepared["secrets"] else None
    assert deployment.run().status == "terminated", deployment.messages
    got = deployment.runtime["s"]
    assert got.pop("mine") == "'correct-horse'"
    assert {
        name: text
        for name, text in got.items()
        if not (text.startswith("refused") or text.startswith(("(403", "(404")))
    } == {}
    assert "not-for-you" not in json.dumps(deployment.store.instances) and "hacked" not in json.dumps(
        deployment.store.instances
    )
    assert "forged" not in deployment.messages


def test_a_secret_that_a_script_prints_is_masked_in_events_errors_and_results(case):
    blueprint = one_node("s.sh", inputs="{word: {get_secret: mine}}")
    script = '#!/bin/bash\necho "the word is $word"\nctx logger info "again $word"\nctx returns "$word"\n'
    deployment = case(blueprint, {"s.sh": script}, secrets=SECRETS)
    assert deployment.run().status == "terminated"
    assert "<out> the word is ***" in deployment.messages and "again ***" in deployment.messages
    assert "Task succeeded 'script_runner.tasks.run' - ***" in deployment.messages
    deployment = case(blueprint, {"s.sh": '#!/bin/bash\necho "oops $word" >&2\nexit 1\n'}, secrets=SECRETS)
    outcome = deployment.run()
    assert outcome.status == "failed"
    told = json.dumps(
        [
            deployment.store.events,
            deployment.store.error,
            outcome.error,
            list(deployment.store.stored_operations.values()),
        ]
    )
    assert "oops ***" in told and "correct-horse" not in told


def test_a_line_of_30_mb_is_cut_and_the_execution_goes_on(case):
    deployment = case(
        one_node("s.sh"), {"s.sh": "#!/bin/bash\nhead -c 30000000 /dev/zero | tr '\\0' x\necho\necho after\n"}
    )
    assert deployment.run().status == "terminated", deployment.messages
    assert max(map(len, deployment.messages)) < 17_000
    assert (
        any("more characters)" in message for message in deployment.messages) and "<out> after" in deployment.messages
    )


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("wire._sock.sendall(b'x' * 8_000_000)", "sent more at once than it may"),
        ("wire._sock.sendall(b'not json\\n' * 1000)", None),
        (
            "wire.send({'t': 'done', 'error': {'known_exception_type': '__import__'}})\nimport time; time.sleep(1)",
            "cannot be read",
        ),
        ("wire.send({'t': 'operation', 'id': 'x', 'kwargs': {}})", None),
        ("ctx.logger.info('y' * 20_000_000)", None),
    ],
)
def test_garbage_on_the_pipe_harms_only_the_operation_that_sent_it(case, attack, words):
    code = f"import sys\nfrom cloudify import ctx\nwire = sys.modules['runner.patches'].pipe()\n{attack}\n"
    deployment = case(one_node("s.py"), {"s.py": code})
    outcome = deployment.run()
    assert outcome.status == ("terminated" if words is None else "failed"), deployment.messages
    assert words is None or any(words in message for message in deployment.messages)
    assert max(map(len, deployment.messages)) < 17_000


def test_logs_beyond_the_limit_are_dropped_with_one_record_that_says_so(case, runner_settings):
    small = RunnerHost(dataclasses.replace(runner_settings, max_logs=50))
    try:
        deployment = case(
            one_node("s.sh"), {"s.sh": "#!/bin/bash\nfor i in $(seq 500); do echo line $i; done\n"}, host=small
        )
        assert deployment.run().status == "terminated"
    finally:
        small.close()
    logs = [event for event in deployment.store.events if event["type"] == "cloudify_log"]
    assert len(logs) == 51 and "limit of 50" in logs[-1]["message"]
    assert deployment.messages[-1] == "'install' workflow execution succeeded"


def test_twenty_thousand_lines_arrive_in_order(case):
    deployment = case(one_node("s.sh"), {"s.sh": "#!/bin/bash\nseq 20000\n"})
    assert deployment.run().status == "terminated"
    assert [m for m in deployment.messages if m.startswith("<out> ")] == [f"<out> {n}" for n in range(1, 20_001)]


def test_the_ctx_of_another_script_cannot_be_called_without_its_secret_path(case):
    script = """#!/bin/bash
base=${CTX_SOCKET_URL%/*}
python3 - "$base" <<'END' > answer.txt
import sys, urllib.request, urllib.error
for path in ("/", "/guess", "/argv", "/guess/argv"):
    try:
        print(urllib.request.urlopen(sys.argv[1] + path, data=b'{"args": ["instance", "id"]}').status)
    except urllib.error.HTTPError as error:
        print(error.code)
END
ctx instance runtime-properties answers "$(tr '\\n' ' ' < answer.txt)"
"""
    deployment = case(one_node("s.sh"), {"s.sh": script})
    assert deployment.run().status == "terminated", deployment.messages
    assert deployment.runtime["s"]["answers"] == "404 404 404 404 "


def test_a_fork_bomb_is_held_by_the_limit_of_processes(case, runner_settings):
    small = RunnerHost(dataclasses.replace(runner_settings, processes=64))
    try:
        if not small.start()["chosen"].endswith("user"):
            pytest.skip("the kernel counts processes by user: needs root")
        code = """
import os, time
from cloudify import ctx
count = 0
try:
    while count < 400:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        count += 1
except OSError as error:
    ctx.logger.info("held after %s: %s" % (count, error))
"""
        deployment = case(one_node("s.py"), {"s.py": code}, host=small)
        assert deployment.run().status == "terminated"
        assert any(
            "held after" in message and "Resource temporarily unavailable" in message for message in deployment.messages
        )
    finally:
        small.close()


def test_a_missing_environment_is_told_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(RunnerError, match=r"python3 -m orchestration\.runner_setup"):
        RunnerHost(RunnerSettings(venv=tmp_path / "none")).start()


def test_an_unknown_sandbox_is_told_with_the_known_ones(runner_settings):
    host = RunnerHost(dataclasses.replace(runner_settings, sandbox="thick"))
    with pytest.raises(RunnerError, match="namespaces"):
        host.start()
    host.close()


def test_a_blueprint_with_a_resource_that_is_a_link_is_not_served(case, tmp_path):
    deployment = case(one_node("s.sh"), {"s.sh": "#!/bin/bash\nctx download-resource link\n"})
    (deployment.folder / "link").symlink_to("/etc/passwd")
    assert deployment.run().status == "failed"
    assert not any("root:" in message for message in deployment.messages)
    assert HEAD
