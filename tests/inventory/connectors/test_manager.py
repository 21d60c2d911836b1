"""The v3.1 client: typed answers, and the right kind and words for every bad one."""

import gzip
import io
import json

import pytest

from inventory.connectors.address import Credential
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.refusals import mask, refusal
from inventory.connectors.transport import Reply
from inventory.doubles import Account, Fault, FaultKind, Script
from tests.inventory.connectors.conftest import ALICE, ARCHIVE, BOB

LABELS = {"portal-env": "London", "Team": "blue"}


def caught(call, *args, **kwargs) -> ManagerError:
    with pytest.raises(ManagerError) as found:
        call(*args, **kwargs)
    return found.value


@pytest.mark.parametrize("kind", ["plain", "secure"])
def test_a_service_goes_all_the_way(double, secure, connect, kind):
    client = connect(double if kind == "plain" else secure)
    assert client.status().is_ok
    assert client.version().numbers == (7, 1)
    assert client.upload_blueprint("app", ARCHIVE, "blueprint.yaml").state == "uploading"
    assert client.blueprint("app").is_uploaded
    made = client.create_deployment("d1", "app", {"size": 3}, LABELS, display_name="D one", site_name="London")
    assert (made.latest_status, made.inputs) == ("in_progress", None)
    found = client.deployment("d1")
    assert (found.display_name, found.site_name, found.inputs) == ("D one", "London", {"size": 3})
    assert (found.label("portal-env"), found.label("team")) == ("London", "blue")
    execution = client.start_execution("d1", "install")
    assert execution.is_active
    ended = client.execution(execution.id)
    assert (ended.status, ended.finished_operations, ended.total_operations) == ("terminated", 14, 14)
    assert client.capabilities("d1") == client.outputs("d1") == {"answer": "hello"}
    assert [node.id for node in client.nodes("d1")] == ["s"]
    assert [instance.state for instance in client.node_instances("d1")] == ["started"]
    assert [each.workflow_id for each in client.executions("d1")] == ["install"]
    assert len(client.executions("d1", ["terminated"], system=True)) == 2
    assert [event.event_type for event in client.events(execution.id).events] == [
        "workflow_started",
        "workflow_succeeded",
    ]
    assert [each.id for each in client.search_deployments([])] == ["d1"]
    assert client.count_deployments() == client.count_deployments([("blueprint_id", "app")]) == 1
    assert client.start_execution("d1", "uninstall").workflow_id == "uninstall"
    client.delete_deployment("d1")
    assert caught(client.deployment, "d1").kind is ErrorKind.GONE
    client.delete_blueprint("app")
    assert caught(client.blueprint, "app").kind is ErrorKind.GONE


def test_an_archive_may_be_a_file_and_large(double, connect):
    client = connect(double)
    client.upload_blueprint("big", io.BytesIO(gzip.compress(b"x") + bytes(3_000_000)), "blueprint.yaml")
    assert double.answers("acme").world.blueprints["big"].size > 3_000_000


def test_whoami_reads_the_roles_of_tenants_and_groups(connect, double):
    assert connect(double).whoami().roles_in("acme") == {"user", "default"}
    admin = connect(double.address("default_tenant"), Credential.by_password("admin", "admin-password"))
    assert "sys_admin" in admin.whoami().roles_in("anything")
    assert {"acme", "default_tenant"} <= set(admin.tenants())


def test_a_minted_token_works_and_its_value_is_not_printed(connect, double):
    token = connect(double).mint_token("for the portal", "+30 days")
    assert token.value.startswith("ctok-")
    assert token.value not in repr(token)


