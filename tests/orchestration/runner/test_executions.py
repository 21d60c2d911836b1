"""Executions that go well or fail as they should: events, order, ctx, retries, time limits, parallel scripts."""

from __future__ import annotations

import re
import threading

import pytest

from tests.orchestration.runner.cases import HEAD, Case, one_node
from tests.orchestration.runner.genuine_events import INSTALL_OF_ONE_SCRIPT


def plain(event: dict, instance: str) -> tuple:
    message = event["message"].replace(instance, "<instance>")
    message = re.sub(r"/\S+", "<path>", message) if "create.sh" in message and event["level"] else message
    message = message.replace("scripts<path>", "scripts/create.sh")
    message = re.sub(r"PID(: |=)\d+", r"PID\1<pid>", message)
    return event["event_type"] or event["level"], event["node_name"], event["operation"], message


def test_the_events_of_a_one_script_install_are_those_of_the_genuine_manager_in_order(case):
    deployment = case(
        one_node("scripts/create.sh", inputs="{word: hello}"),
        {"scripts/create.sh": '#!/bin/bash\nctx logger info "creating, word=$word"\n'},
    )
    assert deployment.run().status == "terminated"
    instance = next(iter(deployment.store.instances))
    assert [plain(event, instance) for event in deployment.store.events] == INSTALL_OF_ONE_SCRIPT
    assert deployment.store.instances[instance]["state"] == "started"
    assert len(deployment.store.stored_operations) == 14
    assert {row["state"] for row in deployment.store.stored_operations.values()} == {"succeeded"}


TREE = f"""{HEAD}
node_types:
  told:
    derived_from: cloudify.nodes.Root
    properties: {{greeting: {{default: {{get_input: greeting}}}}}}
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {{implementation: scripts/mark.sh}}
        delete: {{implementation: scripts/mark.sh}}
inputs: {{greeting: {{default: hi, type: string}}}}
node_templates:
  vm: {{type: told, capabilities: {{scalable: {{properties: {{default_instances: 2}}}}}}}}
  db:
    type: told
    relationships: [{{type: cloudify.relationships.contained_in, target: vm}}]
  web:
    type: told
    relationships:
      - {{type: cloudify.relationships.contained_in, target: vm}}
      - type: cloudify.relationships.connected_to
        target: db
        source_interfaces:
          cloudify.interfaces.relationship_lifecycle:
            establish: {{implementation: scripts/link.sh}}
outputs: {{first: {{value: {{get_attribute: [db, told]}}}}}}
capabilities: {{greeting: {{value: {{get_property: [vm, greeting]}}}}, told: {{value: {{get_attributes_list: [web, told]}}}}}}
"""
TREE_FILES = {
    "scripts/mark.sh": '#!/bin/bash\nctx logger info "mark $(ctx node name) $(ctx operation name)"\n'
    'ctx instance runtime-properties told "$(ctx node properties greeting)"\n',
    "scripts/link.sh": '#!/bin/bash\nctx logger info "link $(ctx source node id) to $(ctx target node id)"\n'
    'ctx source instance runtime-properties linked "$(ctx target instance runtime-properties told)"\n',
}


def test_targets_start_before_their_sources_with_several_instances_and_uninstall_goes_the_other_way(case, host):
    deployment = case(TREE, TREE_FILES, inputs={"greeting": "hallo"})
    deployment.store.settings["task_retries"] = (
        5  # two links of one source collide on its version, as on a genuine manager
    )
    assert deployment.run().status == "terminated"
    marks = [message.split()[1] for message in deployment.messages if message.startswith("mark ")]
    assert marks[:2] == ["vm", "vm"] or sorted(marks[:3]) == ["db", "vm", "vm"]
    assert marks.index("db") > marks.index("vm") and max(i for i, m in enumerate(marks) if m == "db") < len(marks) - 1
    assert sorted(marks) == ["db", "db", "vm", "vm", "web", "web"]
    assert len([m for m in deployment.messages if m.startswith("link web to db")]) >= 4
    assert {row["state"] for row in deployment.store.instances.values()} == {"started"}
    assert all(
        row["runtime_properties"].get("linked") == "hallo"
        for row in deployment.store.instances.values()
        if row["node_id"] == "web"
    )
    assert host.evaluate("capabilities", deployment.prepared["capabilities"], None, deployment.store) == {
        "greeting": "hallo",
        "told": ["hallo", "hallo"],
    }
    deployment.store.events.clear()
    assert deployment.run("uninstall").status == "terminated"
    marks = [message.split()[1] for message in deployment.messages if message.startswith("mark ")]
    assert sorted(marks) == ["db", "db", "vm", "vm", "web", "web"] and marks[0] == "web" and marks[-1] == "vm"
    assert {row["state"] for row in deployment.store.instances.values()} == {"deleted"}


