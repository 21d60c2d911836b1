"""The portal's side of the runner: keeps the warm parent process alive, starts children, runs workflows and short jobs in them."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from orchestration import runner_jobs
from orchestration.runner_cage import CAGES, SYSTEM_PATH, WorkRoot, candidates, warning_of
from orchestration.runner_execution import ExecutionLoop
from orchestration.runner_process import Child
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
LOOKERS = 16
STARTER = "import sys; sys.path.insert(0, sys.argv[1]); from runner.zygote import main; main(int(sys.argv[2]))"


class RunnerHost:
    """One a process; thread-safe: any number of threads may run executions and jobs at once."""

    def __init__(self, settings: RunnerSettings) -> None:
        self.settings = settings
        self.slots = threading.BoundedSemaphore(settings.max_operations)
        self.report: Row = {}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._work: WorkRoot | None = None
        self._loops: dict[str, ExecutionLoop] = {}
        self._lookers: ThreadPoolExecutor | None = None

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
            if self._work is not None:
                self._work.close()
            self._work = None
            if self._lookers is not None:
                self._lookers.shutdown(wait=False, cancel_futures=True)
            self._lookers = None

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
        python = self.settings.venv.absolute() / "bin" / "python"
        if not python.exists():
            raise RunnerError(
                f"The environment that runs blueprints is missing ({self.settings.venv}). Make it with: {SETUP_COMMAND}"
            )
        cages = candidates(self.settings)
        if self._work is None:
            self._work = WorkRoot(self.settings)
        root = self._work.path
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
            work = self._work.new_folder("probe", None)
            ours.send(json.dumps([self._work.request("probe", name, work, None) for name in cages]).encode())
            report = json.loads(ours.recv(REPORT_LIMIT) or b"{}")
        except (OSError, ValueError):
            report = {}
        if not report.get("chosen"):
            self._process.kill()
            self._process.wait()
            ours.close()
            said = (root / "runner.log").read_text(errors="replace").strip()[-2000:]
            reasons = "; ".join(f"{item['name']}: {item['why']}" for item in report.get("refused", []))
            raise RunnerError(
                f"The runner does not start. {reasons} {said}".strip()
                + f" If its environment is broken, remake it: {SETUP_COMMAND}"
            )
        report["warning"] = warning_of(report["chosen"])
        self.report = report
        self._control = ours

    # Children.

    def uid_of(self, key: str) -> int:
        """The user that processes of this deployment (tenant/id) run as, where the sandbox gives them one."""
        self.start()
        assert self._work is not None
        return self._work.uid_of(key)

    def spawn(self, kind: str, key: str, first: Row, line_limit: int, **more: Any) -> Child:
        """Start a child for this deployment and give it its job. `more`: environment, limits, files (to copy in)."""
        self.start()
        assert self._work is not None
        cage = self.report["chosen"]
        uid = self._work.uid_of(key) if CAGES[cage]["user"] else None
        work = self._work.new_folder(kind, uid)
        if kind == "operation":
            self._work.deployment_folder(key, uid)
        fill = more.pop("fill", None)
        if fill is not None:
            fill(work)
        request = self._work.request(kind, cage, work, uid, **more)
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
                    raise RunnerError(
                        "The runner's parent process ended twice in a row; see its log in the work folder."
                    ) from None
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

    def lookers(self) -> ThreadPoolExecutor:
        """The threads that look at operations which hold no process, for all executions."""
        with self._lock:
            if self._lookers is None:
                self._lookers = ThreadPoolExecutor(LOOKERS, thread_name_prefix="look")
            return self._lookers

    def count_waiting(self) -> int:
        """How many executions do no more at present than to look at something elsewhere."""
        with self._lock:
            return sum(loop.only_waits for loop in self._loops.values())

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
