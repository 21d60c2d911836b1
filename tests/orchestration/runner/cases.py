"""A deployment under test: its blueprint on disk, its rows in memory, its executions."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
import time
from pathlib import Path
from typing import Any

from orchestration.runner_gateway import RestGateway
from orchestration.runner_host import RunnerHost
from orchestration.runner_types import Outcome, WorkflowOrder
from tests.orchestration.runner.memory_gateway import MemoryStore, PlanSecrets

HEAD = "tosca_definitions_version: cloudify_dsl_1_4\nimports: [cloudify/types/types.yaml]\n"
NUMBERS = itertools.count(1)


def write_blueprint(folder: Path, blueprint: str, files: dict[str, str]) -> Path:
    place = folder / f"blueprint{next(NUMBERS)}"
    place.mkdir()
    for name, text in {"blueprint.yaml": blueprint, **files}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def one_node(script: str, name: str = "s", **operation: Any) -> str:
    """A blueprint whose only node runs this script at create."""
    more = "".join(f", {key}: {value}" for key, value in operation.items())
    return f"""{HEAD}
node_templates:
  {name}:
    type: cloudify.nodes.Root
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {{implementation: {script}{more}}}
"""


class Case:
    """One deployment."""

    def __init__(
        self,
        host: RunnerHost,
        folder: Path,
        blueprint: str,
        files: dict[str, str],
        *,
        inputs: dict[str, Any] | None = None,
        secrets: dict[str, Any] | None = None,
        deployment_id: str = "dep",
    ) -> None:
        self.host = host
        self.folder = write_blueprint(folder, blueprint, files)
        self.plan = host.parse(self.folder, "blueprint.yaml")
        self.prepared = host.prepare(self.plan, inputs or {}, PlanSecrets(*(secrets or {})))
        self.store = MemoryStore(self.prepared, deployment_id, secrets)
        self.gateway = RestGateway(self.store)
        self.thread: threading.Thread | None = None
        self.outcome: Outcome | None = None

    def order(self, workflow: str = "install", execution_id: str | None = None, **more: Any) -> WorkflowOrder:
        order = WorkflowOrder(
            execution_id=execution_id or f"execution-{next(NUMBERS)}",
            workflow_id=workflow,
            workflow_function=self.plan["workflows"][workflow]["operation"],
            deployment_id=self.store.deployment_id,
            blueprint_id="bp",
            tenant="default_tenant",
            blueprint_folder=self.folder,
            secret_names=frozenset(self.prepared["secrets"]),
        )
        return dataclasses.replace(order, **more)

    def run(self, workflow: str = "install", **more: Any) -> Outcome:
        order = self.order(workflow, **more)
        self.store.begin(order.execution_id, workflow)
        return self.host.run_workflow(order, self.gateway)

    def start(self, workflow: str = "install", **more: Any) -> str:
        """Run it in a thread; returns the execution's id."""
        order = self.order(workflow, **more)
        self.store.begin(order.execution_id, workflow)

        def work() -> None:
            self.outcome = self.host.run_workflow(order, self.gateway)

        self.thread = threading.Thread(target=work)
        self.thread.start()
        return order.execution_id

    def wait(self, seconds: float = 20) -> Outcome:
        assert self.thread is not None
        self.thread.join(seconds)
        assert self.outcome is not None, "the execution did not end"
        return self.outcome

    @property
    def messages(self) -> list[str]:
        return [event["message"] for event in self.store.events]

    @property
    def runtime(self) -> dict[str, dict[str, Any]]:
        """Runtime properties by node; the last instance wins."""
        return {row["node_id"]: row["runtime_properties"] for row in self.store.instances.values()}

    def until_message(self, text: str, seconds: float = 15) -> None:
        until(
            lambda: any(text in message for message in self.messages),
            f"no message '{text}' in {self.messages}",
            seconds,
        )


def until(is_true: Any, what: str, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def processes_with(marker: str) -> list[int]:
    """The processes whose command line contains this."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if marker in (entry / "cmdline").read_bytes().decode(errors="replace"):
                    found.append(int(entry.name))
    return found


def children_of(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def tree_of(pid: int) -> list[int]:
    """All descendants of a process."""
    return [found for child in children_of(pid) for found in [child, *tree_of(child)]]
