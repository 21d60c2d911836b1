"""The official Python client (cloudify_rest_client of cloudify-common 7.0.5) against a running portal, over http and https."""

from __future__ import annotations

import datetime
import ipaddress
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from orchestration import runner_setup
from tests.orchestration import archives
from tests.orchestration.running import CAST, PASSWORD, Manager

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="The official client does not run on Python 3.13: it imports cgi."
)
SCRIPT = Path(__file__).parent / "client_script.py"


def run_client(manager, tmp_path: Path, username: str, secret: str, ca: str = "") -> dict:
    """What the client saw."""
    runner_setup.make()
    archive = tmp_path / "script.tar.gz"
    archive.write_bytes(archives.script(archives.SCRIPT + "outputs:\n  said: {value: {get_input: word}}\n"))
    command = [
        str(runner_setup.DEFAULT_VENV / "bin" / "python"),
        "-W",
        "ignore",
        str(SCRIPT),
        manager.url,
        username,
        secret,
        ca,
        str(archive),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-4000:] + manager.process.log()[-3000:]
    return json.loads(done.stdout)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


def check(seen: dict) -> None:
    """What the client must have seen, whatever the way."""
    assert (
        seen["version"] == "7.1.0"
        and seen["status"] == seen["cluster"] == "OK"
        and seen["maintenance"] == "deactivated"
    )
    assert "default_tenant" in seen["tenants"] and seen["context"] == "provider" and seen["lists"] == [0, 1, 1]
    assert seen["token"] == [True, True] and "from the client" in seen["tokens"]
    assert seen["config"]["task_retries"] == 60
    assert seen["secret"] == "s3cret" and "db-password" in seen["secrets"] and seen["site"] == "51.5, -0.12"
    assert seen["blueprint"] == ["uploaded", ["delay", "fail", "word"], "blue"]
    assert seen["download"] is True and {"again", "script"} <= set(seen["blueprints"])
    assert seen["duplicate"] == [409, "conflict_error"]
    assert seen["missing input type"] == [400, "unknown_deployment_input_error"]
    assert seen["install"] == "terminated"
    assert (
        seen["events"][0] == "workflow_started"
        and seen["events"][-1] == "workflow_succeeded"
        and len(seen["events"]) == 15
    )
    assert seen["logs"] == 27
    assert seen["capabilities"] == {"answer": "salut-1795319299", "secretlen": 42} and seen["outputs"] == {
        "said": "salut"
    }
    assert "one" in seen["found"] and "one" in seen["searched"]
    assert seen["labels"] == ["env=test", "zone=a"] and {"env", "zone"} <= set(seen["label keys"])
    assert seen["nodes"] == [["s", "demo.Script"]]
    assert seen["instances"] == [["started", {"answer": "salut-1795319299"}]]
    assert seen["workflows"] is True and {"blueprint_id": "script", "deployments": 2} in seen["summary"]
    assert seen["busy"] == [400, "existing_running_execution_error"]
    assert seen["cancel"] == "cancelled" and seen["uninstall one"] == seen["uninstall two"] == "terminated"


def test_user_and_password_over_http(manager, tmp_path):
    check(run_client(manager, tmp_path, "admin", PASSWORD))


def test_a_token_of_a_plain_user_over_http(manager, tmp_path):
    token = manager.call("POST", "/tokens", user="bob", json={}).json()["value"]
    seen = run_client(manager, tmp_path, "", token)
    check(seen)
    assert seen["user"] == {"default_tenant": ["user"], "t2": ["manager"]}


def test_https_with_a_pinned_authority(tmp_path):
    cert, key = certificate(tmp_path)
    running = Manager(
        tmp_path / "data",
        ["up", "--port", "{port}", "--tls-cert", str(cert), "--tls-key", str(key)],
        {"PUBLIC_URL": "https://127.0.0.1", "SSL_REDIRECT": "false"},
        scheme="https",
    )
    try:
        running.start()
        running.session.verify = str(cert)
        running.run(CAST)
        check(run_client(running, tmp_path, "admin", PASSWORD, str(cert)))
    finally:
        running.process.close()