def test_a_python_script_has_ctx_and_its_inputs_and_reads_an_attribute_of_another_node(case):
    blueprint = f"""{HEAD}
node_templates:
  first:
    type: cloudify.nodes.Root
    interfaces: {{cloudify.interfaces.lifecycle: {{create: {{implementation: a.py, inputs: {{size: 7, list: [1, 2]}}}}}}}}
  second:
    type: cloudify.nodes.Root
    relationships: [{{type: cloudify.relationships.depends_on, target: first}}]
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {{implementation: b.sh, inputs: {{value: {{get_attribute: [first, size]}}, whole: {{concat: [a, {{get_attribute: [first, size]}}]}}}}}}
"""
    files = {
        "a.py": "from cloudify import ctx\nfrom cloudify.state import ctx_parameters as p\n"
        "ctx.instance.runtime_properties['size'] = p['size'] * 2 + len(p['list'])\nctx.logger.info('python was here')\n",
        "b.sh": '#!/bin/bash\nctx instance runtime-properties got "$value-$whole"\n',
    }
    deployment = case(blueprint, files)
    assert deployment.run().status == "terminated"
    assert "python was here" in deployment.messages
    assert deployment.runtime == {"first": {"size": 16}, "second": {"got": "16-a16"}}


def test_the_ctx_command_does_what_the_genuine_one_does(case):
    script = """#!/bin/bash
set -e
ctx instance runtime-properties deep.inner.value @'{"a": [1, 2]}'
ctx instance runtime-properties number @3
ctx instance runtime-properties empty ''
ctx instance runtime-properties json "$(ctx -j instance runtime-properties deep)"
ctx instance runtime-properties unicode 'gr\u00fc\u00dfe'
ctx instance runtime-properties back "$(ctx instance runtime-properties unicode)"
ctx instance runtime-properties id "$(ctx instance id)"
ctx instance runtime-properties deployment "$(ctx deployment id)"
cp "$(ctx download-resource data/file.txt)" copy.txt
ctx instance runtime-properties file "$(cat copy.txt)"
ctx instance runtime-properties rendered "$(cat "$(ctx download-resource-and-render data/file.jinja @'{"template_variables": {"who": "me"}}')")"
ctx logger warning "careful now"
if ctx instance runtime-properties missing 2>error.txt; then exit 9; fi
ctx instance runtime-properties error "$(tail -1 error.txt)"
ctx returns done
"""
    files = {"s.sh": script, "data/file.txt": "content", "data/file.jinja": "for {{ who }}"}
    deployment = case(one_node("s.sh"), files)
    outcome = deployment.run()
    assert outcome.status == "terminated", deployment.messages
    instance = next(iter(deployment.store.instances.values()))
    expected = {
        "deep": {"inner": {"value": {"a": [1, 2]}}}, "number": 3, "empty": "", "json": '{"inner": {"value": {"a": [1, 2]}}}',
        "unicode": "grüße", "back": "grüße", "id": instance["id"], "deployment": "dep", "file": "content", "rendered": "for me",
        "error": "ctx: RuntimeError: illegal path: missing",
    }  # fmt: skip
    assert instance["runtime_properties"] == expected
    assert ("warning", "careful now") in [(event["level"], event["message"]) for event in deployment.store.events]
    assert "Task succeeded 'script_runner.tasks.run' - done" in deployment.messages


def test_a_failing_script_fails_the_execution_with_its_output_as_the_cause(case):
    deployment = case(one_node("s.sh"), {"s.sh": "#!/bin/bash\necho to-out\necho to-err >&2\nexit 3\n"})
    outcome = deployment.run()
    assert (
        outcome.status == "failed" and "return_code: 3" in outcome.error.replace("return_code=3", "return_code: 3")
    ) or "3" in outcome.error
    failed = next(event for event in deployment.store.events if event["event_type"] == "task_failed")
    assert "to-err" in failed["message"] and failed["error_causes"][0]["type"] == "ProcessException"
    assert "<out> to-out" in deployment.messages and "<err> to-err" in deployment.messages
    assert deployment.messages[-1].startswith("'install' workflow execution failed: ")


def test_a_script_is_tried_again_as_often_as_the_settings_say_and_the_number_is_in_the_event(case):
    script = """#!/bin/bash
n=$(ctx operation retry-number)
n=${n:-0}  # the genuine ctx prints nothing for 0
ctx logger info "try $n"
[ "$n" = 2 ] || exit 1
"""
    deployment = case(one_node("s.sh"), {"s.sh": script})
    deployment.store.settings["task_retries"] = 2
    assert deployment.run().status == "terminated"
    assert [message for message in deployment.messages if message.startswith("try ")] == ["try 0", "try 1", "try 2"]
    assert any(
        message.endswith("[retry 2/2]") and message.startswith("Task succeeded") for message in deployment.messages
    )
    assert len([m for m in deployment.messages if m.startswith("Task failed")]) == 2


