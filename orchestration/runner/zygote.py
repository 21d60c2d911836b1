"""The warm parent of all runner processes: imports everything once, then forks one caged child a request."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from . import boot, kernel, sandbox
from .wire import Channel

REQUEST_LIMIT = 65_536


def body_of(kind: str, sock: socket.socket) -> None:
    """In the child: take the job from the pipe and do it."""
    if kind in ("workflow", "operation"):
        # The job is the first line on the pipe; read byte by byte so that nothing after it is taken.
        job = _first_line(sock)
        from . import operation, workflow

        (workflow if kind == "workflow" else operation).run(sock, job)
        return
    from . import jobs

    jobs.run(Channel(sock))


def _first_line(sock: socket.socket) -> dict[str, Any]:
    parts = []
    while True:
        seen = sock.recv(262144, socket.MSG_PEEK)
        if not seen:
            raise EOFError
        end = seen.find(b"\n")
        take = len(seen) if end < 0 else end + 1
        while take:
            part = sock.recv(take)
            parts.append(part)
            take -= len(part)
        if end >= 0:
            return dict(json.loads(b"".join(parts)))


class Zygote:
    """Serves fork requests; single-threaded, or the forks would be unsafe."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.supervisors: set[int] = set()

    def serve(self) -> None:
        """Until the portal closes the control socket."""
        wake_read, wake_write = os.pipe()
        for number in (wake_read, wake_write):
            os.set_blocking(number, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        poller = select.poll()
        poller.register(self.control, select.POLLIN)
        poller.register(wake_read, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poller.poll()}
            if wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake_read, 4096)
                self.reap()
            if self.control.fileno() in ready and not self.take_request():
                return

    def reap(self) -> None:
        """Collect ended supervisors; what one that was killed left behind comes to us: kill it."""
        with contextlib.suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                self.supervisors.discard(pid)
        for pid in sandbox.children_of("self"):
            if pid not in self.supervisors:
                sandbox._kill_tree(pid)

    def take_request(self) -> bool:
        """One request with its two sockets; False at the end."""
        data, numbers, _, _ = socket.recv_fds(self.control, REQUEST_LIMIT, 4)
        if not data:
            return False
        pipe, lifeline = (socket.socket(fileno=number) for number in numbers[:2])
        job = json.loads(data)
        try:
            pid = os.fork()
        except OSError as error:
            with contextlib.suppress(OSError):
                lifeline.sendall(json.dumps({"error": f"cannot fork: {error}"}).encode() + b"\n")
            pid = -1
        if pid == 0:
            self._child(job, pipe, lifeline)
        if pid > 0:
            self.supervisors.add(pid)
        pipe.close()
        lifeline.close()
        return True

    def _child(self, job: dict[str, Any], pipe: socket.socket, lifeline: socket.socket) -> None:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.control.close()
            sandbox.supervise(job, pipe, lifeline, lambda: body_of(job["kind"], pipe))
        except BaseException as error:
            with contextlib.suppress(OSError):
                lifeline.sendall(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n")
        finally:
            os._exit(0)


def choose_cage(wishes: list[dict[str, Any]]) -> dict[str, Any]:
    """The first of the cages, strongest first, that works here, with the reasons why the ones before it do not."""
    refused: list[dict[str, Any]] = []
    for wish in wishes:
        problem = sandbox.probe(wish)
        if not problem:
            return {"chosen": wish["name"], "refused": refused}
        refused.append({"name": wish["name"], "why": problem})
    return {"chosen": None, "refused": refused}


def main(control_fd: int) -> None:
    """Load, report what the sandbox can do here, serve."""
    control = socket.socket(fileno=control_fd)
    control.set_inheritable(False)
    boot.load()
    from . import jobs, operation, workflow  # noqa: F401 - warm for the forks

    gc.collect()
    gc.disable()
    gc.freeze()
    # Only what is loaded by now may be imported from here; the portal's code is not even on the path.
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    wishes = json.loads(control.recv(REQUEST_LIMIT))
    report = choose_cage(wishes)
    report.update({"pid": os.getpid(), "python": sys.version.split()[0]})
    control.send(json.dumps(report).encode())
    Zygote(control).serve()
