"""Environments as files: what each line becomes, imported whole or not at all, twice is once, and read back the same."""

from __future__ import annotations

import pytest

from accounts.models import AuditEntry
from inventory.connections import credential_of
from inventory.describing import export_environments
from inventory.environment_files import MOST, import_environments
from inventory.exposing import expose, update_environment
from inventory.models import Environment
from inventory.sites import create_site
from tests.factories import actor, token
from tests.factories import secret as make_secret

pytestmark = pytest.mark.django_db
TOKEN = "ctok-alice-0123456789"


@pytest.fixture
def stored(acme, alice):
    create_site(by=actor(alice), tenant=acme, name="Lisbon")
    return make_secret(acme, "plant-token", TOKEN, by=actor(alice))


def yaml_of(double, *names, **more):
    lines = "".join(f"    {key}: {value}\n" for key, value in more.items())
    entries = "".join(
        f"  - name: {name}\n    endpoint: 127.0.0.1\n    protocol: http\n    port: {double.port}\n    tenant: acme\n"
        f"    credential: {{token_secret: plant-token}}\n{lines}"
        for name in names
    )
    return f"environments:\n{entries}"


def read(acme, alice, text, **more):
    return import_environments(by=actor(alice), tenant=acme, text=text, **more)


def verdicts(report):
    return [(line.line, line.name, line.verdict) for line in report.lines]


def test_a_dry_run_says_what_would_become_of_each_line_and_changes_nothing(acme, alice, double, stored):
    report = read(acme, alice, yaml_of(double, "a", "b", site="Lisbon"), is_dry_run=True)
    assert verdicts(report) == [(2, "a", "new"), (9, "b", "new")]
    assert not report.is_done and not Environment.objects.exists() and double.count("GET") == 0


def test_a_file_is_imported_with_sites_labels_and_credentials_and_then_looked_at(acme, alice, double, stored):
    report = read(acme, alice, yaml_of(double, "a", "b", site="Lisbon", labels="{env: prod, ring: [1, 2]}"))
    assert report.is_done and report.run.children.count() == 2
    row = Environment.objects.get(deployment__wire_id="b")
    assert row.deployment.site.name == "Lisbon" and row.credential.token == stored
    assert {"env", "ring"} <= set(row.deployment.labels.values_list("key", flat=True))
    assert credential_of(row).token == TOKEN


def test_the_same_file_once_more_changes_nothing_and_a_changed_line_only_its_own(acme, alice, double, stored):
    text = yaml_of(double, "a", "b", labels="{env: prod}")
    read(acme, alice, text)
    entries = AuditEntry.objects.count()
    again = read(acme, alice, text)
    assert [line.verdict for line in again.lines] == ["same", "same"] and again.run is None
    assert AuditEntry.objects.count() == entries
    changed = read(acme, alice, text.replace("env: prod", "env: test", 1))
    assert [(line.verdict, line.messages) for line in changed.lines] == [
        ("changed", ("Differs: labels.",)),
        ("same", ()),
    ]
    labels = Environment.objects.get(deployment__wire_id="a").deployment.labels
    assert set(labels.values_list("key", "value")) == {("csys-obj-type", "environment"), ("env", "test")}


def test_a_line_of_a_known_environment_may_leave_out_all_that_stays(acme, alice, double, stored):
    read(acme, alice, yaml_of(double, "a"))
    report = read(acme, alice, "name,site\na,Lisbon\nb,Lisbon\n", format="csv")
    assert verdicts(report) == [(2, "a", "changed"), (3, "b", "error")] and "endpoint" in report.lines[1].messages[0]
    assert read(acme, alice, "name,site\na,Lisbon\n", format="csv").is_done
    row = Environment.objects.get()
    assert (row.deployment.site.name, row.sub_manager.port, row.credential.token) == ("Lisbon", double.port, stored)