@pytest.mark.parametrize(
    ("fault", "kind", "status", "words"),
    [
        (FaultKind.HTML, ErrorKind.BROKEN, 200, "a web page instead of JSON"),
        (FaultKind.WRONG_SHAPE, ErrorKind.BROKEN, 200, "not as a manager does"),
        (FaultKind.BAD_GATEWAY, ErrorKind.UNREACHABLE, 502, "REST service behind it does not"),
        (FaultKind.MAINTENANCE, ErrorKind.BUSY, 503, "maintenance mode"),
        (FaultKind.ERROR, ErrorKind.BROKEN, 500, "Look at the manager's log"),
        (FaultKind.UNAUTHORIZED, ErrorKind.CREDENTIAL, 401, "expired"),
        (FaultKind.FORBIDDEN, ErrorKind.CREDENTIAL, 403, "has no tenant"),
        (FaultKind.HALF_REPLY, ErrorKind.BROKEN, None, "in the middle of a reply"),
    ],
)
def test_every_bad_answer_has_its_kind_and_its_words(double, connect, fault, kind, status, words):
    double.faults = [Fault(fault)]
    client = connect(double)
    for call in (client.version, client.whoami, lambda: client.deployment("d"), lambda: client.events("e")):
        error = caught(call)
        assert (error.kind, error.status) == (kind, status)
        assert words in error.message
        assert not error.is_unknown
        assert "server_traceback" not in error.message


@pytest.mark.parametrize("fault", [FaultKind.HTML, FaultKind.WRONG_SHAPE, FaultKind.ERROR, FaultKind.BAD_GATEWAY])
def test_a_write_that_got_a_bad_answer_is_unknown(double, connect, fault):
    double.faults = [Fault(fault)]
    assert caught(connect(double).start_execution, "d", "install").is_unknown


def test_a_write_refused_for_maintenance_was_certainly_not_done(double, connect):
    double.faults = [Fault(FaultKind.MAINTENANCE)]
    assert not caught(connect(double).start_execution, "d", "install").is_unknown


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        (Credential.by_password("alice", "wrong-password"), "does not accept this user and password"),
        (Credential.by_password("nobody", "some-password"), "does not accept this user and password"),
        (Credential.by_token("ctok-unknown-token"), "does not know this token"),
        (Credential.by_token("zzz"), "whole token"),
        (None, "wants a credential"),
    ],
)
def test_a_wrong_credential_is_told_and_never_tried_twice(double, connect, credential, words):
    error = caught(connect(double, credential).version)
    assert (error.kind, error.status) == (ErrorKind.CREDENTIAL, 401)
    assert words in error.message
    assert len(double.requests) == 1


def test_an_expired_token_says_that_it_has_expired(double, connect):
    double.add_account(Account("old", tenants={"acme": "user"}, token="ctok-old-token", is_token_expired=True))
    assert "expired" in caught(connect(double, Credential.by_token("ctok-old-token")).version).message


def test_a_wrong_tenant_and_a_low_role_are_told_apart(double, connect):
    assert "has no tenant nosuch" in caught(connect(double.address("nosuch")).deployment, "d").message
    error = caught(connect(double, BOB).create_deployment, "d", "app", {}, {})
    assert error.kind is ErrorKind.CREDENTIAL
    assert "deployment_create" in error.message


def test_conflicts_input_and_busy_are_told_apart(double, connect):
    double.script.inputs = {"name": ..., "size": 3}
    double.script.install = 60
    client = connect(double)
    assert caught(client.upload_blueprint, "junk", b"hello", "blueprint.yaml").kind is ErrorKind.INPUT
    client.upload_blueprint("app", ARCHIVE, "blueprint.yaml")
    assert caught(client.upload_blueprint, "app", ARCHIVE, "blueprint.yaml").kind is ErrorKind.CONFLICT
    missing = caught(client.create_deployment, "d", "app", {}, {})
    assert (missing.kind, missing.error_code) == (ErrorKind.INPUT, "missing_required_deployment_input_error")
    assert "missing inputs: name" in missing.message
    assert caught(client.create_deployment, "d", "nosuch", {}, {}).kind is ErrorKind.GONE
    client.create_deployment("d", "app", {"name": "x"}, {})
    assert caught(client.create_deployment, "d", "app", {"name": "x"}, {}).kind is ErrorKind.CONFLICT
    assert caught(client.start_execution, "d", "uninstall").kind is ErrorKind.CONFLICT
    execution = client.start_execution("d", "install")
    assert caught(client.start_execution, "d", "install").kind is ErrorKind.BUSY
    assert caught(client.delete_deployment, "d").kind is ErrorKind.CONFLICT
    assert client.cancel_execution(execution.id, "kill").status == "kill_cancelling"
    assert caught(client.cancel_execution, execution.id).kind is ErrorKind.CONFLICT
    assert caught(client.delete_blueprint, "app").kind is ErrorKind.CONFLICT


