"""The servers that other tests lean on are what they claim to be."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection
from kombu import Connection

from tests.services import postgres, sqlite
from tests.services.shared import is_alive


@pytest.mark.django_db
@pytest.mark.both_databases
def test_the_database_is_the_one_that_this_run_is_for():
    expected = "postgresql" if os.environ.get("TEST_DATABASE_URL") else "sqlite"
    assert connection.vendor == expected


def test_postgres_gives_every_test_an_empty_database_of_its_own(postgres_url):
    with psycopg.connect(postgres_url) as database:
        assert database.info.server_version >= 150000
        assert database.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        listeners = database.execute("SHOW listen_addresses").fetchone()
    assert listeners == ("127.0.0.1",)


def test_migrated_databases_have_the_tables_and_not_the_rows_of_the_test_before(migrated_postgres_url):
    second = postgres.make_migrated_database()
    with psycopg.connect(migrated_postgres_url) as database:
        database.execute("INSERT INTO django_content_type (app_label, model) VALUES ('tests', 'guest')")
    with psycopg.connect(second) as database:
        guests = database.execute("SELECT count(*) FROM django_content_type WHERE app_label = 'tests'").fetchone()
    postgres.drop_database(second)
    assert guests == (0,)


def test_a_copied_sqlite_database_has_all_migrations_and_nobody_in_it_and_replaces_none(tmp_path):
    sqlite.copy_into(tmp_path)
    env = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "ENV_FILE": "none"}
    command = [sys.executable, str(sqlite.ROOT / "manage.py"), "migrate", "--check"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    with contextlib.closing(sqlite3.connect(tmp_path / sqlite.NAME)) as database:
        assert database.execute("SELECT count(*) FROM accounts_user").fetchone() == (0,)
        database.execute("CREATE TABLE ours (a)")
    sqlite.copy_into(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / sqlite.NAME)) as database:
        assert database.execute("SELECT count(*) FROM ours").fetchone() == (0,)


def test_rabbitmq_carries_a_message_on_a_quorum_queue(rabbitmq_url):
    with Connection(rabbitmq_url) as broker:
        queue = broker.SimpleQueue("greetings", queue_args={"x-queue-type": "quorum"})
        queue.put({"hello": "world"})
        message = queue.get(timeout=10)
        message.ack()
        queue.close()
    assert message.payload == {"hello": "world"}
    assert urlsplit(rabbitmq_url).hostname == "127.0.0.1"


SERVER = """
import http.server, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child", child.pid, flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture
def stand_in(spawn):
    """A process that serves and starts a child in a session of its own, as a portal with an operation at work does."""
    return lambda **options: spawn(["{port}"], program=[sys.executable, "-c", SERVER], ready="/LICENSE", **options)


def child_of(process):
    return int(process.log().split("child ")[-1].split()[0])


def test_a_spawned_process_ends_with_its_children_even_those_that_left_its_group(stand_in):
    process = stand_in()
    child = child_of(process)
    assert is_alive(process.pid) and is_alive(child)
    assert os.getpgid(process.pid) == process.pid
    process.close()
    assert not is_alive(process.pid) and not is_alive(child)


def test_a_killed_process_leaves_its_children_behind_until_the_test_ends_and_starts_again_on_its_port(stand_in):
    process = stand_in()
    first, orphan = process.pid, child_of(process)
    process.kill()
    assert process.returncode == -signal.SIGKILL and is_alive(orphan)
    process.start()
    assert process.pid != first and process.is_ready() and is_alive(orphan)
    process.close()
    assert not is_alive(orphan)


def test_a_process_that_ends_at_once_is_reported_with_its_log(spawn):
    with pytest.raises(RuntimeError, match=r"ended with 3(?s:.*)the reason"):
        spawn([], program=[sys.executable, "-c", "print('the reason'); raise SystemExit(3)"])


def test_a_server_ends_when_the_tests_are_killed(tmp_path):
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    script = (
        "import os, pathlib, sys; from tests.services.shared import keep;"
        f"print(keep(['sleep', '600'], env=dict(os.environ), log=pathlib.Path({str(tmp_path / 'log')!r}), owner={owner.pid}).pid)"
    )
    keeper = int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    time.sleep(0.3)
    assert is_alive(keeper)
    owner.kill()
    owner.wait()
    until = time.monotonic() + 10
    while is_alive(keeper) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_alive(keeper)


@pytest.mark.e2e
def test_the_browser_runs_scripts(page):
    page.set_content("<p id=a></p><script>document.getElementById('a').textContent = 1 + 1</script>")
    assert page.text_content("#a") == "2"
