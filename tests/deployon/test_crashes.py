"""Processes of the product are killed in the middle of a rollout: nothing is lost, nothing is done twice."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from inventory.doubles import Account, ManagerDouble
from tests.deployon.factories import token_of
from tests.services.portal import ROOT, PortalProcess

TARGETS = 50
QUICK = {"RUN_HEARTBEAT_SECONDS": "1", "RUN_DEAD_AFTER_SECONDS": "3", "ENDPOINT_NETWORKS": "127.0.0.1/32"}


@pytest.fixture
def remote():
    """A double with a tenant for each target, whose installs take a while."""
    with ManagerDouble() as double:
        double.script.install = 1.5
        for number in range(1, TARGETS + 1):
            double.add_account(
                Account(f"user{number}", "password", {f"t{number - 1:04d}": "user"}, token=token_of(number))
            )
        yield double


def command(portal: PortalProcess, *arguments: str) -> str:
    """Run a program in the environment of that installation."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=portal.env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ASK = """
import django, json, sys; django.setup()
from collections import Counter
from deployon.models import Rollout
rollout = Rollout.objects.select_related("run").get(pk=int(sys.argv[1]))
print(json.dumps([rollout.run.state, Counter(rollout.targets.values_list("run__state", flat=True))]))
"""


def ask(portal: PortalProcess, rollout: str) -> tuple[str, dict[str, int]]:
    """(state of the rollout, targets by state)."""
    state, states = json.loads(command(portal, "-c", ASK, rollout))
    return state, states


def wait_until(condition, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.05)


def made(double: ManagerDouble) -> list[tuple[int, int, int]]:
    """For each target: blueprints, deployments, installs."""
    return [
        (len(world.blueprints), len(world.deployments), sum(run.workflow == "install" for run in world.runs.values()))
        for world in (double.answers(f"t{number:04d}").world for number in range(TARGETS))
    ]


def is_in_the_middle(double: ManagerDouble) -> bool:
    """Some have got their install, some not even their blueprint."""
    found = made(double)
    return any(each[2] for each in found) and sum(each[2] for each in found) < TARGETS


def check_the_end(portal: PortalProcess, rollout: str, double: ManagerDouble, seconds: float = 60) -> None:
    wait_until(lambda: ask(portal, rollout)[0] in ("succeeded", "failed", "cancelled"), seconds)
    state, states = ask(portal, rollout)
    assert (state, states) == ("succeeded", {"succeeded": TARGETS}), portal.log()[-3000:]
    assert Counter(made(double)) == {(1, 1, 1): TARGETS}
    assert double.count("POST", "/executions") <= TARGETS + 10, "an install is not ordered again and again"


def with_settings(environment: dict[str, str]) -> dict[str, str]:
    return QUICK | {"DJANGO_SETTINGS_MODULE": "portal.settings", "PYTHONPATH": str(ROOT)} | environment


def test_a_portal_killed_in_the_middle_of_a_rollout_goes_on_when_it_is_started_again(spawn, remote):
    portal = spawn(["up", "--port", "{port}"], env=with_settings({}))
    rollout = command(portal, "-m", "tests.deployon.seed", str(remote.port), str(TARGETS), "20")
    wait_until(lambda: is_in_the_middle(remote), 30)

    portal.kill()
    assert ask(portal, rollout)[0] == "running"
    time.sleep(1)
    portal.start()

    check_the_end(portal, rollout, remote)


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_a_worker_killed_in_the_middle_of_a_rollout_is_replaced_by_another(spawn, remote, postgres_url, rabbitmq_url):
    shape = with_settings(
        {
            "DATABASE_URL": postgres_url,
            "BROKER_URL": rabbitmq_url,
            "DATABASE_POOL": "12",
            "VAULT_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),  # one for all processes
        }
    )
    portal = spawn(["up", "--port", "{port}", "--no-workers"], env=shape, name="web")
    worker = ["-A", "portal", "worker", "-P", "threads", "-c", "2", "-l", "WARNING"]
    program = [sys.executable, "-m", "celery"]
    workers = [
        spawn([*worker, "-n", f"worker{number}@%h"], env=shape, ready=None, program=program, name=f"worker{number}")
        for number in (1, 2)
    ]
    rollout = command(portal, "-m", "tests.deployon.seed", str(remote.port), str(TARGETS), "20")
    wait_until(lambda: is_in_the_middle(remote), 60)

    workers[0].kill()

    check_the_end(portal, rollout, remote, 90)
    assert os.path.exists(f"/proc/{workers[1].pid}"), "the other one has survived"
