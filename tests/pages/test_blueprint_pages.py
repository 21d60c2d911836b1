"""Pages of blueprints; that one is read, deployed and installed is seen in test_day_two_in_browser."""

from __future__ import annotations

import io
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import AuditEntry, Visibility
from inventory.models import Deployment
from orchestration.models import Blueprint, Execution
from tests.orchestration import archives
from tests.orchestration import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.DATA_DIR = tmp_path


def asked(**changes):
    file = SimpleUploadedFile("web.zip", archives.packed({"blueprint.yaml": archives.APP}))
    given = {
        "wire_id": "web", "source": "file", "archive": file, "url": "", "main_file": "", "labels": "team=blue", "visibility": "tenant",
    }  # fmt: skip
    return {name: value for name, value in (given | changes).items() if value is not None}


def test_an_archive_is_uploaded_and_its_page_says_that_it_is_being_read(signed_in, alice, acme):
    client = signed_in(alice)
    assert "No blueprint yet" in client.get("/blueprints/").text
    reply = client.post("/blueprints/upload/", asked())
    row = Blueprint.objects.get()
    assert reply["Location"] == f"/blueprints/{row.pk}/"
    assert (row.tenant, row.wire_id, row.main_file, row.visibility) == (acme, "web", "blueprint.yaml", "tenant")
    assert row.created_by == alice and [label["value"] for label in row.labels] == ["blue"]
    page = client.get(f"/blueprints/{row.pk}/").text
    assert 'hx-trigger="every 1s"' in page and "Deploy here" not in page
    assert 'hx-trigger="every 1s"' in client.get(f"/blueprints/{row.pk}/", headers={"HX-Request": "true"}).text
    assert "is not usable" in client.get(f"/blueprints/{row.pk}/deploy/", follow=True).text


