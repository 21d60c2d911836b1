"""Runs one server on behalf of the tests and ends it, with all it started, when the tests end: however they end.

    python keeper.py '{"owner": PID, "signal": N, "grace": SECONDS, "user": NAME or "", "status": FILE or ""}' COMMAND...

A fixture cannot promise that: a test run that is killed with -9 runs no teardown. The keeper watches its owner by a descriptor of
that very process (so a reused pid is no mistake) and stops the server on SIGTERM, too. The server leads a process group of its own.
With `status`, the keeper writes the server's exit status there when it ends by itself, and stays until it is told to end: what a killed
server leaves behind then keeps running, so that a test can look at it. Standard library only.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def descendants(pid: int) -> list[int]:
    """Processes below `pid`, as the kernel knows them now."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                children = [int(child) for child in file.read().split()]
            for child in children:
                found += [child, *descendants(child)]
    return found


class Keeper:
    """One server and what came of it; orphans below it become the keeper's children, so that none gets away."""

    def __init__(self, command: list[str], user: str) -> None:
        self.status: int | None = None
        as_user = {"user": user, "group": user, "extra_groups": []} if user else {}
        self.pid = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0, **as_user).pid  # type: ignore[call-overload]

    def reap(self) -> None:
        """Waits for every child that has ended, the server or an orphan of it."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self.pid:
                    self.status = os.waitstatus_to_exitcode(ended[1])

    def stop(self, stop_signal: int, grace: float) -> None:
        """Asks the server to end; after `grace` seconds, or once it has ended, ends everything below that is left."""
        until = time.monotonic() + grace
        if self.status is None:
            os.kill(self.pid, stop_signal)
        while self.status is None and time.monotonic() < until:
            time.sleep(0.02)
            self.reap()
        while left := descendants(os.getpid()):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
            self.reap()


def main() -> int:
    options, command = json.loads(sys.argv[1]), sys.argv[2:]
    try:
        owner = os.pidfd_open(options["owner"])
    except ProcessLookupError:
        return 1
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    endings = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    for number in (*endings, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    keeper = Keeper(command, options["user"])
    while True:
        ready, _, _ = select.select([owner, woken], [], [])
        signals = set(os.read(woken, 64)) if woken in ready else set()
        was_running = keeper.status is None
        keeper.reap()
        if was_running and keeper.status is not None and options["status"]:
            with open(options["status"], "w") as file:
                file.write(str(keeper.status))
        if owner in ready or signals & endings or (keeper.status is not None and not options["status"]):
            break
    keeper.stop(options["signal"], options["grace"])
    return keeper.status or 0


if __name__ == "__main__":
    sys.exit(main())
