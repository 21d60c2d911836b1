"""Blueprints of managers of managers at upload: what is taken as it is, and what is told with line and remedy."""

from __future__ import annotations

import pytest

from orchestration.runner_types import BlueprintProblem
from tests.orchestration import spire
from tests.orchestration.runner.cases import write_blueprint


@pytest.fixture
def parse(host, tmp_path):
    return lambda text, **files: host.parse(write_blueprint(tmp_path, text, files), "blueprint.yaml")


def problem(parse, text: str, **files: str) -> BlueprintProblem:
    with pytest.raises(BlueprintProblem) as caught:
        parse(text, **files)
    return caught.value


def line_of(text: str, part: str, number: int = 1) -> int:
    return [line for line, content in enumerate(text.splitlines(), 1) if part in content][number - 1]


def test_the_discovery_blueprint_is_taken_and_a_plugin_that_it_does_not_use_is_a_warning(parse):
    plan = parse(spire.DISCOVERY)
    assert (plan["nodes"], next(iter(plan["capabilities"]))) == ([], "cloudify_manager_endpoint")
    assert ["'cloudify-utilities-plugin' is not here" in warning for warning in plan["warnings"]] == [True]


@pytest.mark.parametrize(
    "address",
    [
        "plugin:cloudify-utilities-plugin?version= >=1.24.0",
        "http://www.getcloudify.org/spec/utilities-plugin/1.9.3/plugin.yaml",
        "https://raw.githubusercontent.com/cloudify-incubator/cloudify-utilities-plugin/master/plugin_1_4.yaml",
        "https://raw.githubusercontent.com/cloudify-incubator/cloudify-utilities-plugin/master/v2_plugin.yaml",
    ],
)
def test_an_unused_plugin_is_passed_over_by_name_and_by_address(parse, address):
    text = spire.APPLICATION.replace(f"[{spire.TYPES}]", f"['{spire.TYPES}', '{address}']")
    assert len(parse(text)["warnings"]) == 1
    used = text.replace("cloudify.nodes.ApplicationModule", "cloudify.nodes.CloudInit.CloudConfig")
    found = problem(parse, used)
    assert "which is not here" in found.message and "cloudify.nodes.CloudInit.CloudConfig" in found.message


@pytest.mark.parametrize("login", [spire.BY_TOKEN, spire.BY_PASSWORD])
@pytest.mark.parametrize("archive", [spire.PUBLIC, spire.PRIVATE])
def test_good_wrappers_are_taken_and_say_what_they_ask_for(parse, login, archive):
    plan = parse(spire.wrapper(login, archive))
    assert plan["warnings"] == []
    assert ["cloudify_manager_endpoint"] in plan["requirements"]["parent_capabilities"]


def test_a_misspelt_function_of_a_login_is_told_with_its_line_and_its_right_name(parse):
    text = spire.wrapper(spire.USER.replace("get_secret", "et_secret") + spire.PASSWORD)
    found = problem(parse, text)
    assert (found.kind, found.line) == ("component", line_of(text, "et_secret: {get_input: cloudify_user"))
    assert f"blueprint.yaml, line {found.line}" in found.message and "Write get_secret." in found.message


def test_a_password_given_twice_without_a_user_is_told_with_both_lines(parse):
    text = spire.wrapper(spire.PASSWORD + spire.PASSWORD)
    found = problem(parse, text)
    first, second = line_of(text, "        password:"), line_of(text, "        password:", 2)
    assert found.line == second and f"(lines {first} and {second})" in found.message and "username" in found.message


@pytest.mark.parametrize(
    ("login", "words"),
    [(spire.PASSWORD, "has a password and no username"), (spire.USER, "has a username and no password")],
)
def test_half_a_login_is_told(parse, login, words):
    assert words in problem(parse, spire.wrapper(login)).message


def test_a_mistake_in_an_imported_file_is_told_with_that_files_name(parse):
    text = spire.wrapper(spire.PASSWORD)
    head, _, nodes = text.partition("node_templates:")
    main = head.replace(f"[{spire.TYPES}]", f"['{spire.TYPES}', nodes.yaml]")
    inc = "tosca_definitions_version: cloudify_dsl_1_4\nnode_templates:" + nodes
    assert "nodes.yaml, line" in problem(parse, main, **{"nodes.yaml": inc}).message


def test_a_key_given_twice_elsewhere_is_a_warning_and_not_a_refusal(parse):
    text = spire.APPLICATION + "description: one\ndescription: two\n"
    lines = [line_of(text, "description: one"), line_of(text, "description: two")]
    (warning,) = parse(text)["warnings"]
    assert f"line {lines[1]}: 'description' is given twice (first in line {lines[0]})" in warning


def test_an_operation_that_components_do_not_have_is_refused(parse):
    text = spire.APPLICATION.replace(
        "{type: cloudify.nodes.ApplicationModule}",
        "{type: cloudify.nodes.Root, interfaces: {cloudify.interfaces.lifecycle: "
        "{create: cfy_extensions.cloudify_types.component.nonsense}}}",
    )
    found = problem(parse, text)
    assert found.kind == "component" and "'cloudify_types.component.nonsense'" in found.message
