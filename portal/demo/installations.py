"""Starts installations of this product as processes with data folders of their own, waits until they are ready, and ends them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import requests

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "RUNNER_PYTHON", "RUNNER_SANDBOX")
READY_SECONDS = 300.0
END_SECONDS = 8.0
KILL_SECONDS = 3.0


class DemoError(Exception):
    """The demo cannot go on; the text says why and what to do."""


@dataclass
class Installation:
    """One process of the product with its own data folder, port and first administrator."""

    name: str
    mode: str
    port: int
    folder: Path
    password: str = field(repr=False)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "process.log"

    @property
    def environment(self) -> dict[str, str]:
        """A clean one: neither this shell's settings nor a developer's .env decide where data goes."""
        inherited = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return inherited | {
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "ENV_FILE": os.devnull,
            "DEPLOYON_MODE": self.mode,
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": f"sqlite:///{self.folder / 'deployon.sqlite3'}",
            "BROKER_URL": "memory://",
            "CHANNEL_LAYER": "memory://",
            "PUBLIC_URL": self.url,
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "NODE_NAME": self.name,
            "SESSION_COOKIE_NAME": f"deployon_{self.name.replace('-', '_')}",
            "ENDPOINT_NETWORKS": "127.0.0.1/32" if self.mode == "central" else "",
            "PYTHONUNBUFFERED": "1",
        }

    def prepare(self) -> subprocess.Popen[bytes]:
        """Begin to make its database and its first administrator."""
        self.folder.mkdir(parents=True, mode=0o700)
        preparing = self._run("demo", "--prepare", stdin=subprocess.PIPE)
        assert preparing.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            preparing.stdin.write(self.password.encode() + b"\n")
            preparing.stdin.close()
        return preparing

    def start(self) -> None:
        """Start it by the command that production uses. It stays in this process group: Ctrl-C reaches it, too."""
        self.process = self._run("up", "--host", "127.0.0.1", "--port", str(self.port))

    def _run(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        manage = Path(__file__).resolve().parents[2] / "manage.py"
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, str(manage), *arguments],
                env=self.environment,
                cwd=manage.parent,
                stdin=stdin,
                stdout=log,
                stderr=log,
            )

    def is_ready(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        return False

    def last_words(self) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text[-3000:].strip() or "(its log is empty)"


def check_ports(ports: Sequence[int]) -> None:
    """DemoError where one is taken."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise DemoError(
                    f"Port {port} on 127.0.0.1 cannot be used ({error.strerror}). Stop what listens there, or choose four other ports: "
                    f"DEMO_PORT={port + 100} make demo."
                ) from None


def start_all(installations: Sequence[Installation], folder: Path) -> None:
    """Prepare and start all, side by side; returns when all are ready. DemoError with the log of the one that failed."""
    begun = [(each, each.prepare()) for each in installations]
    _remember(folder, [process.pid for _, process in begun])
    try:
        for each, process in begun:
            if process.wait(READY_SECONDS):
                raise DemoError(
                    f"The database of {each.name} could not be made. The end of {each.log}:\n{each.last_words()}"
                )
    finally:
        for _, process in begun:
            if process.poll() is None:
                process.kill()
    for each in installations:
        each.start()
    _remember(folder, [each.process.pid for each in installations if each.process])
    wait_until_ready(installations)


def wait_until_ready(installations: Sequence[Installation]) -> None:
    until = time.monotonic() + READY_SECONDS
    waiting = list(installations)
    while waiting:
        waiting = [each for each in waiting if not each.is_ready()]
        for each in waiting:
            if each.process is None or each.process.poll() is not None or time.monotonic() > until:
                ended = "ended" if each.process is None or each.process.poll() is not None else "is not ready"
                raise DemoError(f"{each.name} {ended}. The end of {each.log}:\n{each.last_words()}")
        time.sleep(0.1)


def stop_all(installations: Sequence[Installation]) -> None:
    """End all processes, by force those that do not end in time."""
    running = [each.process for each in installations if each.process is not None]
    _end([process.pid for process in running if process.poll() is None])
    for process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(KILL_SECONDS)


def end_leftovers(folder: Path) -> int:
    """End the processes that a demo left behind when it was killed; how many there were."""
    file = folder / "processes.json"
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):
        return 0
    alive = [entry["pid"] for entry in known if _birth(entry["pid"]) == entry["birth"]]
    _end(alive)
    return len(alive)


def remove_pages(folder: Path) -> None:
    """Take away what the service of an earlier demo wrote: its sub-managers are gone, nobody else would."""
    try:
        pages = json.loads((folder / "pages.json").read_text())
    except (OSError, ValueError):
        return
    for text in pages:
        page = Path(str(text).removeprefix("file://"))
        if (
            page.parent.parent == Path("/tmp")  # noqa: S108  (where the example writes; nothing is made there)
            and page.parent.name.startswith("hello-edge-")
            and not page.parent.is_symlink()
        ):
            shutil.rmtree(page.parent, ignore_errors=True)


def _remember(folder: Path, pids: Sequence[int]) -> None:
    (folder / "processes.json").write_text(json.dumps([{"pid": pid, "birth": _birth(pid)} for pid in pids]))


def _birth(pid: int) -> str:
    """When a process was started, in ticks since boot: tells it from another that got its number later. "" for one that is gone."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    return ""


def _end(pids: Sequence[int]) -> None:
    alive = [pid for pid in pids if _birth(pid)]
    for number, seconds in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        until = time.monotonic() + seconds
        while alive and time.monotonic() < until:
            alive = [pid for pid in alive if _birth(pid)]
            time.sleep(0.05)
