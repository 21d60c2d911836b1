"""The filter rules beyond the recorded cases: any rules over any deployments, read by SQL and in plain Python alike."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Tenant, User
from inventory import filters
from inventory.filters import InvalidRule, parse
from inventory.models import Deployment, Environment
from tests.inventory import factories
from tests.inventory.filter_reading import holds

# Small alphabets, so that rules meet values: both cases, the wildcard, what SQL and GLOB could take for one, no ASCII.
KEYS = ["env", "zone", "ENV", "csys-obj-type"]
VALUES = ["a", "A", "ab", "a_b", "aXb", "a*b", "100%", "é", "É", ""]
NAMES = ["a", "A", "ab", "aB", "a_b", "aXb", "A-b", "b.a", "b~a", "Ba", "bab"]
ATTRIBUTES = ["id", "display_name", "blueprint_id", "site_name", "created_by", "installation_status"]

label_rules = st.one_of(
    st.builds(
        lambda key, operator, values: {"type": "label", "key": key, "operator": operator, "values": values},
        st.sampled_from(KEYS),
        st.sampled_from(["any_of", "not_any_of", "is_not"]),
        st.lists(st.sampled_from(VALUES), min_size=1, max_size=3),
    ),
    st.builds(
        lambda key, operator: {"type": "label", "key": key, "operator": operator, "values": []},
        st.sampled_from(KEYS),
        st.sampled_from(["is_null", "is_not_null"]),
    ),
)
attribute_rules = st.one_of(
    st.builds(
        lambda key, operator, values: {"type": "attribute", "key": key, "operator": operator, "values": values},
        st.sampled_from(ATTRIBUTES),
        st.sampled_from([operator for operator in filters.ATTRIBUTE_OPERATORS if operator != "is_not_empty"]),
        st.lists(st.sampled_from([*NAMES, "active", "act", "Active"]), max_size=3),
    ),
    st.builds(
        lambda key: {"type": "attribute", "key": key, "operator": "is_not_empty", "values": []},
        st.sampled_from([*ATTRIBUTES, "schedules"]),
    ),
)


@pytest.fixture
def population(db):
    """Some forty deployments that differ in all that a rule can ask for; [(id, row as the wire shows it)]."""
    tenant = Tenant.objects.create(name="acme")
    people = [User.objects.create(username=name) for name in ("a", "A-b")] + [None]
    rows = []
    for number in range(44):
        labels = [("env", VALUES[number % 10]), ("env", VALUES[(number * 3 + 1) % 10])] if number % 3 else []
        labels += [("zone", VALUES[number % 7])] if number % 4 else []
        labels = list(dict.fromkeys(labels))
        row = {
            "id": f"{NAMES[number % 11]}{number}",
            "display_name": NAMES[(number * 5) % 11],
            "blueprint_id": NAMES[(number * 7) % 11] if number % 5 else "",
            "site_name": NAMES[(number * 3) % 11] if number % 2 else None,
            "created_by": getattr(people[number % 3], "username", None),
            "installation_status": "active" if number % 2 else "inactive",
            "schedules": number % 6 == 0,
            "labels": labels,
        }
        factories.deployment(
            tenant,
            row["id"],
            labels,
            display_name=row["display_name"],
            blueprint_name=row["blueprint_id"],
            site=factories.site(tenant, row["site_name"]) if row["site_name"] else None,
            created_by=people[number % 3],
            installation_status=row["installation_status"],
            has_schedules=row["schedules"],
        )
        rows.append(row)
    return rows


@pytest.mark.both_databases
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=st.lists(st.one_of(label_rules, attribute_rules), max_size=3))
def test_sql_and_a_plain_reading_of_the_rules_find_the_same_deployments(population, rules):
    found = set(Deployment.objects.matching(parse(rules)).values_list("wire_id", flat=True))
    assert found == {row["id"] for row in population if all(holds(rule, row) for rule in rules)}


@pytest.mark.both_databases
@pytest.mark.django_db
def test_environments_are_found_by_the_rules_of_their_deployments():
    tenant = Tenant.objects.create(name="acme")
    factories.environment(tenant, "plant-1", [("region", "EU"), ("region", "US")])
    factories.environment(tenant, "plant-2", [("region", "US")])
    rules = [
        {"type": "label", "key": "Region", "operator": "is_not", "values": ["EU"]},
        {"type": "attribute", "key": "id", "operator": "starts_with", "values": ["PLANT"]},
        {"type": "label", "key": "csys-obj-type", "operator": "any_of", "values": ["environment"]},
    ]
    assert [str(row) for row in Environment.objects.matching(parse(rules))] == ["plant-2"]


@pytest.mark.both_databases
@pytest.mark.django_db
def test_a_name_for_people_may_be_compared_with_blanks_and_wildcards_of_sql_stay_themselves():
    tenant = Tenant.objects.create(name="acme")
    for wire_id, name in (("a", "100% [New] York*"), ("b", "1000 [New] Yorks"), ("c", "New York\\")):
        factories.deployment(tenant, wire_id, display_name=name)

    def found(value, operator="contains"):
        rule = {"type": "attribute", "key": "display_name", "operator": operator, "values": [value]}
        return sorted(
            Deployment.objects.matching(parse([rule], are_titles_free=True)).values_list("wire_id", flat=True)
        )

    assert found("100% ") == ["a"]
    assert found("[New]") == ["a", "b"]
    assert found("York*") == ["a"]
    assert found("york*") == []
    assert found("YORK\\", "ends_with") == ["c"]
    assert found("100%", "starts_with") == ["a"]


GOOD = {"type": "label", "key": "env", "operator": "any_of", "values": ["prod"]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"operator": "like"}, "The operator for filtering by labels must be one of any_of, not_any_of, is_null, is_not_null, is_not"),
        ({"type": "x"}, "Filter rule type must be one of label, attribute"),
        ({"key": 5}, "The filter rule key must be a string"),
        ({"values": "prod"}, "The filter rule values must be a list"),
        ({"operator": ["any_of"]}, "The operator for filtering by labels must be one of any_of, not_any_of, is_null, is_not_null, is_not"),
        ({"values": [5]}, "Labels must be a list of 1-entry dictionaries: [{<key1>: <value1>}, {<key2>: [<value2>, <value3>]}, ...]"),
        ({"values": ["x" * 257]}, "The key or value is too long. Maximum allowed length is 256 characters"),
        ({"key": "a b"}, "The key `a b` contains illegal characters. Only letters, digits and the characters `-`, `.` and `_` are allowed"),
        ({"values": ['"']}, 'The value `"` contains illegal characters. Control characters and `"` are not allowed.'),
        ({"key": "csys-location-lat", "values": ["91"]}, "Invalid latitude `91`. Must be a number between -90 and 90"),
        ({"extra": 1}, "At least one of the entries in the filter rule is missing"),
        ({"type": "attribute", "key": "created_at"}, "Allowed attributes to filter deployments by are id, blueprint_id, created_by, site_name, schedules, tenant_name, display_name, installation_status"),
        ({"type": "attribute", "key": "id", "values": ["a b"]}, "The `attributes' filter rule value` argument contains illegal characters. Only letters, digits and the characters \"-\", \".\" and \"_\" are allowed"),
        ({"type": "attribute", "key": "id", "values": [""]}, "The `attributes' filter rule value` argument is empty"),
        ({"type": "attribute", "key": "id", "values": [5]}, "The `attributes' filter rule value` argument must be a string"),
        ({"type": "attribute", "key": "id", "values": ["x" * 257]}, "The `attributes' filter rule value` argument is too long. Maximum allowed length is 256 characters"),
        ({"type": "attribute", "key": "ID"}, "Allowed attributes to filter deployments by are id, blueprint_id, created_by, site_name, schedules, tenant_name, display_name, installation_status"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_named_with_its_reason(change, reason):
    rule = GOOD | change
    with pytest.raises(InvalidRule) as caught:
        parse([GOOD, rule])
    assert caught.value.rule == rule
    assert caught.value.reason == reason
    assert caught.value.message == f"The filter rule {rule} is not in the right format. {reason}"


@pytest.mark.parametrize("rules", [None, "env=prod", {"a": 1}])
def test_rules_that_are_no_list_are_refused(rules):
    with pytest.raises(InvalidRule):
        parse(rules)


def test_a_rule_that_is_no_object_is_refused_and_quoted():
    with pytest.raises(InvalidRule) as caught:
        parse(["env=prod"])
    assert (
        caught.value.message
        == "The filter rule env=prod is not in the right format. The filter rule is not a dictionary"
    )


def test_identical_rules_count_once_and_keys_are_lower_case():
    assert [rule.to_json() for rule in parse([GOOD, GOOD | {"key": "ENV"}, GOOD | {"values": ["dev"]}])] == [
        GOOD,
        GOOD | {"values": ["dev"]},
    ]
