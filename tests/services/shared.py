"""What one test session shares among its processes: a folder, servers that the first who needs one starts, and their end."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "DEPLOYON_TEST_SESSION"
OWNER_VARIABLE = "DEPLOYON_TEST_OWNER"
KEEPER = Path(__file__).with_name("keeper.py")
KEEPERS: list[subprocess.Popen[bytes]] = []  # a keeper outlives the function that started it, and so must its handle


class Missing(Exception):
    """A server is not installed here; the message is the line that installs it."""


def open_session() -> None:
    """Makes the folder of this session and names it to all child processes, unless a process above has done so."""
    if os.environ.get(FOLDER_VARIABLE):
        return
    folder = Path(tempfile.mkdtemp(prefix="deployon-tests-"))
    folder.chmod(0o711)  # servers run as other users pass through, and see nothing
    os.environ[FOLDER_VARIABLE], os.environ[OWNER_VARIABLE] = str(folder), str(os.getpid())
    atexit.register(close_session)


def close_session() -> None:
    """Stops every server of the session and removes its folder; only in the process that opened it."""
    if os.environ.get(OWNER_VARIABLE) != str(os.getpid()):
        return
    folder = Path(os.environ.pop(FOLDER_VARIABLE))
    for record in folder.glob("*.json"):
        for pid in json.loads(record.read_text()).get("keepers", []):
            stop_keeper(pid)
    shutil.rmtree(folder, ignore_errors=True)
    del os.environ[OWNER_VARIABLE]


def session_folder() -> Path:
    return Path(os.environ[FOLDER_VARIABLE])


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds the session-wide lock `name`; it ends with the process that holds it."""
    with open(session_folder() / f"{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def shared_server(name: str, start: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """The record of the server `name`: what `start(folder)` returned in whichever process of the session came first.

    A start that failed is remembered, too: the next one who asks is told at once instead of waiting for another time-out.
    """
    with locked(name):
        record = session_folder() / f"{name}.json"
        if record.exists():
            known: dict[str, Any] = json.loads(record.read_text())
            if "error" in known:
                raise RuntimeError(known["error"])
            return known
        folder = session_folder() / name
        folder.mkdir(mode=0o755)
        try:
            known = start(folder)
        except Exception as error:
            record.write_text(json.dumps({"error": str(error)}))
            raise
        record.write_text(json.dumps(known))
        return known


def count_up(name: str) -> int:
    """1, 2, 3, ... whichever process of the session asks."""
    with locked(f"{name}.count"):
        path = session_folder() / f"{name}.count"
        number = int(path.read_text()) + 1 if path.exists() else 1
        path.write_text(str(number))
        return number


def keep(
    command: list[str],
    *,
    env: dict[str, str],
    log: Path,
    stop_signal: int = signal.SIGTERM,
    grace: float = 15,
    user: str = "",
    owner: int | None = None,
    status: Path | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Starts `command` under a keeper in a session of its own; without `owner` it lives as long as the test session."""
    options = {
        "owner": owner or int(os.environ[OWNER_VARIABLE]),
        "signal": int(stop_signal),
        "grace": grace,
        "user": user,
        "status": str(status or ""),
    }
    with log.open("ab") as output:
        keeper = subprocess.Popen(
            [sys.executable, str(KEEPER), json.dumps(options), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    KEEPERS.append(keeper)
    return keeper


def stop_keeper(pid: int, seconds: float = 30) -> None:
    """Asks a keeper to end and waits until it has, so that what it kept is gone, too."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process runs; an ended child that nobody has waited for counts as gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def free_port() -> int:
    """A port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(
    is_true: Callable[[], bool], seconds: float, *, keeper: subprocess.Popen[bytes], what: str, log: Path
) -> None:
    """Waits for `is_true`; where the server ends first or time runs out, raises RuntimeError with the end of its log."""
    until = time.monotonic() + seconds
    while not is_true():
        if keeper.poll() is not None or time.monotonic() > until:
            ended = "ended" if keeper.poll() is not None else f"was not ready within {seconds:.0f} s"
            stop_keeper(keeper.pid)
            tail = log.read_text(errors="replace")[-3000:] if log.exists() else "no log"
            raise RuntimeError(f"{what} {ended}. The end of its log:\n{tail}")
        time.sleep(0.05)


def accepts(port: int) -> bool:
    """Whether something listens on this port of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
