"""The battery finds what it is there to find."""

import dataclasses

import pytest

from runs.operations import operation
from tests.runs import factories
from tests.runs.factories import CALLS, WORLD, Counted, Failing, Idle, Remote, Thing
from tests.runs.operation_battery import fails_well, keeps_the_rules

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clean():
    factories.reset()


def world():
    return frozenset(WORLD)


@operation("test.meddling")
@dataclasses.dataclass(frozen=True)
class Meddling(Counted):
    """Its check acts."""

    name: str

    def check(self, context):
        WORLD.add(self.name)
        return True


@operation("test.forgetful")
@dataclasses.dataclass(frozen=True)
class Forgetful(Counted):
    """Does not see, at the next run, that it was brought about."""

    name: str

    def check(self, context):
        return bool(context.memory.get("done"))

    def apply(self, context):
        WORLD.add(self.name)
        context.memory["done"] = True


@operation("test.talkative")
@dataclasses.dataclass(frozen=True)
class Talkative(Thing):
    """Tells a secret that it did not hide."""

    def apply(self, context):
        context.say("the password is hunter2-hunter2")
        super().apply(context)


def test_a_good_operation_passes(caplog):
    keeps_the_rules(Thing("a"), world=world, secrets=["hunter2-hunter2"], caplog=caplog)


def test_an_operation_that_waits_passes_too():
    keeps_the_rules(Remote("a", 0.1, look=0.05), world=lambda: sorted(factories.REMOTE))


@pytest.mark.parametrize(
    ("bad", "finding"),
    [
        (Meddling("a"), "check changed something"),
        (Forgetful("a"), "what is as wanted was not skipped"),
        (Idle("a"), "it was not brought about"),
        (Talkative("a"), "a secret was told"),
    ],
)
def test_a_bad_operation_is_found(bad, finding):
    with pytest.raises(AssertionError, match=finding):
        keeps_the_rules(bad, world=world, secrets=["hunter2-hunter2"])


def test_a_failure_without_a_remedy_is_found():
    fails_well(Failing("a"), cause="unreachable")
    with pytest.raises(AssertionError, match="these words do not help"):
        fails_well(Failing("b", message="Oops."), cause="unreachable")
    assert CALLS["apply a"] == 1