def test_retry_and_abort_of_the_ctx_command_reschedule_and_fail(case):
    deployment = case(
        one_node("s.sh"),
        {"s.sh": '#!/bin/bash\n[ "$(ctx operation retry-number)" = 1 ] || ctx operation retry "not yet" @0\n'},
    )
    deployment.store.settings["task_retries"] = 1
    assert deployment.run().status == "terminated", deployment.messages
    assert any(
        message.startswith("Task rescheduled 'script_runner.tasks.run' -> not yet") for message in deployment.messages
    )
    deployment = case(one_node("s.sh"), {"s.sh": '#!/bin/bash\nctx abort-operation "never"\n'})
    deployment.store.settings["task_retries"] = 9
    assert deployment.run().status == "failed"
    assert len([m for m in deployment.messages if m.startswith("Task failed 'script_runner.tasks.run' -> never")]) == 1


@pytest.mark.parametrize(("recoverable", "tries"), [("true", 2), ("false", 1)])
def test_an_operation_beyond_its_timeout_is_ended_and_retried_unless_it_may_not_be(case, recoverable, tries):
    deployment = case(
        one_node("s.sh", timeout="0.3", timeout_recoverable=recoverable), {"s.sh": "#!/bin/bash\nsleep 61.7\n"}
    )
    deployment.store.settings["task_retries"] = 1
    assert deployment.run().status == "failed"
    assert (
        len(
            [
                m
                for m in deployment.messages
                if "longer than its timeout of 0.3 seconds" in m and m.startswith("Task failed")
            ]
        )
        == tries
    )


def test_eight_scripts_at_once_keep_their_own_ctx(case):
    blueprint = one_node("s.sh") + "    capabilities: {scalable: {properties: {default_instances: 8}}}\n"
    script = """#!/bin/bash
ctx instance runtime-properties before "$(ctx instance id)"
sleep 0.2
ctx instance runtime-properties after "$(ctx instance id)"
"""
    deployment = case(blueprint, {"s.sh": script})
    assert deployment.run().status == "terminated", deployment.messages
    assert len(deployment.store.instances) == 8
    for instance_id, row in deployment.store.instances.items():
        assert row["runtime_properties"] == {"before": instance_id, "after": instance_id}


def test_a_conflict_of_two_writers_fails_the_operation_and_the_retry_succeeds(case):
    script = """#!/bin/bash
ctx instance runtime-properties try "$(ctx operation retry-number)"
echo have read
sleep 0.4
"""
    deployment = case(one_node("s.sh"), {"s.sh": script})
    deployment.store.settings["task_retries"] = 1
    instance_id = next(iter(deployment.store.instances))

    def interfere() -> None:
        deployment.until_message("<out> have read")
        deployment.store.update_node_instance(instance_id, {"runtime_properties": {"other": 1}}, None)

    thread = threading.Thread(target=interfere)
    thread.start()
    assert deployment.run().status == "terminated", deployment.messages
    thread.join()
    assert any(m.startswith("Task failed") and "is at version" in m for m in deployment.messages)
    assert deployment.runtime["s"] == {"other": 1, "try": "1"}


def test_execute_operation_check_status_restart_heal_and_dry_run_work(case):
    blueprint = f"""{HEAD}
node_templates:
  s:
    type: cloudify.nodes.Root
    interfaces:
      cloudify.interfaces.lifecycle: {{start: {{implementation: s.sh}}, stop: {{implementation: s.sh}}}}
      cloudify.interfaces.validation: {{check_status: {{implementation: s.sh}}}}
"""
    deployment: Case = case(blueprint, {"s.sh": '#!/bin/bash\nctx logger info "ran $(ctx operation name)"\n'})
    prefix = "ran cloudify.interfaces"
    ran = lambda: [m.removeprefix(prefix + ".") for m in deployment.messages if m.startswith(prefix)]  # noqa: E731
    assert deployment.run(dry_run=True).status == "terminated" and ran() == []
    assert deployment.run().status == "terminated" and ran() == ["lifecycle.start"]
    deployment.store.events.clear()
    parameters = {"operation": f"{prefix[4:]}.lifecycle.start", "operation_kwargs": {}, "allow_kwargs_override": None}
    more = {"run_by_dependency_order": False, "type_names": [], "node_ids": [], "node_instance_ids": []}
    assert deployment.run("execute_operation", parameters={**parameters, **more}).status == "terminated"
    assert deployment.run("check_status", parameters=more).status == "terminated"
    operation_parameters = {"stop_parms": {}, "start_parms": {}}
    assert (
        deployment.run("restart", parameters={**operation_parameters, **more, "run_by_dependency_order": True}).status
        == "terminated"
    )
    assert ran() == ["lifecycle.start", "validation.check_status", "lifecycle.stop", "lifecycle.start"]
    instance_id = next(iter(deployment.store.instances))
    assert deployment.run("heal", parameters={"node_instance_id": instance_id}).status == "terminated", (
        deployment.messages[-5:]
    )
