"""A rollout on PostgreSQL and RabbitMQ with two workers, where the sub-manager limits how many targets are at work."""

from __future__ import annotations

import base64
import os
import sys

import pytest

from inventory.doubles import Account, ManagerDouble
from tests.deployon.factories import token_of
from tests.deployon.test_crashes import ask, command, wait_until, with_settings
from tests.deployon.test_places import most_at_once_of

TARGETS, LIMIT = 12, 3


@pytest.fixture
def remote():
    with ManagerDouble() as double:
        double.script.install = 0.4
        for number in range(1, TARGETS + 1):
            account = Account(f"user{number}", "password", {f"t{number - 1:04d}": "user"}, token=token_of(number))
            double.add_account(account)
        yield double


def test_two_workers_together_keep_to_the_limit_of_a_sub_manager(spawn, remote, postgres_url, rabbitmq_url):
    shape = with_settings(
        {
            "DATABASE_URL": postgres_url,
            "BROKER_URL": rabbitmq_url,
            "DATABASE_POOL": "12",
            "VAULT_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        }
    )
    portal = spawn(["up", "--port", "{port}", "--no-workers"], env=shape, name="web")
    worker = ["-A", "portal", "worker", "-P", "threads", "-c", "2", "-l", "WARNING"]
    program = [sys.executable, "-m", "celery"]
    for number in (1, 2):
        spawn([*worker, "-n", f"worker{number}@%h"], env=shape, ready=None, program=program, name=f"worker{number}")

    rollout = command(portal, "-m", "tests.deployon.seed", str(remote.port), str(TARGETS), "0", str(LIMIT))
    wait_until(lambda: ask(portal, rollout)[0] in ("succeeded", "failed", "cancelled"), 90)

    assert ask(portal, rollout) == ("succeeded", {"succeeded": TARGETS}), portal.log()[-3000:]
    assert most_at_once_of(remote, [f"t{number:04d}" for number in range(TARGETS)]) == LIMIT