def test_a_single_yaml_file_is_an_archive_of_its_own(signed_in, alice):
    file = SimpleUploadedFile("my-app.yaml", archives.APP.encode())
    signed_in(alice).post("/blueprints/upload/", asked(archive=file))
    row = Blueprint.objects.get()
    assert row.main_file == "my-app.yaml"
    reply = signed_in(alice).get(f"/blueprints/{row.pk}/archive/")
    assert reply["Content-Disposition"] == 'attachment; filename="web.zip"'
    assert zipfile.ZipFile(io.BytesIO(reply.content)).namelist() == ["blueprint/my-app.yaml"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"archive": None}, "Choose the file of the blueprint."),
        ({"archive": SimpleUploadedFile("a.zip", b"no archive")}, "unrecognized format"),
        ({"source": "url"}, "Enter the URL of the archive."),
        ({"wire_id": "no id/"}, "wire_id"),
        ({"labels": "nonsense"}, "is not key=value"),
        ({"visibility": "global"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(signed_in, alice, wrong, words):
    if "archive" in wrong and wrong["archive"] is not None:
        wrong["archive"].seek(0)
    reply = signed_in(alice).post("/blueprints/upload/", asked(**{"main_file": "other.yaml"} | wrong))
    assert reply.status_code == 400 and 'value="other.yaml"' in reply.text
    assert words == "wire_id" or words in reply.text
    assert not Blueprint.objects.filter(state="uploaded").exists()


def test_an_id_in_use_is_refused_and_one_that_failed_is_replaced(signed_in, alice, acme):
    good, bad = make.blueprint(acme, "web"), make.blueprint(acme, "old", state="invalid", error="line 3: no such type")
    client = signed_in(alice)
    assert "already exists" in client.post("/blueprints/upload/", asked()).text
    assert Blueprint.objects.filter(pk=good.pk).exists()
    page = client.get(f"/blueprints/{bad.pk}/").text
    assert "line 3: no such type" in page and "/blueprints/upload/?id=old" in page
    assert 'value="old"' in client.get("/blueprints/upload/?id=old").text
    client.post("/blueprints/upload/", asked(wire_id="old"))
    assert Blueprint.objects.get(wire_id="old").state == "uploading"


def test_a_login_in_a_url_is_not_shown_again(signed_in, alice, settings):
    settings.ENDPOINT_NETWORKS = ["127.0.0.1/32"]
    url = "http://ann:s3cret-word@127.0.0.1:9/a.zip?key=hushed"
    reply = signed_in(alice).post("/blueprints/upload/", asked(source="url", archive=None, url=url))
    assert reply.status_code == 400 and "http://127.0.0.1:9/a.zip" in reply.text
    assert "s3cret-word" not in reply.text and "hushed" not in reply.text
    assert "s3cret-word" not in str(list(AuditEntry.objects.values())) + str(list(Execution.objects.values()))


def test_the_list_is_searched_and_counts_what_stands(signed_in, alice, acme, other):
    web = make.local(acme, "web-1", by=alice).blueprint
    make.blueprint(acme, "broken", state="failed_parsing", error="It broke.")
    make.blueprint(other, "theirs")
    make.blueprint(other, "shared", visibility=Visibility.GLOBAL)
    client = signed_in(alice)
    page = client.get("/blueprints/").text
    assert "theirs" not in page and f"{other}" in page
    assert f"every=1&amp;blueprint={web.wire_id}" in page and "It broke." in page
    found = client.get("/blueprints/?state=failed").text
    assert "broken" in found and web.wire_id not in found
    assert "No blueprint matches" in client.get("/blueprints/?q=nosuch").text


def test_what_a_blueprint_needs_is_shown(signed_in, alice, acme):
    plan = make.PLAN | {
        "requirements": {"secrets": ["token_of_shop"], "parent_capabilities": [["endpoint", "port"]]},
        "nodes": [{"name": "app", "type": "demo.App"}],
        "inputs": {"size": {"type": "integer"}},
    }
    row = make.blueprint(acme, "web", plan=plan)
    page = signed_in(alice).get(f"/blueprints/{row.pk}/").text
    for words in ("token_of_shop", "endpoint.port", "demo.App", "must be given"):
        assert words in page, words


def test_one_is_removed_unless_something_stands_of_it(signed_in, alice, acme):
    used, free = make.local(acme, "web-1", by=alice).blueprint, make.blueprint(acme, "free")
    client = signed_in(alice)
    assert "There exist deployments" in client.post(f"/blueprints/{used.pk}/delete/", follow=True).text
    assert "free is removed" in client.post(f"/blueprints/{free.pk}/delete/", follow=True).text
    assert list(Blueprint.objects.all()) == [used]
    assert client.get(f"/blueprints/{used.pk}/delete/").status_code == 405


def test_a_global_one_of_another_tenant_is_deployed_here_and_not_removed(signed_in, alice, acme, other, monkeypatch):
    monkeypatch.setattr("orchestration.blueprint_views.PREPARED_SECONDS", 0.0)
    row = make.blueprint(other, "shared", visibility=Visibility.GLOBAL)
    client = signed_in(alice)
    assert client.post(f"/blueprints/{row.pk}/delete/").status_code == 404
    given = {
        "wire_id": "web-1",
        "display_name": "Web",
        "labels": "env=prod",
        "visibility": "tenant",
        "value:size": "4",
        "install": "on",
    }
    reply = client.post(f"/blueprints/{row.pk}/deploy/", given)
    made = Deployment.objects.get(wire_id="web-1")
    assert reply.status_code == 302 and made.tenant == acme and made.display_name == "Web"
    assert made.local.given_inputs == {"size": 4} and made.labels.get().value == "prod"
    assert reply["Location"] == f"/deployments/{made.pk}/executions/{made.local.create_execution}/"
    assert "still being prepared" in client.get(reply["Location"]).text


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"value:size": "many"}, "not what the blueprint asks for"),
        ({"wire_id": ""}, "This field is required"),
        ({"wire_id": "web-0"}, "already exists"),
        ({"labels": "csys-obj-parent=nosuch"}, "nosuch"),
    ],
)
def test_a_deployment_that_cannot_be_is_refused_in_words(signed_in, alice, acme, wrong, words):
    row = make.local(acme, "web-0", by=alice).blueprint
    given = {"wire_id": "web-1", "display_name": "", "labels": "", "visibility": "tenant", "value:size": ""}
    reply = signed_in(alice).post(f"/blueprints/{row.pk}/deploy/", given | wrong)
    assert reply.status_code == 400 and words in reply.text
    assert Deployment.objects.count() == 1


def test_a_viewer_looks_and_changes_nothing(signed_in, bob, acme):
    row = make.blueprint(acme, "web")
    client = signed_in(bob)
    assert (
        "Upload blueprint" not in client.get("/blueprints/").text
        and "Deploy here" not in client.get(f"/blueprints/{row.pk}/").text
    )
    for address in ("upload/", f"{row.pk}/deploy/"):
        assert client.get(f"/blueprints/{address}").status_code == 403
