"""Portal processes as a person would start them: `manage.py ...` with its own data folder, port and process group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.services import sqlite
from tests.services.shared import accepts, free_port, is_alive, keep, stop_keeper

ROOT = Path(__file__).resolve().parents[2]
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


class PortalProcess:
    """One process of the product. `command` are arguments of manage.py, "{port}" in them becomes the port.

    `ready` is the path that answers 200 once it may be used; None for a process that serves nothing, such as a worker.
    Starting it again after `kill()` keeps port and data folder: that is how a crash is played.
    A fresh data folder gets the session's migrated database, as migrating takes most of the processor that a first start
    takes; `is_new=True` leaves that to the process, where the first start is what is looked at.
    """

    def __init__(
        self,
        command: list[str],
        *,
        data_dir: Path,
        env: dict[str, str] | None = None,
        ready: str | None = "/readyz",
        program: list[str] | None = None,
        is_new: bool = False,
    ) -> None:
        self.data_dir, self.ready, self.port = data_dir, ready, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # Another program may be of another version, whose database is its own affair.
        self._is_copied = not is_new and program is None and command[0] == "up" and "DATABASE_URL" not in (env or {})
        program = program or [sys.executable, str(ROOT / "manage.py")]
        self.command = [*program, *(part.replace("{port}", str(self.port)) for part in command)]
        self.env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        # Nothing of the settings of the tests leaks in, nor does a .env of the developer decide where data goes.
        self.env |= {"DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default"} | (env or {})
        self.log_file = data_dir / "process.log"
        self._keepers: list[subprocess.Popen[bytes]] = []
        self._pid = 0

    def start(self, seconds: float = 60) -> PortalProcess:
        """Starts the process and waits until it is ready; raises RuntimeError with the end of its log where it is not."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self._is_copied:
            sqlite.copy_into(self.data_dir)
        self._status_file.unlink(missing_ok=True)
        keeper = keep(
            self.command,
            env=self.env,
            log=self.log_file,
            stop_signal=signal.SIGINT,
            owner=os.getpid(),
            status=self._status_file,
            cwd=ROOT,
        )
        self._keepers.append(keeper)
        until = time.monotonic() + seconds
        self._pid = 0
        while not self._pid and time.monotonic() < until and self.returncode is None:
            self._pid = next(iter(children(keeper.pid)), 0)
            time.sleep(0.005)
        while not self.is_ready():
            if self.returncode is not None or time.monotonic() > until:
                ended = (
                    f"ended with {self.returncode}"
                    if self.returncode is not None
                    else f"was not ready within {seconds:.0f} s"
                )
                raise RuntimeError(f"{' '.join(self.command)} {ended}. The end of its log:\n{self.log()[-4000:]}")
            time.sleep(0.05)
        return self

    @property
    def _status_file(self) -> Path:
        return self.data_dir / f"process-{len(self._keepers)}.status"

    @property
    def pid(self) -> int:
        """The process of the product itself, leader of its own process group."""
        return self._pid

    @property
    def returncode(self) -> int | None:
        """How the process ended by itself; None while it runs. Negative: the signal that ended it."""
        status = self.data_dir / f"process-{len(self._keepers) - 1}.status"
        return int(text) if status.exists() and (text := status.read_text()) else None

    def is_ready(self) -> bool:
        if self.ready is None:
            return self._pid != 0
        if not accepts(self.port):
            return False
        with contextlib.suppress(OSError, urllib.error.URLError):
            with urllib.request.urlopen(f"{self.url}{self.ready}", timeout=5) as reply:
                return bool(reply.status == 200)
        return False

    def log(self) -> str:
        """What the process has written so far, of all its starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def interrupt(self, seconds: float = 15) -> int:
        """Ctrl-C: SIGINT to the whole process group; returns how the process ended, raises where it did not in time."""
        os.killpg(self._pid, signal.SIGINT)
        return self.wait(seconds)

    def kill(self) -> None:
        """kill -9 of the process alone: what it started is left behind, as a crash would."""
        os.kill(self._pid, signal.SIGKILL)
        self.wait(10)

    def wait(self, seconds: float) -> int:
        """Waits for the end; returns the exit status."""
        until = time.monotonic() + seconds
        while (status := self.returncode) is None:
            if time.monotonic() > until:
                raise RuntimeError(
                    f"{' '.join(self.command)} still runs after {seconds:.0f} s. The end of its log:\n{self.log()[-4000:]}"
                )
            time.sleep(0.02)
        return status

    def close(self) -> None:
        """Ends the process and all that any of its starts left behind."""
        for keeper in self._keepers:
            stop_keeper(keeper.pid)
            keeper.wait(10)


def children(pid: int) -> list[int]:
    """Direct children of a process that still run."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in text.split() if is_alive(int(child))]
    return []
