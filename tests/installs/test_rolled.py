"""A service that votes is begun by us, whatever its package began before, and whenever a worker is killed meanwhile."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import ClassVar

import pytest

from installs.operations import applying
from installs.operations.applying import Rolled
from installs.rendering.values import RenderedFile
from runs.operations import Later

FILES = [RenderedFile("/etc/toy", "ours")]


class Killed(BaseException):
    """The worker that carried the step out is gone."""


class Machine:
    """A host as far as one unit and our marks go. `unit`: by whom it was begun, "" while it is off."""

    def __init__(self, unit, kill_after=0):
        self.unit, self.kill_after, self.changes = unit, kill_after, 0
        self.marks: dict[str, str] = {}

    def change(self):
        self.changes += 1
        if self.changes == self.kill_after:
            raise Killed

    def test(self, command, **more):
        assert "is-active" in command.parts
        return bool(self.unit)

    def run(self, command, **more):
        verb = command.parts[1]
        if verb == "stop":
            self.unit = ""
        elif verb == "restart":
            self.unit = "ours"
        self.change()


@dataclasses.dataclass(frozen=True)
class Toy(Rolled):
    service: ClassVar[str] = "toy"
    unit: ClassVar[str] = "toy"

    def wanted(self, context, including=""):
        return SimpleNamespace()

    def files(self, context, wanted, host):
        return FILES

    def counting(self, files):
        return files

    def begin(self, wanted, host):
        host.unit = "ours"
        host.change()

    def danger(self, wanted, host):
        return "Waiting: nobody else answers."

    def mark(self, host, path, digest):
        host.marks[path] = digest
        host.change()

    def _read(self, host, path):
        return host.marks.get(path, "")


@pytest.fixture(autouse=True)
def nothing_is_put(monkeypatch):
    monkeypatch.setattr(applying, "put_all", lambda host, files: [])


def act(machine):
    return Toy(1, "n1").act(SimpleNamespace(say=lambda *words, **more: None), machine)


@pytest.mark.parametrize("before", ["", "its package"])
def test_what_the_package_began_after_a_power_cut_is_begun_anew_without_asking_the_others(before):
    machine = Machine(before)
    assert act(machine) is None
    assert machine.unit == "ours" and len(machine.marks) == 2


@pytest.mark.parametrize("before", ["", "its package"])
@pytest.mark.parametrize("after", range(1, 7))
def test_a_worker_killed_after_any_command_is_followed_by_one_that_ends_well(before, after):
    machine = Machine(before, after)
    try:
        act(machine)
    except Killed:
        machine.kill_after = 0
        assert act(machine) is None
    assert machine.unit == "ours" and len(machine.marks) == 2


def test_one_that_we_began_is_restarted_only_where_the_others_bear_it():
    machine = Machine("ours")
    machine.marks[Toy(1, "n1").started_marker] = "of other files"
    assert isinstance(act(machine), Later) and machine.marks[Toy(1, "n1").started_marker] == "of other files"
