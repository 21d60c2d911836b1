"""The portal's side of the runner: keeps the warm parent process alive, starts children, runs workflows and short jobs in them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestration import runner_jobs
from orchestration.runner_execution import ExecutionLoop
from orchestration.runner_process import Child, LineTooLong
from orchestration.runner_setup import SETUP_COMMAND
from orchestration.runner_types import (
    EvaluationStorage,
    Gateway,
    Outcome,
    PlanStorage,
    Row,
    RunnerError,
    RunnerSettings,
    WorkflowOrder,
)

START_TIMEOUT = 30.0
REPORT_LIMIT = 65_536
STARTER = "import sys; sys.path.insert(0, sys.argv[1]); from runner.zygote import main; main(int(sys.argv[2]))"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WARNING = (
    "Scripts of blueprints run as the portal's own user and can read what it can read. See docs/runner.md for what is missing here."
)
CAGES: dict[str, Row] = {
    "namespaces+user": {"root": True, "unshare": True, "userns": False, "user": True},
    "user": {"root": True, "unshare": False, "userns": False, "user": True},
    "namespaces": {"root": False, "unshare": True, "userns": True, "user": False},
    "none": {"root": False, "unshare": False, "userns": False, "user": False},
}


class RunnerHost:
    """One a process; thread-safe: any number of threads may run executions and jobs at once."""

    def __init__(self, settings: RunnerSettings) -> None:
        self.settings = settings
        self.slots = threading.BoundedSemaphore(settings.max_operations)
        self.report: Row = {}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._root: Path | None = None
        self._root_lock: int | None = None
        self._cage: Row = {}
        self._loops: dict[str, ExecutionLoop] = {}

    # The life of the warm parent.

    def start(self) -> Row:
        """Start the warm parent if it is not running. Returns the report: which sandbox was chosen, and why not a stronger one."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            return self.report

    def close(self) -> None:
        """End the warm parent and with it everything that runs."""
        with self._lock:
            for loop in list(self._loops.values()):
                loop.cancel("kill")
            self._stop()
            if self._root is not None:
                shutil.rmtree(self._root, ignore_errors=True)
            if self._root_lock is not None:
                os.close(self._root_lock)
            self._root = self._root_lock = None

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = self._control = None

    def _start(self) -> None:
        self._stop()
        python = self.settings.venv / "bin" / "python"
        if not python.exists():
            raise RunnerError(f"The environment that runs blueprints is missing ({self.settings.venv}). Make it with: {SETUP_COMMAND}")
        root = self._work_root()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [str(python), "-I", "-c", STARTER, str(Path(__file__).resolve().parent), str(theirs.fileno())]
        environment = {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "2", "PYTHONDONTWRITEBYTECODE": "1"}
        with theirs, open(root / "runner.log", "wb") as log:
            self._process = subprocess.Popen(
                command, env=environment, cwd=str(root), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip
        ours.settimeout(START_TIMEOUT)
        try:
            self._write_ctx(root, python)
            work = self._new_folder(None, "probe")
            ours.send(json.dumps([self._request("probe", name, work) for name in self._cages()]).encode())
            report = json.loads(ours.recv(REPORT_LIMIT) or b"{}")
        except (OSError, ValueError):
            report = {}
        if not report.get("chosen"):
            self._process.kill()
            self._process.wait()
            ours.close()
            said = (root / "runner.log").read_text(errors="replace").strip()[-2000:]
            reasons = "; ".join(f"{item['name']}: {item['why']}" for item in report.get("refused", []))
            raise RunnerError(f"The runner does not start. {reasons} {said}".strip() + f" If its environment is broken, remake it: {SETUP_COMMAND}")
        if report["chosen"] in ("none",) or (report["chosen"] == "namespaces" and os.geteuid() == 0):
            report["warning"] = WARNING
        self.report = report
        self._cage = CAGES[report["chosen"]]
        self._control = ours

    def _cages(self) -> list[str]:
        if self.settings.sandbox != "auto":
            if self.settings.sandbox not in CAGES:
                raise RunnerError(f"Unknown sandbox '{self.settings.sandbox}': choose one of auto, {', '.join(CAGES)}.")
            return [self.settings.sandbox]
        return [name for name, cage in CAGES.items() if not cage["root"] or os.geteuid() == 0]

    # Folders and requests.

    def _work_root(self) -> Path:
        if self._root is None:
            base = Path(self.settings.work_root or tempfile.gettempdir())
            remove_leftovers(base)
            self._root = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=base))
            self._root.chmod(0o711)
            self._root_lock = lock_folder(self._root)
        return self._root

    def _write_ctx(self, root: Path, python: Path) -> None:
        folder = root / "bin"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        source = (Path(__file__).parent / "runner" / "ctx_client.py").read_text()
        (folder / "ctx").write_text(f"#!{os.path.realpath(python)} -IS\n{source}")
        (folder / "ctx").chmod(0o755)

    def uid_of(self, key: str) -> int:
        """The user that processes of this deployment run as (as root)."""
        return self.settings.uid_base + zlib.crc32(key.encode()) % self.settings.uid_count

    def _new_folder(self, uid: int | None, kind: str) -> Path:
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self._work_root()))
        folder.chmod(0o700 if uid is not None else 0o755 if kind == "probe" else 0o700)
        if uid is not None:
            os.chown(folder, uid, uid)
        return folder

    def _request(self, kind: str, cage: str, work: Path, uid: int | None = None, **more: Any) -> Row:
        settings, shape = self.settings, CAGES[cage]
        environment = {
            "PATH": f"{self._work_root()}/bin:{SYSTEM_PATH}",
            "LANG": "C.UTF-8",
            "MALLOC_ARENA_MAX": "2",
            **dict.fromkeys(("HOME", "TMPDIR", "CFY_EXEC_TEMP"), str(work)),
            **more.get("environment", {}),
        }
        limits = {"as": settings.memory_limit, "nofile": settings.open_files, **more.get("limits", {})}
        if shape["user"]:
            uid = uid if uid is not None else settings.uid_base
            limits["nproc"] = settings.processes
        return {
            "kind": kind, "name": cage, "work": str(work), "environment": environment, "limits": limits,
            "unshare": shape["unshare"], "userns": shape["userns"], "uid": uid if shape["user"] else None,
            "needed": self._needed(), "hidden": [str(path) for path in settings.hidden],
        }  # fmt: skip

    def _needed(self) -> list[str]:
        """The folders without which the runner's Python does not work."""
        venv = self.settings.venv.absolute()
        prefix = Path(os.path.realpath(venv / "bin" / "python")).parent.parent
        folders = [venv, self._work_root(), *([prefix] if str(prefix) != "/usr" else [])]
        if self.settings.deployments_root is not None:
            folders.append(self.settings.deployments_root)
        return [str(folder) for folder in folders]

    def spawn(self, kind: str, key: str, first: Row, line_limit: int, **more: Any) -> Child:
        """Start a child for this deployment and give it its job. `more`: environment, limits, files (to copy in)."""
        self.start()
        uid = self.uid_of(key) if self._cage["user"] else None
        work = self._new_folder(uid, kind)
        fill = more.pop("fill", None)
        if fill is not None:
            fill(work)
        request = self._request(kind, self.report["chosen"], work, uid, **more)
        pipes, lifelines = socket.socketpair(), socket.socketpair()
        child = Child(pipes[0], lifelines[0], work, line_limit)
        try:
            self._ask_zygote(request, pipes[1], lifelines[1])
        except BaseException:
            child.close()
            raise
        finally:
            pipes[1].close()
            lifelines[1].close()
        child.send(first)
        return child

    def _ask_zygote(self, request: Row, *sockets: socket.socket) -> None:
        data = json.dumps(request).encode()
        for attempt in (1, 2):
            try:
                with self._lock:
                    if self._control is None:
                        raise BrokenPipeError
                    socket.send_fds(self._control, [data], [item.fileno() for item in sockets])
                return
            except OSError:
                # It died since start() looked: once more with a new one.
                if attempt == 2:
                    raise RunnerError("The runner's parent process ended twice in a row; see its log in the work folder.") from None
                self.start()

    # What the portal asks for.

    def run_workflow(self, order: WorkflowOrder, gateway: Gateway) -> Outcome:
        """Run an execution to its end in the calling thread, which also answers its calls through `gateway`."""
        loop = ExecutionLoop(self, order, gateway)
        with self._lock:
            if order.execution_id in self._loops:
                raise RunnerError(f"Execution {order.execution_id} is already running here.")
            self._loops[order.execution_id] = loop
        try:
            return loop.run()
        finally:
            with self._lock:
                del self._loops[order.execution_id]

    def cancel(self, execution_id: str, kind: str = "cancel") -> bool:
        """From any thread; kind is cancel, force-cancel or kill. False if this host does not run that execution."""
        with self._lock:
            loop = self._loops.get(execution_id)
        if loop is not None:
            loop.cancel(kind)
        return loop is not None

    def running(self) -> list[str]:
        """The ids of the executions that run here now."""
        with self._lock:
            return list(self._loops)

    def parse(self, folder: Path, main_file: str) -> Row:
        """The plan of an unpacked blueprint; BlueprintProblem if it is bad or asks for what we do not run."""
        return runner_jobs.parse(self, folder, main_file)

    def prepare(self, plan: Row, inputs: Row, storage: PlanStorage, *, auto_correct_types: bool = False) -> Row:
        """The plan with inputs and node instances; its key `secrets` lists the secrets it may ask for. BlueprintProblem if not."""
        return runner_jobs.prepare(self, plan, inputs, storage, auto_correct_types=auto_correct_types)

    def evaluate(self, of: str, payload: Any, context: Row | None, storage: EvaluationStorage) -> Any:
        """Evaluate intrinsic functions. `of`: payload, nodes, node_instance, capabilities, outputs."""
        return runner_jobs.evaluate(self, of, payload, context, storage)

    def job(self, key: str, message: Row, storage: Any, wall: float, **more: Any) -> Any:
        """Run a short job in a child, answering its questions from `storage`; its value, or BlueprintProblem."""
        child = self.spawn("job", key, message, self.settings.workflow_line, **more)
        try:
            return runner_jobs.finish(messages_until(child, time.monotonic() + wall), child, storage)
        finally:
            child.kill()
            wait_for_end(child, 5.0)
            child.close()


