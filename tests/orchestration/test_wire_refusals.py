"""What v3.1 refuses or answers whatever is asked: bodies, unknown addresses, hostile archives; without the engine."""

from __future__ import annotations

import pytest

from orchestration.models import Blueprint, Execution
from tests import factories
from tests.orchestration import archives
from tests.orchestration import factories as made

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["hello", "[1]", "{", '"x"'])
def test_a_body_that_is_no_json_object_is_a_400(client, call, acme, alice, body):
    headers = {"Authentication-Token": factories.token(alice), "Tenant": "acme"}
    reply = client.generic("PUT", "/api/v3.1/deployments/x", body, content_type="application/json", headers=headers)
    assert (reply.status_code, reply.json()["error_code"]) == (400, "bad_parameters_error")
    reply = client.generic("PUT", "/api/v3.1/deployments/x", "{}", content_type="text/plain", headers=headers)
    assert (reply.status_code, reply.json()["error_code"]) == (415, "unsupported_content_type_error")


@pytest.mark.parametrize("value", ["yes", 1, []])
def test_a_flag_is_a_boolean_or_its_word(call, acme, alice, value):
    made.local(acme, "one", instances=("uninitialized",))
    reply = call(alice, "POST", "/executions", body={"deployment_id": "one", "workflow_id": "install", "force": value})
    assert (reply.status_code, reply.json()["error_code"]) == (400, "bad_parameters_error")


def test_unknown_addresses_and_methods_are_answered_in_json(call, alice):
    assert call(alice, "GET", "/nosuch").json()["error_code"] == "not_found_error"
    reply = call(alice, "DELETE", "/version")
    assert (reply.status_code, reply.json()["error_code"]) == (405, "method_not_allowed_error")


def test_the_reply_says_who_asked_in_which_tenant(call, alice):
    reply = call(alice, "GET", "/deployments")
    assert (
        reply["X-Cloudify-Audit-Username"],
        reply["X-Cloudify-Audit-Tenant"],
        reply["X-Cloudify-Audit-Auth-Method"],
    ) == ("alice", "acme", "token")


def test_a_long_list_is_compressed_when_the_client_takes_it(call, acme, alice):
    for _ in range(10):
        made.local(acme)
    reply = call(alice, "GET", "/deployments", **{"Accept-Encoding": "gzip"})
    assert reply["Content-Encoding"] == "gzip"


# --- uploads that are refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"junk", "unrecognized format"),
        (b"", "Missing application archive"),
        (archives.packed({"../../etc/passwd": "x"}, top=""), "not allowed"),
        (archives.packed({"a.yaml": "x", "b.yaml": "x"}, top=""), "exactly one top folder"),
        (archives.zipped({"x" * 300: "x"}), "too long"),
    ],
    ids=["junk", "nothing", "traversal", "no top folder", "long name"],
)
def test_a_hostile_archive_is_a_400_in_words(client, acme, alice, content, words, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    headers = {"Authentication-Token": factories.token(alice), "Tenant": "acme"}
    reply = client.generic(
        "PUT",
        "/api/v3.1/blueprints/bad?async_upload=true",
        content,
        content_type="application/octet-stream",
        headers=headers,
    )
    assert reply.status_code == 400 and words in reply.json()["message"], reply.content
    assert set(Execution.objects.values_list("state", flat=True)) <= {Execution.State.FAILED}
    assert list(Blueprint.objects.values_list("state", flat=True)) == (
        [Blueprint.State.FAILED_UPLOADING] if content else []
    )


def test_an_archive_that_is_too_large_is_a_413(client, acme, alice, settings, tmp_path):
    settings.DATA_DIR, settings.ARCHIVE_MAX_BYTES = tmp_path, 100
    headers = {"Authentication-Token": factories.token(alice), "Tenant": "acme"}
    reply = client.generic(
        "PUT",
        "/api/v3.1/blueprints/big?async_upload=true",
        b"x" * 101,
        content_type="application/octet-stream",
        headers=headers,
    )
    assert reply.status_code == 413 and "ARCHIVE_MAX_BYTES" in reply.json()["message"]


def test_a_blueprint_by_url_of_this_machine_is_refused_in_words(call, alice):
    reply = call(alice, "PUT", "/blueprints/b?blueprint_archive_url=http://127.0.0.1/x.zip")
    assert reply.status_code == 400 and "must not call" in reply.json()["message"]
