"""Labels, filters, ids and names with quotes, signs that mean something elsewhere, right-to-left text, 256 characters: by page, API and v3.1."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils.html import escape

from accounts.models import Secret
from inventory.bulk_labels import change_labels
from inventory.describing import export_environments
from inventory.environment_files import import_environments
from inventory.models import Deployment, Environment, Filter, Site
from inventory.value_lists import divided, joined
from tests.factories import actor, token
from tests.inventory import factories as inventory

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
VALUES = [
    "it's 100%_sure", "a%", "a_b", "%(x)s %s", "שלום עולם", "<b>&amp;</b><script>alert(1)</script>", "{{ 7*7 }}{% x %}",
    "back\\slash\\", "'; DROP TABLE x; --", "a,b=c", "a;b=c,d", "*[a-z]?", "é" * 256,
]  # fmt: skip
BAD_IDS = ["it's", "100%", "שלום", "a b", 'say "hi"', "x" * 257, "\u202eabc", "<b>", "a\nb"]
NOT_THOSE = str.maketrans({"%": "QQ", "_": "Q", "*": "QQ", "?": "Q", "'": "’", "é": "e", ",": "Q", "\\": "/"})


class Ways:
    """The same installation by page, by API and by v3.1."""

    def __init__(self, user) -> None:
        self.pages = Client()
        self.pages.force_login(user)
        self.token = token(user)

    def api(self, method, path, body=None):
        sent = {"Authorization": f"Token {self.token}", "Tenant": "acme"}
        return self.send(method, f"/api/v1/{path}", body, sent)

    def wire(self, method, path, body=None):
        return self.send(method, f"/api/v3.1/{path}", body, {"Authentication-Token": self.token, "Tenant": "acme"})

    def send(self, method, path, body, headers):
        data = "" if body is None else json.dumps(body)
        return Client().generic(method, path, data, content_type="application/json", headers=headers)

    def listed(self, **query):
        reply = self.pages.get("/environments/", query)
        assert reply.status_code == 200
        return [row.deployment.wire_id for row in reply.context["page"]]

    def told(self, **query):
        reply = self.api("GET", f"environments/?{'&'.join(f'{key}={quote(value)}' for key, value in query.items())}")
        assert reply.status_code == 200, reply.text
        return [row["name"] for row in reply.json()["results"]]


@pytest.fixture
def ways(alice):
    return Ways(alice)


def stand(acme, value):
    """One environment with this label and name, one with what a careless pattern would take for it."""
    for wire_id, text in (("it", value), ("decoy", value[0] + "Q" + value[1:255].translate(NOT_THOSE))):
        inventory.environment(acme, wire_id, [("note", text)], deployment={"display_name": text})


def rule(value, **more):
    return {"type": "label", "key": "note", "operator": "any_of", "values": [value]} | more


@pytest.mark.parametrize("value", VALUES)
def test_a_label_with_any_text_finds_its_environment_and_no_other_in_all_three_ways(acme, ways, value):
    stand(acme, value)
    assert ways.listed(label=f"note={value}") == ways.listed(q=value) == ["it"]
    by_rule = {"rule_type": "label", "rule_key": "note", "rule_operator": "any_of", "rule_values": joined([value])}
    assert ways.listed(**by_rule) == ["it"]
    assert ways.told(q=value) == ["it"]
    for asked in (rule(value), rule(value, type="attribute", key="display_name")):
        assert ways.told(filter_rules=json.dumps([asked])) == ["it"]
    (found,) = ways.wire("POST", "searches/deployments", {"filter_rules": [rule(value)]}).json()["items"]
    assert (found["id"], found["display_name"]) == ("it", value)
    assert ("note", value) in {(label["key"], label["value"]) for label in found["labels"]}
    assert [row["id"] for row in ways.wire("GET", f"deployments?_search_name={quote(value)}").json()["items"]] == ["it"]


@pytest.mark.parametrize("value", VALUES)
def test_a_saved_filter_with_any_text_is_shown_and_means_the_same_in_all_three_ways(acme, ways, value):
    stand(acme, value)
    assert ways.api("POST", "filters/", {"name": "those", "rules": [rule(value)]}).status_code == 201
    assert ways.listed(filter="those") == ways.told(filter="those") == ["it"]
    assert [row["id"] for row in ways.wire("GET", "deployments?_filter_id=those").json()["items"]] == ["it"]
    page = f"/filters/{Filter.objects.get(name='those').pk}/"
    assert escape(joined([value])) in ways.pages.get(page).text
    ways.pages.post(
        page, {"name": "those", "visibility": "tenant", "rule_type": "label", "rule_key": "note",
               "rule_operator": "any_of", "rule_values": joined([value])},
    )  # fmt: skip
    assert Filter.objects.get(name="those").rules == [rule(value)]


@pytest.mark.parametrize("value", VALUES)
def test_pages_show_it_escaped_and_carry_it_on_unchanged(acme, ways, value):
    stand(acme, value)
    row = Environment.objects.get(deployment__wire_id="it")
    query = f"label={quote('note=' + value)}"
    for address in (
        "/environments/?column=note", f"/environments/{row.pk}/", f"/environments/{row.pk}/change/", f"/environments/?{query}",
        f"/environments/map/?{query}", f"/environments/export/?{query}", f"/environments/labels/?{query}",
        f"/environments/probe/?{query}", "/deployments/", f"/deployments/{row.deployment_id}/", f"/filters/new/?{query}",
        f"/rollouts/new/?{query}", "/runs/",
    ):  # fmt: skip
        reply = ways.pages.get(address, follow=True)
        assert reply.status_code == 200, address
        assert "<script>alert" not in reply.text or reply["Content-Type"].startswith("application/yaml"), address
    shown = ways.pages.get(f"/environments/{row.pk}/").context["labels_form"].initial["labels"]
    ways.pages.post(f"/environments/{row.pk}/labels/", {"labels": shown})
    assert row.deployment.labels.get(key="note").value == value
    carried = ways.pages.get(f"/rollouts/new/?{query}").context["rules"]
    assert [each["values"] for each in carried] == [[value]]


def test_labels_of_many_take_and_lose_a_value_with_a_comma(acme, alice, ways):
    row = inventory.environment(acme, "one", [("note", "a"), ("b", "c")])
    address = f"/environments/labels/?environments={row.pk}"
    asked = {"add": "note=a\\,b", "remove": "", "what": "preview"}
    seen = ways.pages.post(address, asked).context["shown"]
    ways.pages.post(address, asked | {"what": "apply", "shown": seen})
    assert set(row.deployment.labels.filter(key="note").values_list("value", flat=True)) == {"a", "a,b"}
    asked = {"remove": "note=a\\,b", "add": "", "what": "preview"}
    seen = ways.pages.post(address, asked).context["shown"]
    ways.pages.post(address, asked | {"what": "apply", "shown": seen})
    assert set(row.deployment.labels.values_list("key", "value")) >= {("note", "a"), ("b", "c")}
    assert not row.deployment.labels.filter(value="a,b").exists()
    change_labels(by=actor(alice), tenant=acme, ids=[row.deployment_id], add=[("note", "x")], remove=[])


@pytest.mark.parametrize("format", ["csv", "yaml"])
@pytest.mark.parametrize("value", [*VALUES, 'say "hi"'])
def test_a_file_brings_it_back_as_it_was(acme, alice, format, value):
    labels = [("note", value), ("note", "other")] if '"' not in value else []
    inventory.environment(acme, "it", labels, deployment={"display_name": value})
    text = export_environments(Environment.objects.for_describing(), format)
    report = import_environments(by=actor(alice), tenant=acme, text=text, format=format, is_dry_run=True)
    assert [(line.verdict, line.messages) for line in report.lines] == [("same", ())]


@pytest.mark.parametrize("name", BAD_IDS)
def test_an_id_that_cannot_be_is_refused_in_words_in_all_three_ways_and_nothing_is_made(acme, ways, name):
    rules = [{"type": "label", "key": "env", "operator": "any_of", "values": ["x"]}]
    at = {"endpoint": "127.0.0.1", "port": 9, "protocol": "http", "credential": {"token": "ctok-a-b"}}
    told = {
        "environment": ways.api("POST", "environments/", at | {"name": name}),
        "filter": ways.api("POST", "filters/", {"name": name, "rules": rules}),
        "secret": ways.api("POST", "secrets/", {"name": name, "value": "v"}),
        "wire filter": ways.wire("PUT", f"filters/deployments/{quote(name, safe='')}", {"filter_rules": rules}),
        "wire secret": ways.wire("PUT", f"secrets/{quote(name, safe='')}", {"value": "v"}),
        "page of filters": ways.pages.post("/filters/new/", {
            "name": name, "visibility": "tenant", "rule_type": "label", "rule_key": "env", "rule_operator": "any_of", "rule_values": "x",
        }),
        "page of environments": ways.pages.post("/environments/add/", {
            "name": name, "protocol": "http", "endpoint": "127.0.0.1", "port": "9", "remote_tenant": "acme",
            "trust": "system", "method": "token", "token": "ctok-a-b",
        }),
    }  # fmt: skip
    assert {what: reply.status_code for what, reply in told.items() if reply.status_code != 400} == {}
    for what, reply in told.items():
        assert (
            "llegal" in reply.text
            or "too long" in reply.text
            or "at most" in reply.text
            or "letter" in reply.text
            or "no more than 256" in reply.text
            or "control characters" in reply.text
        ), what
    for model in (Deployment, Secret):
        assert not model.objects.exists()
    assert not Filter.objects.filter(is_system=False).exists()


def test_a_site_may_have_any_title_and_is_the_same_in_all_three_ways(acme, ways):
    for name in ("St. John's, 100%_east", "ירושלים", "La Ville & Cie", "A<img src=x onerror=alert(1)>", "Z" * 256):
        made = ways.api("POST", "sites/", {"name": name, "latitude": 1, "longitude": 2})
        assert made.status_code == 201, made.text
        row = inventory.environment(acme, deployment={"site": Site.objects.get(name=name)})
        assert ways.listed(site=name) == ways.told(site=name) == [row.deployment.wire_id]
        assert ways.wire("GET", f"sites/{quote(name, safe='')}").json()["name"] == name
    for address in ("/sites/", "/environments/", "/environments/map/"):
        assert "<img src=x" not in ways.pages.get(address).text
    for name in ("\u202eabc", "x" * 257, "a\nb", "", 'say "hi"'):
        assert ways.api("POST", "sites/", {"name": name}).status_code == 400
        assert ways.pages.post("/sites/", {"name": name}).status_code == 400
    assert Site.objects.count() == 5


@pytest.mark.parametrize("query", ["area=nan,1,2,3", "label=%ff%fe", "page=9e9", "state=%22", "column=%25", "q=%25s"])
def test_an_odd_address_of_the_list_is_answered(acme, ways, query):
    inventory.environment(acme, "it")
    assert ways.pages.get(f"/environments/?{query}").status_code == 200


@pytest.mark.parametrize("key", ["label", "q", "filter", "site", "_search", "_filter_id", "ordering"])
def test_a_nul_in_an_address_is_refused_in_words_in_all_three_ways(acme, ways, key):
    page = ways.pages.get(f"/environments/?{key}=a%00b")
    assert page.status_code == 400 and "NUL" in page.text
    told = ways.api("GET", f"environments/?{key}=%00")
    assert (told.status_code, told["Content-Type"]) == (400, "application/problem+json")
    wire = ways.wire("GET", f"deployments?{key}=%00")
    assert wire.status_code == 400 and wire.json()["error_code"] == "bad_parameters_error"
    for path in ("api/v1/environments/a%00b/", "api/v3.1/deployments/a%00b", "environments/%00/"):
        assert ways.pages.get(f"/{path}").status_code == 400


def test_a_nul_in_a_body_is_refused_in_words(acme, ways):
    for path, body in (
        ("filters/", {"name": "those", "rules": [rule("a\0b")]}),
        ("sites/", {"name": "a\0b"}),
        ("secrets/", {"name": "a\0b", "value": "v"}),
        ("environments/check/", {"endpoint": "a\0b", "credential": {"token": "ctok-a-b"}}),
        ("environments/discover/", {"endpoint": "127.0.0.1", "credential": {"token": "a\0b"}}),
        ("environment-files/", {"text": "name\na\0b\n", "format": "csv"}),
    ):
        reply = ways.api("POST", path, body)
        assert reply.status_code == 400, (path, reply.text)
    for path, body in (
        ("sites/new", {"location": "1,2\0"}),
        ("filters/deployments/new", {"filter_rules": [rule("a\0b")]}),
        ("deployments/new", {"blueprint_id": "a\0b", "inputs": {"a": "\0"}}),
    ):
        reply = ways.wire("PUT", path, body)
        assert reply.status_code in (400, 404), (path, reply.text)


def test_values_in_one_line_come_apart_as_they_were():
    for values in ([], ["a"], ["a,b", "c"], ["\\", "a\\,b", "\\\\,"], VALUES):
        assert divided(joined(values)) == divided(joined(values, ";"), ";") == values
    assert divided(" a ,, b\\n ,") == ["a", "b\\n"]
