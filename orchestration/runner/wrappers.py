"""Mistakes in blueprints that deploy on a remote manager, found in their text with the line: a key twice, a misspelt function, half a login.

The parser takes all three; without this they show as a 401 of each environment.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Any

import yaml

COMPONENTS = ("cloudify.nodes.Component", "cloudify.nodes.SharedResource")
FUNCTIONS = (
    "get_input get_property get_attribute get_attributes_list get_attributes_dict get_secret get_capability get_group_capability "
    "get_environment_capability get_label get_sys get_consumers concat merge string_find string_replace string_split string_lower "
    "string_upper"
).split()
LIKENESS = 0.8
Warn = Callable[[str], None]
Fail = Callable[[str, int], Exception]


def check_wrappers(text: str, plan: dict[str, Any], fail: Fail, warn: Warn) -> None:
    """Raise `fail(message, line)` for the first mistake in a client block of a file; tell `warn` of keys that stand twice elsewhere."""
    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return  # the parser has read it, in its own way
    clients = list(client_blocks(root, plan))
    for name, block in clients:
        check_client(name, block, fail)
    inside = {id(node) for _, block in clients for node in all_mappings(block)}
    for mapping in all_mappings(root):
        if id(mapping) not in inside:
            for key, line, first in doubled(mapping):
                warn(f"line {line}: '{key}' is given twice (first in line {first}); the later one counts.")


def client_blocks(root: Any, plan: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(node's name, its properties.client) of components and shared resources that the text defines."""
    ours = {
        str(node["id"]) for node in plan["nodes"] if set(COMPONENTS) & set(node.get("type_hierarchy") or [node["type"]])
    }
    for name, template in entries(child(root, "node_templates")):
        if name in ours:
            block = child(child(template, "properties"), "client")
            if isinstance(block, yaml.MappingNode):
                yield name, block


def check_client(name: str, block: Any, fail: Fail) -> None:
    """A whole login, each part once, each function spelt as it is known."""
    of = f"the client of node '{name}'"
    for key, line, first in doubled(block):
        remedy = f"Keep one '{key}'."
        if key == "password" and child(block, "username") is None:
            remedy = (
                "One of them was meant to be the user: name it username, with the secret that holds the user's name."
            )
        raise fail(f"'{key}' is given twice in {of} (lines {first} and {line}). {remedy}", line)
    for mapping in all_mappings(block):
        if len(mapping.value) == 1 and isinstance(mapping.value[0][0], yaml.ScalarNode):
            key = mapping.value[0][0].value
            meant = misspelt(key)
            if meant:
                line = mapping.value[0][0].start_mark.line + 1
                raise fail(
                    f"'{key}' in {of} is no function, so its text would be sent as it stands. Write {meant}.", line
                )
    has_user, has_password, has_token = (child(block, part) is not None for part in ("username", "password", "token"))
    if has_password != has_user and not has_token:
        line = block.start_mark.line + 1
        missing, given = ("username", "password") if has_password else ("password", "username")
        raise fail(
            f"{of} has a {given} and no {missing}, so the remote manager would be sent no login at all. "
            f"Add {missing}, or use token instead.".replace("the client", "The client", 1),
            line,
        )


def misspelt(key: str) -> str:
    """The function that this was probably meant to be; "" where it is one, or nothing like one."""
    if key in FUNCTIONS:
        return ""
    found = difflib.get_close_matches(key, FUNCTIONS, n=1, cutoff=LIKENESS)
    return found[0] if found else ""


def entries(node: Any) -> list[tuple[str, Any]]:
    """The keys and values of a mapping, in order; of anything else none."""
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]


def child(node: Any, key: str) -> Any:
    """The value of a key, the last one where it stands twice; None where it is not there."""
    found = [value for name, value in entries(node) if name == key]
    return found[-1] if found else None


def doubled(node: Any) -> Iterator[tuple[str, int, int]]:
    """(key, its line, the line where it stood first) for each key that a mapping has again."""
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            line = key.start_mark.line + 1
            if key.value in seen:
                yield key.value, line, seen[key.value]
            seen.setdefault(key.value, line)


def all_mappings(root: Any) -> Iterator[Any]:
    """Every mapping below, itself included; what aliases share comes once."""
    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