WORK_PREFIX = "deployon-runner-"


def lock_folder(folder: Path) -> int | None:
    """Hold a lock on the folder as long as we live; None if somebody else holds it."""
    import fcntl

    number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(number)
        return None
    return number


def remove_leftovers(base: Path) -> None:
    """Remove the work folders of portals that were killed."""
    for folder in base.glob(f"{WORK_PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == os.geteuid() and not folder.is_symlink() and time.time() - folder.stat().st_ctime > 60:
                held = lock_folder(folder)
                if held is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(held)


def messages_until(child: Child, deadline: float) -> Iterator[Row]:
    """The messages of a child until its pipe ends; TimeoutError at the deadline, LineTooLong beyond the cap."""
    while True:
        left = deadline - time.monotonic()
        poller = select.poll()
        poller.register(child.pipe, select.POLLIN)
        if left <= 0 or not poller.poll(left * 1000):
            raise TimeoutError
        messages = child.read()
        if messages is None:
            return
        yield from messages


def wait_for_end(child: Child, seconds: float) -> bool:
    """Wait until the supervisor says that everything is gone."""
    deadline = time.monotonic() + seconds
    while not child.ended:
        left = deadline - time.monotonic()
        poller = select.poll()
        poller.register(child.lifeline, select.POLLIN)
        if left <= 0 or not poller.poll(left * 1000):
            return False
        child.read_lifeline()
    return True


__all__ = ["LineTooLong", "RunnerHost"]
