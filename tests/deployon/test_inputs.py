"""Values for inputs against the schema of a blueprint."""

from __future__ import annotations

import time

import pytest
from django.core.exceptions import ValidationError

from deployon.inputs import effective_inputs, from_text

SCHEMA = {
    "port": {"type": "integer", "constraints": [{"in_range": [1, 65535]}]},
    "name": {"type": "string", "default": "edge", "constraints": [{"max_length": 8}, {"pattern": "[a-z]+$"}]},
    "colour": {"default": "teal", "constraints": [{"valid_values": ["teal", "brown"]}]},
    "ratio": {"type": "float", "required": False},
    "is_open": {"type": "boolean", "default": False},
    "tags": {"type": "list", "default": []},
}


def refused(**given):
    with pytest.raises(ValidationError) as caught:
        effective_inputs(SCHEMA, {"port": 80} | given)
    return caught.value.message_dict


def test_defaults_fill_what_was_not_given():
    assert effective_inputs(SCHEMA, {"port": 80}) == {
        "port": 80,
        "name": "edge",
        "colour": "teal",
        "is_open": False,
        "tags": [],
    }


def test_numbers_and_booleans_in_quotes_become_what_they_mean():
    values = effective_inputs(SCHEMA, {"port": "80", "ratio": "0.5", "is_open": "true"})
    assert (values["port"], values["ratio"], values["is_open"]) == (80, 0.5, True)


def test_a_missing_input_is_named():
    with pytest.raises(ValidationError) as caught:
        effective_inputs(SCHEMA, {})
    assert "'port' is required" in caught.value.message_dict["port"][0]


def test_an_unknown_input_is_named_with_those_there_are():
    assert "no input 'prot'" in refused(prot=1)["prot"][0]
    assert "port" in refused(prot=1)["prot"][0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"port": "many"}, "no integer"),
        ({"port": True}, "no integer"),
        ({"port": 70000}, "from 1 to 65535"),
        ({"name": "much-too-long"}, "length of 8 or less"),
        ({"name": "UPPER"}, "match the pattern"),
        ({"colour": "red"}, "one of teal, brown"),
        ({"is_open": "perhaps"}, "no boolean"),
        ({"tags": "a,b"}, "no list"),
        ({"ratio": "half"}, "no float"),
    ],
)
def test_a_wrong_value_is_told_under_its_name(given, said):
    assert said in refused(**given)[next(iter(given))][0]


def test_all_wrong_inputs_are_told_at_once():
    assert set(refused(port=0, colour="red", other=1)) == {"port", "colour", "other"}


def test_a_function_is_left_to_the_sub_manager():
    assert effective_inputs(SCHEMA, {"port": {"get_secret": "port"}})["port"] == {"get_secret": "port"}


def test_a_pattern_that_takes_for_ever_is_given_up(monkeypatch):
    monkeypatch.setattr("deployon.inputs.PATTERN_SECONDS", 0.5)
    schema = {"text": {"type": "string", "constraints": [{"pattern": "(a+)+$"}]}}
    begun = time.monotonic()
    with pytest.raises(ValidationError):
        effective_inputs(schema, {"text": "a" * 40 + "!"})
    assert time.monotonic() - begun < 3


def test_without_a_schema_everything_passes_only_where_it_is_not_known_yet():
    assert effective_inputs({}, {"any": 1}, is_open=True) == {"any": 1}
    with pytest.raises(ValidationError):
        effective_inputs({}, {"any": 1})


def test_what_is_typed_into_a_form_becomes_a_value():
    assert from_text({"type": "list"}, '["a"]') == ["a"]
    assert from_text({"type": "string"}, "12") == "12"
    assert from_text({"type": "boolean"}, "yes") is True
    assert from_text({"type": "integer"}, "twelve") == "twelve"
