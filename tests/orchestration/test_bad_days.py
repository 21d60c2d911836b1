"""Processes that are killed in the middle of an execution: it goes on from where it stood, and nothing that finished runs again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from orchestration.supervisor import Supervisor
from tests.orchestration import archives
from tests.orchestration.running import CAST, Manager

TWO_STEPS = (
    archives.HEAD
    + """
node_types:
  demo.Step:
    derived_from: cloudify.nodes.Root
node_templates:
  first:
    type: demo.Step
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {implementation: scripts/count.sh}
  second:
    type: demo.Step
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {implementation: scripts/slow.sh}
    relationships:
      - {type: cloudify.relationships.depends_on, target: first}
capabilities:
  first: {value: {get_attribute: [first, begun]}}
  second: {value: {get_attribute: [second, begun]}}
"""
)
COUNT = """#!/bin/bash
begun=$(ctx instance runtime-properties begun 2>/dev/null || echo 0)
ctx instance runtime-properties begun "$(( ${begun:-0} + 1 ))"
"""
SLOW = COUNT + "ctx instance update\nsleep 6\n"


def descendants(pid: int) -> list[int]:
    """All processes below one; those that its threads started, too."""
    texts = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            texts.append(task.read_text())
    return [found for text in texts for child in map(int, text.split()) for found in (child, *descendants(child))]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture(scope="module")
def own_manager(tmp_path_factory):
    """A portal that the last test kills."""
    running = Manager(tmp_path_factory.mktemp("killed"))
    try:
        running.start()
        running.run(CAST)
        yield running
    finally:
        running.process.close()


def begin(manager: Manager, name: str) -> str:
    """An install whose second script is at work; the id of the execution."""
    reply = manager.upload(
        name, archives.packed({"blueprint.yaml": TWO_STEPS, "scripts/count.sh": COUNT, "scripts/slow.sh": SLOW})
    )
    assert reply.status_code == 201, reply.text
    assert manager.call("PUT", f"/deployments/{name}", json={"blueprint_id": name}).status_code == 201
    execution = manager.start_workflow(name, "install")
    manager.await_(
        f"/node-instances?deployment_id={name}&node_id=second",
        lambda body: body["items"][0]["runtime_properties"].get("begun") is not None,
    )
    return execution


def check_that_it_went_on(manager: Manager, name: str, execution: str) -> None:
    ended = manager.await_execution(execution, 90)
    assert ended["status"] == "terminated", ended["error"]
    assert manager.call("GET", f"/deployments/{name}/capabilities").json()["capabilities"] == {
        "first": "1",
        "second": "2",
    }
    events = manager.call("GET", f"/events?execution_id={execution}&event_type=workflow_resumed").json()["items"]
    assert (
        len(events) == 1
        and "goes on from where it stood" in events[0]["message"]
        and "script_runner.tasks.run" in events[0]["message"]
    )
    row = manager.call("GET", f"/deployments/{name}").json()
    assert (row["installation_status"], row["deployment_status"], row["latest_execution_status"]) == (
        "active",
        "good",
        "completed",
    )


def test_the_runner_is_warm_soon_after_the_portal_serves_although_nobody_has_asked_for_it(own_manager):
    until = time.monotonic() + 30
    while not any("runner.zygote" in command_of(pid) for pid in descendants(own_manager.process.pid)):
        assert time.monotonic() < until, own_manager.process.log()[-3000:]
        time.sleep(0.05)


def test_a_runner_that_cannot_be_warmed_leaves_a_line_in_the_log(settings, tmp_path, caplog):
    settings.RUNNER_PYTHON = str(tmp_path / "nowhere" / "bin" / "python")
    Supervisor().warm()
    assert "could not be started ahead" in caplog.text and str(tmp_path / "nowhere") in caplog.text


def test_an_execution_goes_on_after_its_own_process_was_killed(own_manager):
    execution = begin(own_manager, "child")
    scripts = [pid for pid in descendants(own_manager.process.pid) if "slow.sh" in command_of(pid)]
    assert scripts
    zygote = next(pid for pid in descendants(own_manager.process.pid) if "runner.zygote" in command_of(pid))
    # Below the warm parent: the supervisors of the workflow's process and of the script's.
    for pid in descendants(zygote):
        with contextlib.suppress(ProcessLookupError):  # it ended with the one above it
            os.kill(pid, signal.SIGKILL)
    check_that_it_went_on(own_manager, "child", execution)


def test_kill_leaves_no_process_and_cancel_reaches_the_script(own_manager):
    for action, wanted in (("kill", "cancelled"), ("force-cancel", "cancelled")):
        name = action.replace("-", "")
        assert own_manager.upload(name, archives.script()).status_code == 201
        assert (
            own_manager.call(
                "PUT", f"/deployments/{name}", json={"blueprint_id": name, "inputs": {"delay": 600}}
            ).status_code
            == 201
        )
        execution = own_manager.start_workflow(name, "install")
        until = time.monotonic() + 30
        while not any("create.sh" in command_of(pid) for pid in descendants(own_manager.process.pid)):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert own_manager.call("POST", f"/executions/{execution}", json={"action": action}).json()["status"] in (
            "kill_cancelling",
            "force_cancelling",
            "cancelled",
        )
        assert own_manager.await_execution(execution, 20)["status"] == wanted
        assert not any(
            "create.sh" in command_of(pid) or "sleep" in command_of(pid) for pid in descendants(own_manager.process.pid)
        )


def test_a_deployment_is_deleted_by_force_while_a_workflow_runs_on_it(own_manager):
    begin(own_manager, "steps")
    assert own_manager.call("DELETE", "/deployments/steps").json()["error_code"] == "dependent_exists_error"
    assert own_manager.call("DELETE", "/deployments/steps?force=true").status_code == 204
    until = time.monotonic() + 30
    while own_manager.call("GET", "/deployments/steps").status_code != 404:
        assert time.monotonic() < until, own_manager.process.log()[-3000:]
        time.sleep(0.1)
    assert not any("slow.sh" in command_of(pid) for pid in descendants(own_manager.process.pid))
    assert "Traceback" not in own_manager.process.log()


def test_an_execution_goes_on_after_the_portal_was_killed(own_manager):
    execution = begin(own_manager, "portal")
    children = descendants(own_manager.process.pid)
    own_manager.process.kill()
    until = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert [command_of(pid) for pid in children if Path(f"/proc/{pid}").exists()] == [], (
        "the runner outlived its portal"
    )
    own_manager.process.start(90)
    check_that_it_went_on(own_manager, "portal", execution)
