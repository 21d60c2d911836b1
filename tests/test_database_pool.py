"""What comes to the database while it is away, and how soon it is found again."""

import subprocess
import sys

from tests.source import ROOT

AWAY = 9.0  # seconds; a pool that doubles its waits would look again after 15
ASK = """
import os, socket, threading, time
from urllib.parse import urlsplit
real = urlsplit(os.environ["REAL_URL"])
door = socket.create_server(("127.0.0.1", 0))
port = door.getsockname()[1]
door.close()
os.environ["DATABASE_URL"] = os.environ["REAL_URL"].replace(f"{real.hostname}:{real.port}", f"127.0.0.1:{port}")
import django
django.setup()
from django.db import OperationalError, connection

def pour(source, target):
    while part := source.recv(65536):
        target.sendall(part)

def serve():
    door = socket.create_server(("127.0.0.1", port))
    while True:
        client, _ = door.accept()
        there = socket.create_connection((real.hostname, real.port))
        for pair in ((client, there), (there, client)):
            threading.Thread(target=pour, args=pair, daemon=True).start()

began, failed = time.monotonic(), 0
threading.Timer(AWAY, lambda: threading.Thread(target=serve, daemon=True).start()).start()
while True:
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        break
    except OperationalError:
        failed += 1
        connection.close()
        assert time.monotonic() - began < 60
print(failed, time.monotonic() - began, flush=True)
os._exit(0)
"""


def test_a_database_that_was_away_is_found_within_seconds(postgres_url, tmp_path):
    assert ":" in postgres_url.split("@")[-1], "this test stands between the process and a port"
    env = {
        "ENV_FILE": "none", "DATA_DIR": str(tmp_path), "REAL_URL": postgres_url, "DATABASE_WAIT": "1",
        "DJANGO_SETTINGS_MODULE": "portal.settings", "PATH": "/usr/bin:/bin",
    }  # fmt: skip
    command = [sys.executable, "-c", ASK.replace("AWAY", str(AWAY))]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    failed, seconds = done.stdout.split()
    assert int(failed) >= 2, "the database was never away"
    assert float(seconds) < AWAY + 4


SHOW = """
import django
django.setup()
from django.db import connection
names = "tcp_user_timeout", "tcp_keepalives_idle", "idle_in_transaction_session_timeout", "lock_timeout"
with connection.cursor() as cursor:
    for name in names:
        cursor.execute(f"show {name}")
        print(cursor.fetchone()[0])
"""


def test_the_server_gives_up_a_host_that_vanished_and_its_locks_with_it(postgres_url, tmp_path):
    """In the lab: `python -m tests.e2e.bench rollout`. A host that vanished in the middle of a message kept its locks for good."""
    env = {
        "ENV_FILE": "none", "DATA_DIR": str(tmp_path), "DATABASE_URL": postgres_url,
        "DJANGO_SETTINGS_MODULE": "portal.settings", "PATH": "/usr/bin:/bin",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", SHOW], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["8000", "4", "15s", "5s"], done.stderr[-2000:]
