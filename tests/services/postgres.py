"""A real PostgreSQL from Debian's package: own folder and port, loopback only, forgets everything at the end."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from tests.services.shared import Missing, count_up, free_port, keep, shared_server, wait_until

ROOT = Path(__file__).resolve().parents[2]
INSTALL = "PostgreSQL is not installed here; as root: apt-get install postgresql"
UNSAFE_AND_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "log_statement": "none",
}


def programs() -> Path:
    """The folder of initdb and postgres, of the newest version installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    if initdb := shutil.which("initdb"):
        return Path(initdb).parent
    raise Missing(INSTALL)


def start(folder: Path) -> dict[str, Any]:
    bin_folder, port, password = programs(), free_port(), secrets.token_hex(8)
    user = "postgres" if os.geteuid() == 0 else ""  # PostgreSQL refuses to run as root
    if user:
        shutil.chown(folder, user, user)
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    data, password_file, log = folder / "data", folder / "password", folder / "server.log"
    password_file.write_text(password)
    password_file.chmod(0o644 if user else 0o600)
    options = [
        "--no-sync",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "-U",
        "deployon",
        f"--pwfile={password_file}",
    ]
    run_as: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
    made = subprocess.run(
        [bin_folder / "initdb", *options, "-D", data], env=env, cwd=folder, capture_output=True, text=True, **run_as
    )
    if made.returncode:
        raise RuntimeError(f"initdb failed: {made.stderr}")
    settings = UNSAFE_AND_FAST | {
        "port": str(port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(folder),
    }
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    # SIGINT is PostgreSQL's "fast" shutdown: it does not wait for clients that forgot to leave.
    keeper = keep(
        [str(bin_folder / "postgres"), "-D", str(data), *flags],
        env=env,
        log=log,
        stop_signal=signal.SIGINT,
        user=user,
        cwd=folder,
    )
    url = f"postgres://deployon:{password}@127.0.0.1:{port}"
    wait_until(lambda: answers(url), 60, keeper=keeper, what="PostgreSQL", log=log)
    return {"keepers": [keeper.pid], "url": url}


def answers(url: str) -> bool:
    try:
        psycopg.connect(f"{url}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def server_url() -> str:
    """Address of the session's server, without a database; starts it where nobody has yet. Raises Missing."""
    programs()
    url: str = shared_server("postgres", start)["url"]
    return url


def make_database(template: str = "template1") -> str:
    """A new database for one test; returns its URL."""
    url, name = server_url(), f"test{count_up('postgres-database')}"
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    return f"{url}/{name}"


def make_migrated_database() -> str:
    """A new database with all tables of the product; they are made once a session and copied."""

    def migrate(_: Path) -> dict[str, Any]:
        url = make_database()
        env = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "portal.settings"}
        command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
        done = subprocess.run(command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"manage.py migrate failed on PostgreSQL: {done.stderr[-3000:]}")
        return {"name": url.rpartition("/")[2]}

    return make_database(template=shared_server("postgres-template", migrate)["name"])


def drop_database(url: str) -> None:
    """Removes a database of `make_database`, whoever is still connected."""
    server, _, name = url.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
