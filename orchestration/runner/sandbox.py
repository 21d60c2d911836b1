"""Puts a forked child into its cage and ends everything that it started; what the cage is made of is said in docs/runner.md."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from . import kernel
from .mounts import own_mounts

Job = dict[str, Any]
LIMITS = {
    "as": resource.RLIMIT_AS,
    "nofile": resource.RLIMIT_NOFILE,
    "cpu": resource.RLIMIT_CPU,
    "fsize": resource.RLIMIT_FSIZE,
    "nproc": resource.RLIMIT_NPROC,
}
KILL_ROUNDS = 200


def children_of(pid: int | str) -> list[int]:
    """The direct children of a process."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:
                found += [int(word) for word in file.read().split()]
    return found


def kill_descendants() -> None:
    """Kill until nobody is left. As subreaper we inherit every orphan, those that called setsid too."""
    for _ in range(KILL_ROUNDS):
        children = children_of("self")
        if not children:
            return
        for child in children:
            _kill_tree(child)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.001)


def _kill_tree(pid: int) -> None:
    # Stopped first, so that it cannot fork away while its children are looked up.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGSTOP)
        for child in children_of(pid):
            _kill_tree(child)
        os.kill(pid, signal.SIGKILL)


def supervise(job: Job, pipe: socket.socket, lifeline: socket.socket, body: Callable[[], None]) -> None:
    """Run `body` in a caged child; end it and all it started when it ends or when the portal closes the lifeline."""
    os.setsid()
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    if job["unshare"]:
        _unshare(job)
    child = os.fork()
    if child == 0:
        lifeline.close()
        _caged(job, pipe, body)
    pipe.close()
    watch = os.pidfd_open(child)
    poller = select.poll()
    poller.register(watch, select.POLLIN)
    poller.register(lifeline.fileno(), select.POLLIN | select.POLLHUP)
    ready = {fd for fd, _ in poller.poll()}
    # Alive after all? Then the portal wants it to end.
    if watch not in ready:
        if job["unshare"]:
            # It is the first process of its namespace: the kernel ends all others with it.
            os.kill(child, signal.SIGKILL)
        else:
            _kill_tree(child)
    status = os.waitpid(child, 0)[1]
    kill_descendants()
    with contextlib.suppress(OSError):
        lifeline.sendall(json.dumps({"status": status}).encode() + b"\n")


def _unshare(job: Job) -> None:
    # Not the mounts: those are the child's own, or the /proc that we look at would be another's.
    uid, gid = os.geteuid(), os.getegid()
    if job["userns"]:
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    else:
        kernel.unshare(kernel.CLONE_NEWPID)


def _caged(job: Job, pipe: socket.socket, body: Callable[[], None]) -> None:
    code = 1
    try:
        enter(job, keep={pipe.fileno()})
        body()
        code = 0
    except BaseException as error:
        with contextlib.suppress(OSError):
            pipe.sendall(
                json.dumps({"t": "broken", "error": f"{type(error).__name__}: {error}"[:2000]}).encode() + b"\n"
            )
    finally:
        os._exit(code)


def enter(job: Job, keep: set[int]) -> None:
    """Make this process the one the job describes: namespaces, folder, descriptors, environment, limits, user."""
    os.setsid()
    os.umask(0o077)
    if job["unshare"]:
        own_mounts(job)
    os.chdir(job["work"])
    _close_others(keep)
    os.environ.clear()
    os.environ.update(job["environment"])
    tempfile.tempdir = job["work"]
    threading.stack_size(2 * 1024 * 1024)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, value in job["limits"].items():
        _limit(LIMITS[name], value)
    _drop_rights(job.get("uid"))
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL if number != signal.SIGPIPE else signal.SIG_IGN)
    gc.enable()


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _close_others(keep: set[int]) -> None:
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    start = 3
    for number in sorted(keep):
        os.closerange(start, number)
        start = number + 1
    os.closerange(start, min(limit, 65536))
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _drop_rights(uid: int | None) -> None:
    """Become another user for good (root only), without any capability, and never gain one by starting a program."""
    kernel.drop_bounding_set()
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if uid is not None:
        # Changing the user hides our own /proc/self from us, which shells need.
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)


def probe(job: Job) -> str:
    """Try the cage once: empty when it works, else what failed."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        try:
            supervise(job, theirs, theirs.dup(), lambda: _try(theirs))
        except OSError as error:
            theirs.sendall(json.dumps({"t": "broken", "error": str(error)}).encode() + b"\n")
        finally:
            os._exit(0)
    theirs.close()
    text = b""
    while data := ours.recv(65536):
        text += data
    os.waitpid(child, 0)
    for line in text.split(b"\n"):
        message = json.loads(line) if line else {}
        if "probe" in message or "error" in message:
            return str(message.get("error") or message.get("probe") or "")
    return "the child ended without a word"


def _try(pipe: socket.socket) -> None:
    """In the cage: can the interpreter still find its own library?"""
    problem = ""
    try:
        for module in ("os", "cloudify"):
            with open(str(sys.modules[module].__file__)) as file:
                file.read(1)
        os.listdir(os.getcwd())
    except OSError as error:
        problem = f"the runner's Python cannot be read in the sandbox: {error}"
    pipe.sendall(json.dumps({"probe": problem}).encode() + b"\n")
