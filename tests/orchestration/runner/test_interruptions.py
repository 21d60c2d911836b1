"""Executions that are cancelled, killed or left alone: what is gone afterwards, and how a resume goes on."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from orchestration.runner_host import RunnerHost
from orchestration.runner_types import RunnerError
from tests.orchestration.runner.cases import HEAD, children_of, one_node, processes_with, tree_of, until

SLEEPER = """#!/bin/bash
# a process that left the group and the session, and one that stayed
setsid sleep {mark}1 &
sleep {mark}2 &
ctx logger info "asleep"
sleep {mark}3
"""


@pytest.mark.parametrize("kind", ["cancel", "force-cancel", "kill"])
def test_a_cancel_leaves_no_process_and_says_cancelled_only_then(case, host, kind):
    mark = f"7{os.getpid()}"
    deployment = case(one_node("s.sh"), {"s.sh": SLEEPER.format(mark=mark)})
    execution_id = deployment.start()
    deployment.until_message("asleep")
    until(lambda: len(processes_with(f"sleep\0{mark}")) == 3, "three sleeping processes")
    seen_at_cancel = []
    store = deployment.store
    original = store.set_execution_status
    store.set_execution_status = lambda status, error: (
        seen_at_cancel.append((status, len(processes_with(f"sleep\0{mark}")))),
        original(status, error),
    )[1]
    assert host.cancel(execution_id, kind)
    outcome = deployment.wait()
    assert outcome.status == "cancelled" and deployment.store.status == "cancelled"
    assert seen_at_cancel[-1] == ("cancelled", 0)
    assert processes_with(f"sleep\0{mark}") == []
    assert any("was stopped: the execution was cancelled" in message for message in deployment.messages)
    assert "workflow_cancelled" in [event["event_type"] for event in deployment.store.events]
    assert host.running() == []


@pytest.mark.parametrize("cage", ["user", "none"])
def test_without_namespaces_too_a_process_that_left_the_session_is_ended(case, runner_settings, cage):
    if cage == "user" and os.geteuid() != 0:
        pytest.skip("needs root")
    weak = RunnerHost(dataclasses.replace(runner_settings, sandbox=cage))
    try:
        weak.start()
    except RunnerError as error:
        weak.close()
        pytest.skip(f"this sandbox does not work here: {error}")
    mark = f"5{os.getpid()}"
    try:
        deployment = case(one_node("s.sh"), {"s.sh": SLEEPER.format(mark=mark)}, host=weak)
        execution_id = deployment.start()
        until(lambda: len(processes_with(f"sleep\0{mark}")) == 3, "three sleeping processes")
        assert bool(weak.report["warning"]) == (cage == "none")
        weak.cancel(execution_id, "force-cancel")
        assert deployment.wait().status == "cancelled"
        assert processes_with(f"sleep\0{mark}") == []
    finally:
        weak.close()


def test_a_script_that_ends_in_the_grace_after_a_cancel_is_recorded_as_done(case, host):
    deployment = case(
        one_node("s.sh"),
        {"s.sh": "#!/bin/bash\nctx logger info begin\nsleep 0.6\nctx instance runtime-properties done yes\n"},
    )
    execution_id = deployment.start()
    deployment.until_message("begin")
    host.cancel(execution_id)
    assert deployment.wait().status == "cancelled"
    assert deployment.runtime["s"] == {"done": "yes"}


@pytest.mark.parametrize("output", ["", ">/dev/null 2>&1"])
def test_what_a_finished_script_left_behind_is_ended_with_it(case, output):
    mark = f"8{os.getpid()}"
    deployment = case(
        one_node("s.sh"), {"s.sh": f"#!/bin/bash\nsetsid nohup sleep {mark} {output} &\nctx logger info started\n"}
    )
    assert deployment.run().status == "terminated"
    assert processes_with(f"sleep\0{mark}") == []


CHAIN = f"""{HEAD}
node_templates:
  first: {{type: cloudify.nodes.Root, interfaces: {{cloudify.interfaces.lifecycle: {{create: {{implementation: first.sh}}}}}}}}
  second:
    type: cloudify.nodes.Root
    interfaces: {{cloudify.interfaces.lifecycle: {{create: {{implementation: second.sh}}}}}}
    relationships: [{{type: cloudify.relationships.depends_on, target: first}}]
