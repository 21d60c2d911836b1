"""Who asks, and workers as in the product, in tests of the engine."""

import time

import pytest

from accounts.actors import Actor
from accounts.models import User
from runs import workers as identity
from runs.embedded import EmbeddedWorkers
from runs.states import FINAL_RUN_STATES


@pytest.fixture
def by_alice(db):
    return Actor(user=User.objects.get_or_create(username="alice-of-runs")[0], via="page")


class Workers:
    """The embedded workers of this process, and patience."""

    def wait_for(self, condition, seconds=20):
        until = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < until, f"not within {seconds} s"
            time.sleep(0.01)
        return found

    def wait_for_end(self, run, seconds=20):
        def has_ended():
            run.refresh_from_db()
            return run.state in FINAL_RUN_STATES

        self.wait_for(has_ended, seconds)
        return run


@pytest.fixture
def workers(transactional_db):
    """Celery with four threads and the sweeper, in this process, on the test's database."""
    identity.me.is_stopping.clear()
    embedded = EmbeddedWorkers(4)
    embedded.start()
    yield Workers()
    assert embedded.stop(10), f"still at work: {identity.me.in_hand}"
    embedded.controller.stop()
    embedded.thread.join(10)
    embedded.caretaker.join(10)
    identity.me.is_stopping.clear()
