"""Drives runs inside a test, in its own transaction: sweeps and works in this thread until nothing moves or a run has ended."""

import time

from django.test import override_settings

from runs import parents
from runs.states import FINAL_RUN_STATES
from runs.sweeper import sweep
from runs.work import Crew


def drive(run=None, seconds=10.0):
    """Until `run` has ended; without one: until nothing is due. Each operation runs in the thread of the test."""
    until = time.monotonic() + seconds
    with override_settings(RUN_THREADS=0):
        while True:
            moved = sweep(lambda items: Crew().work(items))
            parents.advance_all()
            if run is None:
                if not moved:
                    return None
            else:
                run.refresh_from_db()
                if run.state in FINAL_RUN_STATES:
                    return run
            assert time.monotonic() < until, (
                f"still {run.state if run else 'moving'} after {seconds} s: {run.why if run else ''}"
            )
            if not moved:
                time.sleep(0.01)
