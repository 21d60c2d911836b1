"""Processes that die in the middle: what was finished is not run again, what was caught is repeated and says so."""

import datetime
import ipaddress
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.sync.client import connect

ROOT = Path(__file__).resolve().parents[2]
QUICK = {
    "RUN_HEARTBEAT_SECONDS": "0.5",
    "RUN_DEAD_AFTER_SECONDS": "3",
    "DATABASE_IDLE_MILLISECONDS": "3000",
    "EXTRA_OPERATIONS": "tests.runs.crossing",
}
WORKER = ["-m", "celery", "-A", "portal", "worker", "-P", "threads", "-c", "4", "--without-gossip", "--without-mingle"]


class Installation:
    """Asks the database of processes that a test started."""

    def __init__(self, env):
        self.env = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "portal.settings", **QUICK, **env}

    def ask(self, *arguments):
        command = [sys.executable, "-m", "tests.runs.asking", *map(str, arguments)]
        done = subprocess.run(command, env=self.env, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def wait_for_end(self, run_id, seconds):
        until = time.monotonic() + seconds
        while (seen := self.ask("look", run_id))["state"] not in ("succeeded", "failed", "cancelled"):
            assert time.monotonic() < until, f"still {seen}"
            time.sleep(0.2)
        return seen

    def applied(self):
        """How often each thing was begun: {"a0": 1, ...}."""
        folder = Path(self.env["WORLD"])
        return {log.stem: len(log.read_text().split()) for log in folder.glob("*.log")}

    def at_work(self):
        """The worker process that began something last."""
        logs = sorted(Path(self.env["WORLD"]).glob("*.log"), key=lambda log: log.stat().st_mtime)
        return int([text for log in logs if (text := log.read_text())][-1].split()[-1])

    def wait_until_applied(self, count, seconds=30):
        until = time.monotonic() + seconds
        while len(self.applied()) < count:
            assert time.monotonic() < until, f"only {len(self.applied())} were begun"
            time.sleep(0.005)


def assert_clean(seen, applied, count):
    """Everything was done once; only what was caught in the middle was begun twice, and its event says so."""
    assert seen["state"] == "succeeded", seen
    assert seen["children"] == {"succeeded": count}
    assert seen["ends"] == 1
    assert len(applied) == 2 * count
    twice = sorted(name for name, times in applied.items() if times > 1)
    assert max(applied.values()) <= 2
    assert set(twice) <= set(seen["repeated"])
    assert seen["caught"] == len(seen["repeated"])


def test_an_installation_killed_in_the_middle_goes_on_where_it_stood(spawn, tmp_path):
    env = {
        "DATA_DIR": str(tmp_path / "data"),
        "WORLD": str(tmp_path / "world"),
        **QUICK,
        "EMBEDDED_WORKERS": "4",
        "RUN_THREADS": "8",
    }
    portal = spawn(["up", "--port", "{port}"], env=env, data_dir=tmp_path / "data")
    installation = Installation(env)
    run_id = installation.ask("start", 50, 0.15)
    installation.wait_until_applied(30)
    portal.kill()
    begun = set(installation.applied())
    assert len(begun) < 100
    portal.start()
    seen = installation.wait_for_end(run_id, 30)
    assert_clean(seen, installation.applied(), 50)
    assert seen["caught"] > 0


def test_an_installation_that_was_stopped_goes_on_where_it_stood(spawn, tmp_path):
    env = {"DATA_DIR": str(tmp_path / "data"), "WORLD": str(tmp_path / "world"), **QUICK, "RUN_THREADS": "8"}
    portal = spawn(["up", "--port", "{port}"], env=env, data_dir=tmp_path / "data")
    installation = Installation(env)
    run_id = installation.ask("start", 40, 0.5)
    installation.wait_until_applied(10)
    began = time.monotonic()
    assert portal.interrupt(5) == 0
    assert time.monotonic() - began < 5
    assert installation.ask("look", run_id)["state"] == "running"
    portal.start()
    assert_clean(installation.wait_for_end(run_id, 60), installation.applied(), 40)


def test_a_stop_does_not_wait_for_an_operation_that_takes_long(spawn, tmp_path):
    env = {"DATA_DIR": str(tmp_path / "data"), "WORLD": str(tmp_path / "world"), **QUICK}
    portal = spawn(["up", "--port", "{port}"], env=env, data_dir=tmp_path / "data")
    installation = Installation(env)
    installation.ask("start", 1, 60, "slow")
    installation.wait_until_applied(1)
    began = time.monotonic()
    assert portal.interrupt(6) == 0
    assert time.monotonic() - began < 5
    assert "1 steps were at work and go on with the next start" in portal.log()


def test_a_second_process_on_one_data_folder_is_refused_and_so_is_a_taken_port(spawn, tmp_path):
    portal = spawn(["up", "--port", "{port}"], env=QUICK, data_dir=tmp_path / "data")
    with pytest.raises(RuntimeError, match="is in use by another process of this product"):
        spawn(["up", "--port", "0"], env=QUICK, data_dir=tmp_path / "data", ready=None, seconds=5).wait(20)
        raise RuntimeError((tmp_path / "data" / "process.log").read_text())
    other = spawn(["up", "--port", str(portal.port)], env=QUICK, data_dir=tmp_path / "other", ready=None)
    assert other.wait(20) == 1
    assert "Cannot listen on 127.0.0.1 port" in other.log()


def test_the_first_start_prints_a_one_time_password_and_the_second_does_not(spawn, tmp_path):
    portal = spawn(["up", "--port", "{port}"], env=QUICK, data_dir=tmp_path / "data", is_new=True)
    assert portal.log().count("One-time password") == 1
    assert f"DeployOn is at {portal.url}/" in portal.log()
    assert portal.interrupt(10) == 0
    portal.start()
    assert portal.log().count("One-time password") == 1
    os.kill(portal.pid, signal.SIGTERM)
    assert portal.wait(10) == 0


def test_it_serves_tls_and_refuses_files_that_are_none(spawn, tmp_path):
    certificate, key = make_certificate(tmp_path)
    portal = spawn(
        ["up", "--port", "{port}", "--tls-cert", str(certificate), "--tls-key", str(key)],
        env=QUICK,
        data_dir=tmp_path / "data",
        ready=None,
    )
    trusted = ssl.create_default_context(cafile=str(certificate))
    until = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(
                f"https://127.0.0.1:{portal.port}/healthz", context=trusted, timeout=5
            ) as reply:
                assert json.load(reply) == {"status": "ok"}
                break
        except urllib.error.URLError:
            assert time.monotonic() < until
            time.sleep(0.1)
    other = spawn(
        ["up", "--port", "{port}", "--tls-cert", str(key), "--tls-key", str(key)],
        env=QUICK,
        data_dir=tmp_path / "other",
        ready=None,
    )
    assert other.wait(20) == 1
    assert "The TLS files cannot be used" in other.log()


def make_certificate(folder):
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate, key = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return certificate, key


@pytest.fixture
def production(postgres_url, rabbitmq_url, spawn, tmp_path):
    """A web process and two workers, on PostgreSQL and RabbitMQ."""
    shared = {
        "DATABASE_URL": postgres_url,
        "BROKER_URL": rabbitmq_url,
        "WORLD": str(tmp_path / "world"),
        "RUN_THREADS": "8",
    }
    env = {**shared, **QUICK, "DATA_DIR": str(tmp_path / "data")}
    web = spawn(["up", "--no-workers", "--port", "{port}"], env=env, data_dir=tmp_path / "data", name="web")

    def worker(name):
        own = {**env, "DATA_DIR": str(tmp_path / "data")}
        folder = tmp_path / name
        return spawn(
            [*WORKER, "-n", name],
            env={**own, "DJANGO_SETTINGS_MODULE": "portal.settings"},
            data_dir=folder,
            ready=None,
            program=[sys.executable],
        )

    installation = Installation(env)
    installation.web, installation.start_worker = web, worker
    return installation


def test_a_worker_killed_in_a_run_of_fifty_leaves_no_trace_but_its_repeated_steps(production):
    production.start_worker("one"), production.start_worker("two")
    run_id = production.ask("start", 50, 0.3)
    production.wait_until_applied(30)
    os.kill(production.at_work(), signal.SIGKILL)
    seen = production.wait_for_end(run_id, 60)
    assert_clean(seen, production.applied(), 50)
    assert seen["caught"] > 0
    assert seen["workers"] >= 1


def test_a_worker_that_froze_and_wakes_up_late_leaves(production):
    production.start_worker("one"), production.start_worker("two")
    run_id = production.ask("start", 20, 0.3)
    production.wait_until_applied(10)
    frozen = production.at_work()
    os.kill(frozen, signal.SIGSTOP)
    seen = production.wait_for_end(run_id, 60)
    os.kill(frozen, signal.SIGCONT)
    time.sleep(2)
    again = production.ask("look", run_id)
    assert_clean(again, production.applied(), 20)
    assert again == seen
    assert seen["caught"] > 0


def test_a_viewer_at_the_web_process_sees_at_once_what_workers_elsewhere_do(production):
    production.start_worker("one")
    token = production.ask("token")
    run_id = production.ask("start", 20, 1.0)
    url = f"ws://127.0.0.1:{production.web.port}/ws/runs/{run_id}/?after=0"
    delays, seen, state = [], [], ""
    with connect(url, additional_headers={"Authorization": f"Token {token}"}, open_timeout=20) as socket:
        while state != "succeeded" or len(seen) < 20 * 6:
            message = json.loads(socket.recv(timeout=30))
            state = message.get("state", state)
            now = datetime.datetime.now(datetime.UTC)
            for event in message.get("events", []):
                seen.append(event["id"])
                delays.append((now - datetime.datetime.fromisoformat(event["at"])).total_seconds())
    assert len(seen) == len(set(seen)) >= 20 * 6
    assert sorted(delays[-15:])[7] < 1.0  # nudged: without, it would look once a second


def test_a_run_started_while_no_worker_runs_is_carried_out_once_one_does(production):
    run_id = production.ask("start", 3, 0.01)
    assert production.ask("look", run_id)["children"] == {"pending": 3}
    production.start_worker("one")
    assert production.wait_for_end(run_id, 30)["state"] == "succeeded"


def test_a_worker_of_its_own_is_refused_on_a_broker_in_memory(spawn, tmp_path):
    worker = spawn(
        WORKER,
        env={**QUICK, "DJANGO_SETTINGS_MODULE": "portal.settings"},
        data_dir=tmp_path / "data",
        ready=None,
        program=[sys.executable],
    )
    assert worker.wait(30) != 0
    assert "manage.py up` has its workers inside" in worker.log()