"""
CHAIN_FILES = {
    "first.sh": '#!/bin/bash\nctx logger info "first ran"\n',
    "second.sh": "#!/bin/bash\nctx logger info begin\nsleep 0.8\nctx instance runtime-properties done yes\n",
}


def supervisors(host) -> list[int]:
    return children_of(host.report["pid"])


def interrupt_second(deployment, host, which: str) -> str:
    """Kill the workflow's or the operation's processes with -9 while the second script runs."""
    execution_id = deployment.start()
    deployment.until_message("begin")
    workflow, operation = supervisors(host)
    victim = workflow if which == "workflow" else operation
    for pid in [victim, *tree_of(victim)]:
        os.kill(pid, signal.SIGKILL)
    return execution_id


@pytest.mark.parametrize("force", [False, True])
def test_an_execution_whose_processes_were_killed_goes_on_from_where_it_stood(case, host, force):
    deployment = case(CHAIN, CHAIN_FILES)
    execution_id = interrupt_second(deployment, host, "workflow")
    outcome = deployment.wait()
    assert outcome.status == "failed" and outcome.died and "ended unexpectedly" in outcome.error
    assert deployment.store.status == "failed"
    assert any("was interrupted" in message for message in deployment.messages)
    deployment.store.begin(execution_id, "install")
    assert deployment.gateway.reset_for_resume(force=force) >= 1
    outcome = deployment.host.run_workflow(deployment.order(execution_id=execution_id, resume=True), deployment.gateway)
    assert outcome.status == "terminated", deployment.messages[-8:]
    assert deployment.messages.count("first ran") == 1
    assert deployment.messages.count("begin") == 2
    assert "Resuming 'install' workflow execution" in deployment.messages
    assert deployment.runtime["second"] == {"done": "yes"}


def test_after_the_portal_itself_was_killed_a_forced_resume_repeats_only_what_was_caught_in_the_middle(
    case, host, tmp_path
):
    deployment = case(CHAIN, CHAIN_FILES)
    execution_id = interrupt_second(deployment, host, "workflow")
    deployment.wait()
    # As the rows are when nobody was left to write that the operation failed.
    caught = next(row for row in deployment.store.stored_operations.values() if row["state"] == "failed")
    caught["state"] = "started"
    deployment.store.begin(execution_id, "install")
    assert deployment.gateway.reset_for_resume(force=True) >= 1
    assert any("was caught in the middle (started) and is run again" in message for message in deployment.messages)
    outcome = deployment.host.run_workflow(deployment.order(execution_id=execution_id, resume=True), deployment.gateway)
    assert outcome.status == "terminated" and deployment.messages.count("first ran") == 1


def test_a_plain_resume_of_an_operation_still_marked_as_started_says_that_it_cannot_be_resumed(case, host):
    deployment = case(CHAIN, CHAIN_FILES)
    execution_id = interrupt_second(deployment, host, "workflow")
    deployment.wait()
    next(row for row in deployment.store.stored_operations.values() if row["state"] == "failed")["state"] = "started"
    deployment.store.begin(execution_id, "install")
    outcome = deployment.host.run_workflow(deployment.order(execution_id=execution_id, resume=True), deployment.gateway)
    assert outcome.status == "failed" and any("operation not resumable" in message for message in deployment.messages)


def test_a_resume_after_a_cancel_goes_on(case, host):
    deployment = case(
        CHAIN,
        {
            **CHAIN_FILES,
            "second.sh": '#!/bin/bash\nctx logger info begin\n[ -n "$(ctx operation retry-number)" ] || sleep 1\n',
        },
    )
    execution_id = deployment.start()
    deployment.until_message("begin")
    host.cancel(execution_id, "force-cancel")
    assert deployment.wait().status == "cancelled"
    deployment.store.begin(execution_id, "install")
    assert deployment.gateway.reset_for_resume(force=False) == 1
    outcome = deployment.host.run_workflow(deployment.order(execution_id=execution_id, resume=True), deployment.gateway)
    assert outcome.status == "terminated" and deployment.messages.count("first ran") == 1


def test_an_operation_whose_process_was_killed_fails_and_is_tried_again(case, host):
    deployment = case(CHAIN, CHAIN_FILES)
    deployment.store.settings["task_retries"] = 1
    interrupt_second(deployment, host, "operation")
    assert deployment.wait().status == "terminated"
    assert any("process ended without a result" in message for message in deployment.messages)


def test_a_python_script_that_ends_its_process_or_needs_too_much_memory_fails_its_operation_alone(case, host):
    deployment = case(one_node("s.py"), {"s.py": "import os\nos._exit(5)\n"})
    assert deployment.run().status == "failed"
    assert any("ended without a result (exit code 5)" in message for message in deployment.messages)
    deployment = case(one_node("s.py"), {"s.py": "hoard = 'x' * (3 << 30)\n"})
    assert deployment.run().status == "failed"
    assert any("MemoryError" in (event["error_causes"] or [{}])[0].get("type", "") for event in deployment.store.events)


def test_an_execution_beyond_its_time_limit_is_ended(case):
    mark = f"9{os.getpid()}"
    deployment = case(one_node("s.sh"), {"s.sh": f"#!/bin/bash\nsleep {mark}\n"})
    begin = time.monotonic()
    outcome = deployment.run(time_limit=0.5)
    assert outcome.status == deployment.store.status == "failed" and "limit of 0.5 seconds" in outcome.error
    assert any(
        message.startswith("'install' workflow execution failed: The execution was ended")
        for message in deployment.messages
    )
    assert time.monotonic() - begin < 5
    assert processes_with(f"sleep\0{mark}") == []


def test_a_new_parent_process_is_started_when_the_old_one_died_and_running_executions_do_not_notice(case, host):
    deployment = case(one_node("s.sh"), {"s.sh": "#!/bin/bash\nctx logger info begin\nsleep 0.5\n"})
    deployment.start()
    deployment.until_message("begin")
    old = host.report["pid"]
    os.kill(old, signal.SIGKILL)
    assert deployment.wait().status == "terminated"
    assert case(one_node("s.sh"), {"s.sh": "#!/bin/bash\ntrue\n"}).run().status == "terminated"
    assert host.report["pid"] != old


def test_everything_ends_when_the_portal_is_killed(tmp_path):
    mark = f"6{os.getpid()}"
    program = tmp_path / "portal.py"
    program.write_text(
        textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from orchestration import runner_setup
        from orchestration.runner_host import RunnerHost
        from orchestration.runner_types import RunnerSettings
        from tests.orchestration.runner.cases import Case, one_node
        host = RunnerHost(RunnerSettings(venv=runner_setup.DEFAULT_VENV))
        Case(host, Path({str(tmp_path)!r}), one_node("s.sh"), {{"s.sh": {SLEEPER.format(mark=mark)!r}}}).run()
        """)
    )
    root = Path(__file__).parents[3]
    portal = subprocess.Popen([sys.executable, str(program)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    try:
        until(lambda: len(processes_with(f"sleep\0{mark}")) == 3, "three sleeping processes")
    finally:
        portal.kill()
        portal.wait()
    until(lambda: processes_with(f"sleep\0{mark}") == [], "the scripts ended with the portal", 5)


def test_operations_wait_for_a_free_place(case, runner_settings):
    small = RunnerHost(dataclasses.replace(runner_settings, max_operations=1))
    try:
        blueprint = one_node("s.sh") + "    capabilities: {scalable: {properties: {default_instances: 3}}}\n"
        deployment = case(
            blueprint, {"s.sh": "#!/bin/bash\nctx logger info begin\nsleep 0.1\nctx logger info end\n"}, host=small
        )
        assert deployment.run().status == "terminated"
        assert [m for m in deployment.messages if m in ("begin", "end")] == ["begin", "end"] * 3
    finally:
        small.close()