def test_an_unknown_path_means_that_this_is_no_manager(double, connect):
    client = connect(double)
    error = caught(client._get, "/nosuch", dict)
    assert (error.kind, error.status) == (ErrorKind.BROKEN, 404)
    assert "Check host and port" in error.message


def test_an_id_is_always_one_part_of_a_path(double, connect):
    client = connect(double)
    assert caught(client.deployment, "../tokens?x=1#/%2e").kind is ErrorKind.GONE
    assert double.requests[-1][1].startswith("/deployments/..%2Ftokens%3Fx%3D1%23%2F%252e?")
    assert caught(client.deployment, "..").kind is ErrorKind.INPUT


def test_only_the_three_ways_to_cancel_exist(double, connect):
    with pytest.raises(ValueError):
        connect(double).cancel_execution("e", "requeue")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"OK"',
        b'{"items": {}}',
        b'{"items": [1]}',
        b'{"id": 1}',
        b'{"id": "e"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_answers_of_any_other_shape_are_broken(connect, bare_server, body):
    from inventory.connectors.address import Address

    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    port, _ = bare_server(head + body)
    client = connect(Address("127.0.0.1", port, "http"))
    for call in (lambda: client.execution("e"), lambda: client.executions("d"), lambda: client.blueprint("b")):
        assert caught(call).kind is ErrorKind.BROKEN


def echo(status, said, credential):
    from inventory.connectors.address import Address

    body = json.dumps({"error_code": "bad_parameters_error", "message": said}).encode()
    reply = Reply(status, {"Content-Type": "application/json"}, body)
    return refusal(reply, Address("manager"), credential, is_write=False).message


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500, 503])
def test_a_manager_that_sends_our_secret_back_does_not_get_it_into_a_message(status):
    password = Credential.by_password("alice", "correct horse")
    for secret in (*password.secrets, "correct horse"):
        assert secret not in echo(status, f"you said {secret} to me", password)
    assert ALICE.token not in echo(status, f"you said {ALICE.token} to me", ALICE)


def test_a_short_password_withholds_the_whole_text():
    assert mask("a cat sat", Credential.by_password("alice", "cat")) == "(withheld, for it held the password)"


def test_only_the_first_line_of_a_long_text_is_quoted():
    message = echo(400, "what is wrong\nTraceback (most recent call last):\n  File x", None)
    assert "what is wrong" in message
    assert "Traceback" not in message
    assert len(echo(400, "x" * 5000, None)) < 700


@pytest.mark.parametrize(
    ("status", "kind", "body", "words"),
    [
        (400, "text/html", b"The plain HTTP request was sent to HTTPS port", "Choose protocol https"),
        (400, "application/json", b'{"message": "x", "error_code": "SSL_REQUIRED"}', ""),
        (413, "text/html", b"<html>", "of this size"),
        (429, "text/html", b"slow down", "cannot take work"),
        (504, "text/html", b"<html>", "REST service"),
        (418, "text/html", b"<html>", "web page"),
    ],
)
def test_proxies_in_front_are_understood(status, kind, body, words):
    from inventory.connectors.address import Address

    error = refusal(Reply(status, {"Content-Type": kind}, body), Address("manager"), None, is_write=False)
    assert words in error.message


def test_a_script_is_of_one_tenant(double, connect):
    double.answers("acme").world.script = Script(capabilities={"mine": 1})
    client = connect(double)
    client.upload_blueprint("app", ARCHIVE, "blueprint.yaml")
    client.create_deployment("d", "app", {}, {})
    assert client.capabilities("d") == {"mine": 1}
