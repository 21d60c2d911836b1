"""The steps of an update, from plans alone."""

from __future__ import annotations

import pytest

from orchestration.errors import Refused
from orchestration.update_steps import changed_nodes, steps_between


def node(type_="t", **more):
    return {"type": type_, "properties": {}, "operations": {}, "relationships": []} | more


def link(target, type_="depends", **more):
    return {"type": type_, "target_id": target, "type_hierarchy": [type_]} | more


def shown(old, new, old_plan=None, new_plan=None):
    found = steps_between(old, new, old_plan or {}, new_plan or {})
    return [(one["action"], one["entity_type"], *one["entity_id"]) for one in found], changed_nodes(found)


def test_nothing_changes():
    same = {"a": node(properties={"x": 1}), "b": node(relationships=[link("a")])}
    assert shown(same, same, {"outputs": {"o": 1}}, {"outputs": {"o": 1}}) == ([], set())


def test_nodes_come_and_go():
    steps, changed = shown({"a": node()}, {"b": node()})
    assert steps == [("remove", "node", "nodes", "a"), ("add", "node", "nodes", "b")] and not changed


def test_properties_and_operations_change_a_node():
    old = {"a": node(properties={"x": 1, "gone": 1}, operations={"i.create": {"inputs": 1}, "create": {"inputs": 1}})}
    new = {"a": node(properties={"x": 2, "new": 1}, operations={"i.create": {"inputs": 2}, "create": {"inputs": 2}})}
    steps, changed = shown(old, new)
    assert steps == [
        ("modify", "property", "nodes", "a", "properties", "x"),
        ("remove", "property", "nodes", "a", "properties", "gone"),
        ("add", "property", "nodes", "a", "properties", "new"),
        ("modify", "operation", "nodes", "a", "operations", "i.create"),
    ]
    assert changed == {"a"}


def test_a_relationship_that_comes_or_goes_is_linked_and_one_that_changes_is_reinstalled():
    old = {"a": node(relationships=[link("b"), link("c")]), "d": node(relationships=[link("b", properties={"x": 1})])}
    new = {"a": node(relationships=[link("b"), link("e")]), "d": node(relationships=[link("b", properties={"x": 2})])}
    steps, changed = shown(old, new)
    assert steps == [
        ("remove", "relationship", "nodes", "a", "relationships", "depends:c"),
        ("add", "relationship", "nodes", "a", "relationships", "depends:e"),
        ("modify", "relationship", "nodes", "d", "relationships", "depends:b"),
    ]
    assert changed == {"d"}


def test_parts_of_the_plan():
    steps, changed = shown({}, {}, {"outputs": {"o": 1}, "description": "x"}, {"workflows": {"w": 1}})
    assert steps == [
        ("add", "workflow", "workflows", "w"),
        ("remove", "output", "outputs", "o"),
        ("modify", "description", "description"),
    ]
    assert not changed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (node("t"), node("u")),
        (
            node(relationships=[link("h1", "cloudify.relationships.contained_in")]),
            node(relationships=[link("h2", "cloudify.relationships.contained_in")]),
        ),
    ],
)
def test_a_node_that_would_become_another_one_is_refused(old, new):
    with pytest.raises(Refused, match="another name"):
        steps_between({"a": old}, {"a": new}, {}, {})
