"""Blueprints that parse, and each kind that does not: message, code and line, without a path of the server."""

from __future__ import annotations

import dataclasses
import time

import pytest

from orchestration.runner_host import RunnerHost
from orchestration.runner_types import BlueprintProblem
from tests.orchestration.runner.cases import HEAD, one_node, write_blueprint
from tests.orchestration.runner.memory_gateway import PlanSecrets

ROOT = "node_templates:\n  a: {type: cloudify.nodes.Root}\n"


@pytest.fixture
def parse(host, tmp_path):
    def parse(blueprint: str, files: dict[str, str] | None = None, main: str = "blueprint.yaml") -> dict:
        return host.parse(write_blueprint(tmp_path, blueprint, files or {}), main)

    return parse


@pytest.fixture
def problem(parse, tmp_path):
    def problem(*arguments, **more) -> BlueprintProblem:
        with pytest.raises(BlueprintProblem) as caught:
            parse(*arguments, **more)
        message = caught.value.message
        assert len(message) < 1_100 and "deployon-runner" not in message and str(tmp_path) not in message
        return caught.value

    return problem


@pytest.mark.parametrize("version", ["1_3", "1_4", "1_5"])
@pytest.mark.parametrize(
    "name",
    [
        "cloudify/types/types.yaml",
        "http://www.getcloudify.org/spec/cloudify/6.3.0/types.yaml",
        "https://cloudify.co/spec/cloudify/7.0.2/types.yaml",
    ],
)
def test_our_types_are_served_under_the_well_known_names_in_three_versions_without_the_internet(parse, version, name):
    plan = parse(f"tosca_definitions_version: cloudify_dsl_{version}\nimports: ['{name}']\n{ROOT}")
    assert plan["version"]["definitions_version"] == [1, int(version[-1])] or version[-1] in str(plan["version"])
    assert {"install", "uninstall", "heal", "scale", "execute_operation", "restart", "check_status"} <= set(
        plan["workflows"]
    )


def test_types_imported_twice_and_a_local_file_with_a_namespace_work(parse):
    extra = "tosca_definitions_version: cloudify_dsl_1_4\nimports: [cloudify/types/types.yaml]\nnode_templates: {x: {type: cloudify.nodes.Root}}\n"
    head = HEAD.replace(
        "[cloudify/types/types.yaml]",
        "[cloudify/types/types.yaml, 'https://cloudify.co/spec/cloudify/6/types.yaml', 'ns--inc/inc.yaml']",
    )
    plan = parse(head + ROOT, {"inc/inc.yaml": extra})
    assert {node["id"] for node in plan["nodes"]} == {"a", "ns--x"}


def test_every_type_of_ours_can_be_used(parse):
    names = "Tier Compute Volume FileSystem ObjectStorage Network Subnet Port Router LoadBalancer VirtualIP SecurityGroup SoftwareComponent"
    names += " Database ApplicationModule DBMS WebServer ApplicationServer MessageBusServer CloudifyManager Container"
    nodes = "".join(f"  n{name}: {{type: cloudify.nodes.{name}}}\n" for name in names.split())
    assert len(parse(f"{HEAD}node_templates:\n{nodes}")["nodes"]) == len(names.split())


def test_what_the_interface_shows_is_in_the_plan(parse):
    plan = parse(
        HEAD
        + "inputs: {size: {type: integer, default: 3, constraints: [{in_range: [1, 9]}], display_label: Size}}\n"
        + "labels: {kind: {values: [web]}}\ncapabilities: {c: {value: 1, description: d}}\n"
        + ROOT
    )
    assert plan["inputs"]["size"] == {
        "type": "integer",
        "default": 3,
        "constraints": [{"in_range": [1, 9]}],
        "display_label": "Size",
    }
    assert plan["labels"] == {"kind": {"values": ["web"]}} and plan["capabilities"]["c"]["description"] == "d"
    assert plan["workflows"]["uninstall"]["is_cascading"] is False


@pytest.mark.parametrize(
    ("blueprint", "kind", "code", "line", "words"),
    [
        (HEAD + "node_templates:\n  a: {type: nowhere.Type}\n", "dsl", 7, 4, "nowhere.Type"),
        (HEAD + "node_templates: {a: [}\n", "dsl", -1, 3, "line 3"),
        ("", "dsl", 27, None, "tosca_definitions_version"),
        ("- a\n- b\n", "dsl", None, None, ""),
        (HEAD + "description: gr\u00fc\u00dfe\n" + ROOT, "dsl", 108, None, "illegal characters"),
        (HEAD + "node_templates:\n  a: !!python/object:os.system {}\n", None, None, None, "python/object"),
        (
            HEAD + ROOT + "    relationships: [{type: cloudify.relationships.contained_in, target: zz}]\n",
            None,
            None,
            None,
            "",
        ),
        ("tosca_definitions_version: cloudify_dsl_9_9\n" + ROOT, "dsl", None, None, ""),
        (
            HEAD + "inputs: {n: {type: integer, default: 77, constraints: [{in_range: [1, 9]}]}}\n" + ROOT,
            "constraint",
            None,
            None,
            "in_range(1, 9)",
        ),
    ],
)
def test_a_bad_blueprint_is_described_by_kind_code_line_and_words(problem, blueprint, kind, code, line, words):
    found = problem(blueprint)
    assert words in found.message
    assert kind in (None, found.kind) and code in (None, found.code) and line in (None, found.line), vars(found)
    assert found.kind != "internal"