@pytest.mark.parametrize("kind", ["yaml", "csv"])
def test_what_is_exported_is_imported_as_the_same(acme, alice, double, stored, kind):
    where = {"endpoint": "127.0.0.1", "port": double.port, "protocol": "http", "remote_tenant": "acme"}
    labels = [("env", "prod"), ("ring", "1"), ("ring", "2")]
    expose(by=actor(alice), tenant=acme, name="a", site="Lisbon", labels=labels, display_name='A "b", c', token_secret="plant-token", **where)  # fmt: skip
    rows = Environment.objects.for_list().select_related(
        "credential__token", "credential__username", "credential__password"
    )
    text = export_environments(rows, kind)
    assert TOKEN not in text and "plant-token" in text
    report = read(acme, alice, text, format=kind)
    assert [line.verdict for line in report.lines] == ["same"], report.lines
    row = rows.get()
    update_environment(by=actor(alice), environment=row, display_name="other")
    assert [line.messages for line in read(acme, alice, text, format=kind).lines] == [("Differs: display_name.",)]
    row.deployment.refresh_from_db()
    assert row.deployment.display_name == 'A "b", c'


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("protocol: http", "protocol: ftp"), "protocol"),
        (("port: ", "port: 7"), "port"),
        (("127.0.0.1", "user@host"), "Leave user and password out"),
        (("token_secret: plant-token", "token_secret: nosuch"), "There is no secret nosuch"),
        (("token_secret: plant-token", "token: plain"), "A file holds no token"),
        (("tenant: acme", "site: Nowhere"), "There is no site Nowhere"),
        (("name: b", "name: a"), "in the file twice"),
        (("name: b", "name: b/c"), "name"),
    ],
)
def test_one_bad_line_is_named_and_nothing_is_imported(acme, alice, double, stored, change, words):
    head, second = yaml_of(double, "a", "b").split("  - name: b")
    report = read(acme, alice, head + ("  - name: b" + second).replace(*change))
    assert not report.is_done and not Environment.objects.exists()
    (bad,) = [line for line in report.lines if line.verdict == "error"]
    assert bad.line == 8 and words in " ".join(bad.messages)


@pytest.mark.parametrize(
    ("text", "format", "words"),
    [
        ("a: [", "yaml", "This is no YAML (line 1"),
        ("just text", "yaml", "Begin with `environments:`"),
        ("environments: []", "yaml", "names no environment"),
        ("environments: [1]", "yaml", "Begin with `environments:`"),
        ("name,colour\na,red\n", "csv", "Unknown: colour"),
        ("endpoint\nx\n", "csv", "name among them"),
        ("name,labels\na,env\n", "csv", "key=value"),
        ("name\na,b\n", "csv", "more fields than columns"),
        ("name;site\na;x;y\n", "csv", "Line 2 has more fields than columns. Quote values with semicolons"),
        ('name,site\na,"x\n', "csv", "begins in line 2 is no CSV"),
        ("x", "json", "yaml or csv"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(acme, alice, text, format, words):
    (line,) = read(acme, alice, text, format=format).lines
    assert (line.line, line.verdict) == (0, "error") and words in line.messages[0]


def test_too_many_at_once_are_refused(acme, alice):
    text = "name\n" + "".join(f"e{number}\n" for number in range(MOST + 1))
    assert "Divide it" in read(acme, alice, text, format="csv").lines[0].messages[0]


def test_over_the_api_with_a_report_and_only_by_those_who_may(client, acme, alice, bob, double, stored):
    def call(user, method, body=None, query=""):
        sent = {"Authorization": f"Token {token(user)}", "Tenant": "acme"}
        ask = getattr(client, method)
        more = {"data": body, "content_type": "application/json"} if body else {}
        return ask(f"/api/v1/environment-files/{query}", headers=sent, **more)

    body = {"text": yaml_of(double, "a"), "is_dry_run": True}
    assert call(bob, "post", body).status_code == 403
    told = call(alice, "post", body)
    assert (told.status_code, told.json()["lines"][0]["verdict"]) == (200, "new"), told.content
    assert call(alice, "post", {"text": "x"}).status_code == 400
    assert call(alice, "post", body | {"is_dry_run": False}).json()["run"] is not None
    assert b"plant-token" in call(bob, "get").content
    assert call(bob, "get", query="?as=csv").content.startswith(b"name,display_name,endpoint")
