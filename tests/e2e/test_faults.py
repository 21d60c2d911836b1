"""What is kept of faults at each step: which are missing, and that a pass goes on where the last one stood."""

import random
import time

from tests.e2e.faults import FAULTS, Progress, Step, Striker


def test_nothing_known_means_that_both_kinds_of_pass_are_to_come(tmp_path):
    progress = Progress.load(tmp_path / "progress.json")
    assert progress.open_stages("both") == ["later", "bare"] and progress.open_stages("bare") == ["bare"]


def test_what_was_borne_is_read_again_and_only_the_rest_is_missing(tmp_path):
    progress = Progress.load(tmp_path / "sub" / "progress.json")
    progress.titles = {"Install packages of c1": 0, "Configure etcd on c1": 1}
    progress.borne = {"Install packages of c1": list(FAULTS), "Configure etcd on c1": ["power cut"]}
    progress.store()
    again = Progress.load(progress.path)
    assert (again.missing(), again.missing("bare"), again.missing("later")) == (3, 0, 3)
    assert again.open_stages("both") == ["later"]


def test_a_step_is_struck_by_what_it_has_not_borne_and_never_while_the_last_fault_is_being_overcome():
    striker = Striker.__new__(Striker)
    striker.random, striker.quiet_until = random.Random(1), {}
    striker.progress = Progress(None, borne={"Configure etcd on c1": ["ssh cut", "power cut", "worker killed"]})
    step = Step(1, 1, "Configure etcd on c1", "c1", "running")
    assert striker.choose(step) == "portal killed"
    striker.quiet_until[""] = time.monotonic() + 60
    assert striker.choose(step) == ""
    fresh = Step(2, 1, "Configure etcd on c2", "c2", "running")
    assert striker.choose(fresh) in ("ssh cut", "power cut")
    striker.quiet_until["c2"] = time.monotonic() + 60
    assert striker.choose(fresh) == ""
