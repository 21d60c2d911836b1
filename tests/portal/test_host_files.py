"""Hosts of database and broker from files: what a process at work does with a host that came or went."""

import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest
from kombu import Connection

from portal.host_files import InTurn, hosts_in, urls_to
from tests.source import ROOT

NOBODY = "127.9.9.9"
ASK = """
import os
from pathlib import Path
import django
django.setup()
from django.db import OperationalError, connection
file = Path(os.environ["DATABASE_HOSTS_FILE"])
listening = connection.get_connection_params()

def ask():
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
            return "answers"
    except OperationalError:
        return "silent"
    finally:
        connection.close()

said = [ask()]
file.write_text(os.environ["REAL_HOST"] + "\\n")
said.append(ask())
print(*said, connection.vendor, listening["host"], connection.get_connection_params()["host"], flush=True)
os._exit(0)
"""


def test_a_process_at_work_finds_the_database_at_a_host_that_was_added_after_its_start(postgres_url, tmp_path):
    found = urlsplit(postgres_url)
    file = tmp_path / "databases"
    file.write_text(f"{NOBODY}\n")
    env = {
        "ENV_FILE": "none", "DATA_DIR": str(tmp_path), "DATABASE_WAIT": "2", "PATH": "/usr/bin:/bin",
        "DATABASE_URL": postgres_url.replace(f"@{found.hostname}:", "@:") + "?connect_timeout=2",
        "DATABASE_HOSTS_FILE": str(file), "REAL_HOST": found.hostname, "DJANGO_SETTINGS_MODULE": "portal.settings",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", ASK], env=env, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.stdout.split() == ["silent", "answers", "postgresql", NOBODY, found.hostname], done.stderr[-2000:]


def test_brokers_are_tried_as_the_file_names_them_by_then(rabbitmq_url, tmp_path):
    found = urlsplit(rabbitmq_url)
    file = tmp_path / "brokers"
    file.write_text(f"{NOBODY}\n")
    bare = rabbitmq_url.replace(f"@{found.hostname}:", "@:")
    options = {"max_retries": 3, "interval_start": 0, "interval_step": 0, "timeout": 30}
    with Connection(
        ";".join(urls_to(bare, hosts_in(str(file))) * 2), failover_strategy=InTurn(bare, str(file))
    ) as made:
        assert made.hostname == NOBODY

        def add(*_):
            file.write_text(f"{NOBODY}\n{found.hostname}\n")

        made.ensure_connection(errback=add, **options)
        assert made.connected and made.hostname == found.hostname
    file.unlink()
    again = InTurn(bare, str(file))(["amqp://known/v"])
    assert [next(again), next(again)] == ["amqp://known/v"] * 2, "without the file it goes on with those it knew"


@pytest.mark.parametrize(
    ("url", "hosts", "expected"),
    [
        ("amqps://u:p%40@:5671/v", ["10.0.0.1", "fd00::1"], ["amqps://u:p%40@10.0.0.1:5671/v", "amqps://u:p%40@[fd00::1]:5671/v"]),
        ("amqps://u:p@[fd00::9]:5671/v", ["mq1"], ["amqps://u:p@mq1:5671/v"]),
        ("amqp://u:p@old/v", ["new"], ["amqp://u:p@new/v"]),
        ("memory://localhost/", [], ["memory://localhost/"]),
    ],
)  # fmt: skip
def test_a_host_of_the_file_stands_where_the_url_has_one(url, hosts, expected):
    assert urls_to(url, hosts) == expected


@pytest.mark.parametrize(
    ("lines", "first", "following"), [("mq1\n\n mq2 \n", "mq1;mq2", "mq2"), ("mq1\n", "mq1", "mq1")]
)
def test_a_worker_takes_its_brokers_from_the_file(tmp_path, lines, first, following):
    (tmp_path / "brokers").write_text(lines)
    code = (
        "from portal import settings as s; from portal.celery import app; "
        "c = app.connection_for_write(); print(s.BROKER_URL, c.hostname); c.maybe_switch_next(); print(c.hostname)"
    )
    env = {"BROKER_URL": "amqps://u:p@:5671/v", "BROKER_HOSTS_FILE": str(tmp_path / "brokers"), "PATH": ""}
    env |= {"DATA_DIR": str(tmp_path), "ENV_FILE": "none", "DJANGO_SETTINGS_MODULE": "portal.settings"}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    shown = ";".join(f"amqps://u:p@{name}:5671/v" for name in first.split(";"))
    assert done.stdout.split() == [shown, "mq1", following], done.stderr


def test_the_command_of_workers_asks_the_hosts_of_the_file_and_not_this_one(tmp_path):
    """`celery` reads BROKER_URL out of the environment before there are settings; in it stands no host."""
    (tmp_path / "brokers").write_text(f"{NOBODY}\n")
    env = {
        "ENV_FILE": "none", "DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "BROKER_URL": "amqp://u:p@:1/v",
        "BROKER_HOSTS_FILE": str(tmp_path / "brokers"), "DATABASE_URL": f"sqlite:///{tmp_path}/none.sqlite3",
    }  # fmt: skip
    command = [sys.executable, "-m", "celery", "-A", "portal", "worker", "-P", "threads", "-c", "1", "-l", "WARNING"]
    with subprocess.Popen(
        command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as worker:
        end = threading.Timer(60, worker.kill)
        end.start()
        try:
            refused = next((line for line in worker.stdout if "Cannot connect to" in line), "it said nothing of it")
        finally:
            end.cancel()
            worker.kill()
    assert f"@{NOBODY}:1/v" in refused
