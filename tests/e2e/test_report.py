"""The report of a journey: what was not reached is never told as passed."""

import json

from tests.e2e.report import Phase, Report


def broken():
    raise RuntimeError("the hosts are gone")


def test_phases_after_one_that_must_pass_are_skipped_with_the_reason(tmp_path):
    report = Report(tmp_path / "report.json", {"topology": "compact"})
    done = []
    phases = [
        Phase("first", lambda: {"gap": 3.0}),
        Phase("not here", broken, skip="one host alone is database"),
        Phase("second", broken),
        Phase("third", broken, must_pass=True),
        Phase("fourth", lambda: done.append("fourth")),
    ]
    assert report.carry_out(phases) is False and not done
    told = json.loads((tmp_path / "report.json").read_text())
    found = {phase["phase"]: (phase["result"], phase["why"]) for phase in told["phases"]}
    assert found == {
        "first": ("passed", ""),
        "not here": ("skipped", "one host alone is database"),
        "second": ("failed", "RuntimeError: the hosts are gone"),
        "third": ("failed", "RuntimeError: the hosts are gone"),
        "fourth": ("skipped", "not reached: 'third' failed"),
    }
    assert told["phases"][0]["gap"] == 3.0 and report.has_failed
    assert report.summary == "1 passed, 2 failed, 2 skipped"


def test_a_failure_that_need_not_pass_leaves_the_others_their_turn(tmp_path):
    report = Report(tmp_path / "report.json", {})
    done = []
    assert report.carry_out([Phase("one", broken), Phase("two", lambda: done.append("two"))])
    assert done == ["two"] and report.summary == "1 passed, 1 failed, 0 skipped"
