"""Ways in and ways of asking that the other files do not take: https, a running log, saved filters, queued and dry runs."""

from __future__ import annotations

import pytest

from tests.orchestration import archives
from tests.orchestration.cfy.commandline import Cfy
from tests.orchestration.running import CAST, Manager
from tests.orchestration.test_official_client import certificate


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """A portal that answers on https alone, and the authority of its certificate."""
    folder = tmp_path_factory.mktemp("https")
    cert, key = certificate(folder)
    running = Manager(
        folder / "data",
        ["up", "--port", "{port}", "--tls-cert", str(cert), "--tls-key", str(key)],
        {"PUBLIC_URL": "https://127.0.0.1", "SSL_REDIRECT": "false"},
        scheme="https",
    )
    try:
        running.start()
        running.session.verify = str(cert)
        running.run(CAST)
        yield running, str(cert)
    finally:
        running.process.close()


def test_over_https_by_password_and_by_token(secure, tmp_path):
    manager, authority = secure
    by_password = Cfy(tmp_path / "password")
    by_password.use(manager.url, ca=authority)
    assert by_password.rows("profiles list")[0]["rest_protocol"] == "https"
    assert by_password.one("status")["status"] == "OK"
    token = by_password.one("tokens create", "--description", "for https")["value"]
    by_token = Cfy(tmp_path / "token")
    by_token.use(manager.url, token=token, ca=authority)
    assert by_token.rows("tenants list") == by_password.rows("tenants list")


def test_an_authority_that_did_not_sign_it_is_refused(secure, tmp_path):
    manager, _ = secure
    other, _ = certificate(tmp_path)
    with pytest.raises(AssertionError, match=r"(?i)certificate"):
        Cfy(tmp_path / "wrong").use(manager.url, ca=str(other))


def test_events_are_followed_to_the_end_of_their_execution(cfy, manager):
    manager.upload("followed", archives.script())
    cfy("deployments create", "followed", "-b", "followed", "-i", "{delay: 4}", "--labels", "ring:9")
    execution = manager.start_workflow("followed", "install")
    said = cfy("events list", execution, "--tail").words
    assert "creating hello" in said and "workflow execution succeeded" in said.lower()


def test_deployments_are_listed_by_a_saved_filter_and_run_dry_or_queued(cfy, manager):
    manager.upload("ways", archives.script())
    cfy("deployments create", "ways", "-b", "ways", "-i", "{delay: 0}", "--labels", "ring:8")
    cfy("deployments filters create", "ring8", "-lr", "ring=8")
    assert [row["id"] for row in cfy.rows("deployments list", "--filter-id", "ring8")] == ["ways"]
    cfy.refused("deployments list", "--filter-id", "nosuch", words="was not found")
    cfy("executions start", "install", "-d", "ways", "--dry-run")
    assert cfy.one("node-instances list", "-d", "ways")["state"] == "uninitialized"
    cfy("deployments update", "ways", "-i", "{delay: 20}", "--skip-install", "--skip-uninstall", "--skip-reinstall")
    first = manager.start_workflow("ways", "install")
    cfy("executions start", "check_status", "-d", "ways", "--queue", "--timeout", "1", "--allow-custom-parameters")
    (queued,) = [row for row in cfy.rows("executions list", "-d", "ways") if row["workflow_id"] == "check_status"]
    assert queued["status"] == "queued"
    cfy("executions cancel", first, "--kill")
    manager.await_execution(first)
    assert manager.await_execution(queued["id"])["status"] == "terminated"
    cfy("deployments filters delete", "ring8")
