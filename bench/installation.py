"""One installation for a measure: `manage.py up` in a data folder of its own, on SQLite or on real PostgreSQL and RabbitMQ."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from tests.services import postgres, rabbitmq
from tests.services.keeper import descendants
from tests.services.portal import ROOT, PortalProcess
from tests.services.shared import open_session

SECONDS = 120
BASE = {
    "DJANGO_SETTINGS_MODULE": "portal.settings",
    "PYTHONPATH": str(ROOT),
    "ENDPOINT_NETWORKS": "127.0.0.1/32",
    "ALLOWED_HOSTS": "127.0.0.1,localhost",
    "PYTHONWARNINGS": "ignore",
}
WORKER = ["-A", "portal", "worker", "-P", "threads", "-c", "4", "-l", "WARNING"]


class Installation:
    """A running installation and what a measure asks of it. `extra` are processes besides the web process: workers."""

    def __init__(self, portal: PortalProcess, extra: list[PortalProcess]) -> None:
        self.portal = portal
        self.extra = extra
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def url(self) -> str:
        return self.portal.url

    def run(self, module: str, *arguments: str, send: str = "") -> Any:
        """`python -m module` in the environment of the installation; the JSON of its last line."""
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.portal.env, input=send, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    def call(self, method: str, path: str, token: str, **more: Any) -> Any:
        """One request to /api; the JSON of the answer. `headers` are added to the token's."""
        headers = {"Authorization": f"Token {token}"} | more.pop("headers", {})
        reply = self._session.request(method, f"{self.url}/api/{path}", headers=headers, timeout=SECONDS, **more)
        if not reply.ok:
            raise RuntimeError(f"{method} {path} answered {reply.status_code}: {reply.text[:1000]}")
        return reply.json() if reply.content else None

    def memory(self) -> float:
        """PSS in MB of all processes of the installation, with what they started."""
        return sum(memory_of(each.pid) for each in (self.portal, *self.extra))

    def processor(self) -> float:
        """Seconds of processor that they have used, children that ended included."""
        return sum(processor_of(each.pid) for each in (self.portal, *self.extra))


def memory_of(pid: int) -> float:
    """PSS in MB of a process and all below it."""
    total = 0
    for each in (pid, *descendants(pid)):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
            total += int(text.split("\nPss:")[1].split()[0])
    return total / 1024


def processor_of(pid: int) -> float:
    """Seconds of user and system time of a process, its live children and those that it has waited for."""
    ticks = 0
    for each in (pid, *descendants(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="deployon-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def embedded(threads: int = 4, program: list[str] | None = None, **settings: str) -> Iterator[Installation]:
    """SQLite and everything in one process. `program` stands for `manage.py`."""
    with folder() as path:
        env = BASE | {"EMBEDDED_WORKERS": str(threads)} | settings
        portal = PortalProcess(["up", "--port", "{port}"], data_dir=path, env=env, program=program)
        try:
            portal.start(SECONDS)
            yield Installation(portal, [])
        finally:
            portal.close()


@contextlib.contextmanager
def separate(workers: int = 1, **settings: str) -> Iterator[Installation]:
    """A web process and workers of their own on PostgreSQL and RabbitMQ. Raises tests.services.shared.Missing."""
    open_session()
    shape = {
        "DATABASE_URL": postgres.make_database(),
        "BROKER_URL": rabbitmq.make_virtual_host(),
        "VAULT_KEYS": base64.b64encode(os.urandom(32)).decode(),
        "SECRET_KEY": base64.b64encode(os.urandom(48)).decode(),
    }
    with folder() as path:
        env = BASE | shape | settings
        portal = PortalProcess(["up", "--port", "{port}", "--no-workers"], data_dir=path / "web", env=env)
        extra = [
            PortalProcess(
                [*WORKER, "-n", f"worker{number}@%h"],
                data_dir=path / f"worker{number}",
                env=env,
                ready=None,
                program=[sys.executable, "-m", "celery"],
            )
            for number in range(workers)
        ]
        try:
            portal.start(SECONDS)
            for each in extra:
                each.start(SECONDS)
            time.sleep(3 if extra else 0)  # until they have joined the broker
            yield Installation(portal, extra)
        finally:
            for each in (portal, *extra):
                each.close()
            postgres.drop_database(shape["DATABASE_URL"])
