"""Environments from a file and as a file, by page."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import AuditEntry
from inventory.models import Environment
from tests.factories import secret as make_secret
from tests.inventory import factories as inventory
from tests.inventory.test_environment_files import TOKEN, yaml_of

pytestmark = pytest.mark.django_db
ADDRESS = "/environments/import/"


@pytest.fixture
def stored(acme, alice):
    return make_secret(acme, "plant-token", TOKEN)


def sent(text, intent="check", **more):
    return {"text": text, "format": "yaml", "intent": intent} | more


def test_a_file_is_reported_line_by_line_then_imported_and_once_more_changes_nothing(signed_in, alice, double, stored):
    client, text = signed_in(alice), yaml_of(double, "a", "b")
    shown = client.post(ADDRESS, sent(text)).text
    assert shown.count(">Made<") == 2 and "Import 2 environments" in shown and not Environment.objects.exists()
    done = client.post(ADDRESS, sent(text, "import"), follow=True).text
    assert "2 made, 0 changed, 0 unchanged" in done and Environment.objects.count() == 2
    entries = AuditEntry.objects.count()
    again = client.post(ADDRESS, sent(text)).text
    assert again.count(">Unchanged<") == 2 and 'value="import"' not in again
    assert "0 made, 0 changed, 2 unchanged" in client.post(ADDRESS, sent(text, "import"), follow=True).text
    assert AuditEntry.objects.count() == entries
    changed = client.post(ADDRESS, sent(text + "    display_name: Plant B\n")).text
    assert "Differs: display_name." in changed and "Import 1 environment<" in changed


def test_a_chosen_file_is_kept_as_text_and_a_refused_line_has_its_remedy(signed_in, alice, double, stored):
    text = yaml_of(double, "a", "b").replace("name: b", "name: a").replace("plant-token", "nosuch")
    shown = signed_in(alice).post(ADDRESS, {"file": SimpleUploadedFile("e.yaml", text.encode()), "format": "yaml"}).text
    assert "It is in the file twice. Remove one of them." in shown and "There is no secret nosuch" in shown
    assert 'value="import"' not in shown and "name: a" in shown and "imported whole or not at all" in shown
    assert not Environment.objects.exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"text": ""}, "Choose a file, or paste its text"),
        ({"text": "", "file": SimpleUploadedFile("e.yaml", b"\xff\xfe\x00")}, "no text in UTF-8"),
    ],
)
def test_what_is_no_file_is_told_at_its_field(signed_in, alice, more, words):
    reply = signed_in(alice).post(ADDRESS, {"format": "yaml"} | more)
    assert reply.status_code == 400 and words in reply.text


def test_an_export_holds_what_the_filter_of_the_list_leaves_and_of_this_tenant_alone(signed_in, alice, acme, other):
    for name, env in (("a", "prod"), ("b", "test")):
        inventory.environment(acme, name, [("env", env)])
    inventory.environment(other, "foreign", [("env", "prod")], deployment={"visibility": "global"})
    client = signed_in(alice)
    listed = client.get("/environments/?label=env%3Dprod&q=a").text
    assert "/environments/export/?label=env%3Dprod&amp;q=a&amp;as=csv" in listed
    found = client.get("/environments/export/?label=env%3Dprod&as=csv")
    assert found["Content-Disposition"] == 'attachment; filename="environments.csv"'
    assert [line.split(",")[0] for line in found.text.splitlines()] == ["name", "a"]
    assert "name: b" in client.get("/environments/export/").text


def test_a_viewer_exports_and_does_not_import_and_an_outsider_gets_nothing_of_here(
    signed_in, acme, bob, charlie, other
):
    inventory.environment(acme, "a")
    shown = signed_in(bob).get("/environments/").text
    assert "/environments/export/" in shown and ADDRESS not in shown
    assert signed_in(bob).post(ADDRESS, sent("x")).status_code == 403
    assert "name: a" in signed_in(bob).get("/environments/export/").text
    assert "name: a" not in signed_in(charlie).get("/environments/export/").text
