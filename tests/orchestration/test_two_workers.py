"""Executions on PostgreSQL and RabbitMQ with two workers: one that dies is replaced by the other, and a cancel finds the right one."""

from __future__ import annotations

import base64
import os
import sys
import time
from pathlib import Path

import pytest

from tests.orchestration import archives
from tests.orchestration.running import CAST, Manager
from tests.orchestration.test_bad_days import COUNT, SLOW, TWO_STEPS, begin, command_of, descendants
from tests.services.portal import ROOT

THREE_STEPS = TWO_STEPS.replace(
    "capabilities:",
    """\
  third:
    type: demo.Step
    interfaces:
      cloudify.interfaces.lifecycle:
        create: {implementation: scripts/count.sh}
    relationships:
      - {type: cloudify.relationships.depends_on, target: second}
capabilities:
  third: {value: {get_attribute: [third, begun]}}""",
)
QUICK = {"RUN_HEARTBEAT_SECONDS": "1", "RUN_DEAD_AFTER_SECONDS": "3"}
WORKER = ["-A", "portal", "worker", "-P", "threads", "-c", "2", "-l", "WARNING"]


@pytest.fixture
def installation(tmp_path, spawn, postgres_url, rabbitmq_url):
    """(web process that carries out nothing, two workers), as if each stood on a host of its own."""
    shape = QUICK | {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": postgres_url,
        "BROKER_URL": rabbitmq_url,
        "DATABASE_POOL": "12",
        "VAULT_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),  # one for all processes
    }
    web = Manager(tmp_path / "web", ["up", "--port", "{port}", "--no-workers"], shape | {"NODE_NAME": "host0"})
    try:
        web.start()
        web.run(CAST)
        program = [sys.executable, "-m", "celery"]
        workers = [
            spawn(
                [*WORKER, "-n", f"worker{number}@%h"],
                env=shape | {"NODE_NAME": f"host{number}"},
                ready=None,
                program=program,
                name=f"worker{number}",
            )
            for number in (1, 2)
        ]
        yield web, workers
    finally:
        web.process.close()


def runs_script(worker, name: str) -> bool:
    return any(name in command_of(pid) for pid in descendants(worker.pid))


def at_work(workers, name: str, seconds: float = 20):
    """The worker below which the script runs."""
    until = time.monotonic() + seconds
    while True:
        for worker in workers:
            if runs_script(worker, name):
                return worker
        assert time.monotonic() < until, "no worker runs it"
        time.sleep(0.05)


def test_a_worker_killed_while_it_runs_an_execution_is_replaced_by_the_other(installation, monkeypatch):
    web, workers = installation
    monkeypatch.setattr("tests.orchestration.test_bad_days.TWO_STEPS", THREE_STEPS)
    execution = begin(web, "steps")
    dying = at_work(workers, "slow.sh")
    left = next(worker for worker in workers if worker is not dying)
    below = descendants(dying.pid)

    dying.kill()

    until = time.monotonic() + 10
    while (alive := [command_of(pid) for pid in below if Path(f"/proc/{pid}").exists()]) and time.monotonic() < until:
        time.sleep(0.05)
    assert alive == [], "the runner outlived its worker"
    assert at_work([left], "slow.sh", 30) is left
    ended = web.await_execution(execution, 60)
    assert ended["status"] == "terminated", ended["error"]
    begun = web.call("GET", "/deployments/steps/capabilities").json()["capabilities"]
    assert begun == {"first": "1", "second": "2", "third": "1"}, "only what was caught in the middle is begun twice"
    events = web.call("GET", f"/events?execution_id={execution}&_size=1000").json()["items"]
    resumed = [event["message"] for event in events if event.get("event_type") == "workflow_resumed"]
    assert len(resumed) == 1 and "goes on from where it stood" in resumed[0]
    ends = [event["node_name"] for event in events if event.get("event_type") == "task_succeeded"]
    assert sorted(name for name in ends if name) == ["first", "second", "third"]
    assert "Traceback" not in left.log()


def test_a_cancel_asked_of_the_web_process_ends_the_script_at_the_worker(installation):
    web, workers = installation
    archive = archives.packed({"blueprint.yaml": TWO_STEPS, "scripts/count.sh": COUNT, "scripts/slow.sh": SLOW})
    assert web.upload("long", archive).status_code == 201
    assert web.call("PUT", "/deployments/long", json={"blueprint_id": "long"}).status_code == 201
    execution = web.start_workflow("long", "install")
    worker = at_work(workers, "slow.sh")

    reply = web.call("POST", f"/executions/{execution}", json={"action": "force-cancel"})

    assert reply.status_code == 200, reply.text
    assert web.await_execution(execution, 20)["status"] == "cancelled"
    assert not runs_script(worker, "slow.sh")