def test_two_nodes_contained_in_each_other_are_found_in_less_than_two_seconds(problem):
    nodes = "".join(
        f"  {a}: {{type: cloudify.nodes.Root, relationships: [{{type: cloudify.relationships.contained_in, target: {b}}}]}}\n"
        for a, b in ("ab", "ba")
    )
    begin = time.monotonic()
    found = problem(f"{HEAD}node_templates:\n{nodes}")
    assert found.code == 100 and time.monotonic() - begin < 2


def test_an_alias_bomb_is_refused_quickly(problem):
    bomb = "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n" + "".join(
        f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    begin = time.monotonic()
    assert "aliases" in problem(HEAD + "dsl_definitions:\n  " + bomb.replace("\n", "\n  ") + "\n" + ROOT).message
    assert "aliases" in problem(HEAD.replace("types.yaml]", "types.yaml, inc.yaml]") + ROOT, {"inc.yaml": bomb}).message
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize(
    "name",
    ["file:/etc/passwd", "file:///etc/passwd", "../outside.yaml", "../../../../etc/hostname", "/etc/passwd", "resource:/etc/passwd",
     "http://127.0.0.1:1/x.yaml", "ftp://127.0.0.1/x", "blueprint:other", "ns--blueprint:other", "resource:../outside.yaml"],
)  # fmt: skip
def test_an_import_from_elsewhere_is_refused(problem, tmp_path, name):
    (tmp_path / "outside.yaml").write_text("node_templates: {z: {type: cloudify.nodes.Root}}\n")
    found = problem(HEAD.replace("types.yaml]", f"types.yaml, '{name}']") + ROOT)
    assert "root:" not in found.message and "Connection" not in found.message


def test_a_link_in_the_folder_does_not_lead_out_of_it(host, tmp_path):
    folder = write_blueprint(tmp_path, HEAD.replace("types.yaml]", "types.yaml, link.yaml]") + ROOT, {})
    (folder / "link.yaml").symlink_to("/etc/passwd")
    with pytest.raises(BlueprintProblem):
        host.parse(folder, "blueprint.yaml")


@pytest.mark.parametrize("path", ["../../../../../etc/hostname", "/etc/hostname", "scripts/../../blueprint1/x.sh"])
def test_a_script_outside_the_folder_is_refused(problem, path):
    for blueprint in (one_node(path), one_node("script.script_runner.tasks.run", inputs=f"{{script_path: '{path}'}}")):
        found = problem(blueprint, {"scripts/x": ""})
        assert found.kind in ("path", "dsl")


@pytest.mark.parametrize("name", ["../blueprint.yaml", "/etc/hostname", "nothing.yaml", "."])
def test_a_main_file_that_is_not_in_the_archive_is_refused_by_name(problem, name):
    found = problem(HEAD + ROOT, main=name)
    assert found.kind == "no_main_file" and f"'{name}'" in found.message


def test_a_foreign_plugin_is_refused_by_its_name(problem, parse):
    imported = HEAD.replace("types.yaml]", "types.yaml, 'plugin:aws?version=>3']")
    message = problem(imported + "node_templates: {a: {type: cloudify.nodes.aws.Instance}}\n").message
    assert "'aws?version=>3'" in message and "cloudify.nodes.aws.Instance" in message
    plugin = (
        "plugins: {terra: {executor: central_deployment_agent, package_name: cloudify-terra, package_version: '1'}}\n"
    )
    found = problem(HEAD + plugin + one_node("terra.tf.apply").removeprefix(HEAD))
    assert found.kind == "plugin" and "'terra'" in found.message and "'s'" in found.message
    assert parse(HEAD + plugin.replace("executor", "install: false, executor") + ROOT)


def test_a_node_that_needs_a_host_agent_is_refused_by_its_name(problem, parse):
    node = "node_templates:\n  machine:\n    type: cloudify.nodes.Compute\n    properties: {agent_config: {install_method: %s}}\n"
    found = problem(HEAD + node % "remote")
    assert found.kind == "host_agent" and "'machine'" in found.message
    assert parse(HEAD + node % "none")


def test_a_workflow_of_the_blueprints_own_code_is_refused(problem):
    found = problem(HEAD + ROOT + "workflows: {mine: {mapping: mine.py}}\n", {"mine.py": ""})
    assert found.kind == "custom_workflow" and "'mine'" in found.message


def test_the_parser_ends_at_its_limit_of_processor_time(runner_settings, tmp_path):
    host = RunnerHost(dataclasses.replace(runner_settings, parse_cpu=1))
    # A regular expression of the user's that takes exponential time.
    inputs = "inputs: {word: {type: string, constraints: [{pattern: '(a+)+$'}]}}\n"
    try:
        plan = host.parse(write_blueprint(tmp_path, HEAD + inputs + ROOT, {}), "blueprint.yaml")
        begin = time.monotonic()
        with pytest.raises(BlueprintProblem) as caught:
            host.prepare(plan, {"word": "a" * 40 + "!"}, PlanSecrets())
        assert caught.value.kind == "limit" and time.monotonic() - begin < 4
    finally:
        host.close()


INPUTS = "inputs: {must: {type: string}, size: {type: integer, default: 3, constraints: [{in_range: [1, 9]}]}, where: {type: deployment_id, required: false}}\n"


@pytest.mark.parametrize(
    ("inputs", "kind", "words"),
    [
        ({}, "missing_input", "Required inputs ['must'] were not specified"),
        ({"must": "x", "zz": 1}, "unknown_input", "Unknown inputs ['zz'] specified"),
        ({"must": "x", "size": 77}, "constraint", "Value 77 of input size violates constraint in_range(1, 9)"),
        ({"must": "x", "where": "nowhere"}, "constraint", "nowhere"),
        ({"must": {"get_secret": "absent"}}, "unknown_secret", "Required secrets: [absent] don't exist in this tenant"),
        ({"must": {"get_secret": {"get_attribute": ["a", "b"]}}}, "dynamic_secret", "must be known"),
    ],
)
def test_wrong_inputs_are_described_as_the_genuine_manager_does(host, parse, inputs, kind, words):
    nodes = "node_templates:\n  a: {type: cloudify.nodes.Root, properties: {resource_id: {get_input: must}}}\n"
    plan = parse(HEAD + INPUTS + nodes)
    with pytest.raises(BlueprintProblem) as caught:
        host.prepare(plan, inputs, PlanSecrets())
    assert caught.value.kind == kind and words in caught.value.message, vars(caught.value)


def test_inputs_are_put_in_corrected_on_request_and_secrets_are_only_named(host, parse):
    nodes = "node_templates:\n  a: {type: cloudify.nodes.Root, properties: {resource_id: {concat: [{get_input: must}, {get_secret: [key, sub]}]}}}\n"
    plan = parse(HEAD + INPUTS + nodes)
    prepared = host.prepare(
        plan,
        {"must": {"get_secret": "other"}, "size": "7", "where": "existing"},
        PlanSecrets("key", "other"),
        auto_correct_types=True,
    )
    assert prepared["inputs"]["size"] == 7 and prepared["inputs"]["where"] == "existing"
    assert prepared["secrets"] == ["key", "other"]
    assert prepared["node_instances"][0]["name"] == "a" and "unknown-at-plan-time" not in str(prepared)


def test_functions_are_evaluated_against_the_portals_rows(host, case):
    blueprint = f"""{HEAD}
node_templates:
  a:
    type: cloudify.nodes.Root
    properties: {{resource_id: {{get_attribute: [SELF, port]}}}}
outputs:
  all: {{value: {{concat: [{{get_secret: [db, user]}}, '@', {{get_attribute: [a, host]}}, ':', {{get_sys: [deployment, id]}}]}}}}
"""
    deployment = case(blueprint, secrets={"db": '{"user": "scott"}'})
    instance_id = next(iter(deployment.store.instances))
    deployment.store.update_node_instance(instance_id, {"runtime_properties": {"host": "h1", "port": 80}}, None)
    assert host.evaluate("outputs", deployment.prepared["outputs"], None, deployment.store) == {"all": "scott@h1:dep"}
    nodes = host.evaluate("nodes", deployment.store.nodes(), {"self": instance_id}, deployment.store)
    assert nodes[0]["properties"]["resource_id"] == 80
    assert host.evaluate("payload", {"x": {"get_attribute": ["a", "absent"]}}, {}, deployment.store) == {"x": None}
    with pytest.raises(BlueprintProblem):
        host.evaluate("payload", {"x": {"get_secret": "absent"}}, {}, deployment.store)


def test_the_names_that_the_runner_replaces_exist_in_the_library(host):
    assert host.job("parser", {"name": "patch_points"}, None, 10) == []
