"""Rows that operations hand in are stored with the outcome of their step, many steps' at once, or not at all."""

import dataclasses

import pytest
from django.db import OperationalError
from django.test import override_settings

from accounts.actors import SYSTEM
from accounts.models import Tenant
from runs import engine, executor, workers, written
from runs.desk import Slip, claim, desk
from runs.models import Step
from runs.operations import Cancelled, Later, Operation, OperationError, operation
from runs.sweeper import sweep
from runs.work import Crew
from tests.runs.drive import drive
from tests.runs.factories import start, start_family

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
WRITES = []  # what each call of the writer was given
PREPARED = []


def write_names(names):
    WRITES.append(list(names))
    Tenant.objects.bulk_create(Tenant(name=name) for name in names)


@operation("test.keeps")
@dataclasses.dataclass(frozen=True)
class Keeps(Operation):
    """Hands in a row for each name; then ends as `end` says."""

    names: list
    end: str = ""
    is_batchable = True

    @classmethod
    def prepare(cls, begun):
        PREPARED.append([each.names for each, _ in begun])
        if any(each.end == "unprepared" for each, _ in begun):
            raise RuntimeError("nothing to read")

    def describe(self):
        return "Keep names"

    def check(self, context):
        return bool(context.memory.get("done"))

    def apply(self, context):
        for name in self.names:
            context.write(write_names, name)
        if self.end == "wait" and not context.memory.get("looked"):
            context.memory["looked"] = True
            return Later(60, "Waits.")
        if self.end == "fail":
            raise OperationError("It did not work: try again.")
        context.memory["done"] = True
        return None

    def cancel(self, context):
        context.write(write_names, "cancelled")
        raise Cancelled("Stopped.")


@pytest.fixture(autouse=True)
def clean():
    WRITES.clear()
    PREPARED.clear()
    yield
    workers.me.in_hand.clear()


def names():
    return set(Tenant.objects.exclude(name__in=("acme", Tenant.DEFAULT)).values_list("name", flat=True))


def perform_due():
    """(a crew, its reports) for everything that is due: looked at, nothing recorded yet."""
    crew = Crew()
    items = list(Step.objects.exclude(next_look_at=None).values_list("run_id", "pk", "attempt"))
    reports = []
    for context in claim(items):
        crew.in_hand[context.step_id] = context
        reports.append((context, executor.perform(context)))
    return crew, reports


def test_rows_are_stored_when_the_outcome_is_recorded_and_not_before():
    run = start(Keeps(["b", "a"]))
    crew, reports = perform_due()
    assert names() == set()
    desk.write(Slip(crew, reports, []))
    run.refresh_from_db()
    assert (run.state, names(), WRITES) == ("succeeded", {"a", "b"}, [["b", "a"]])


def test_the_rows_of_all_steps_of_a_transaction_are_stored_at_once():
    start_family([[Keeps([f"n{number}"])] for number in range(20)])
    crew, reports = perform_due()
    desk.write(Slip(crew, reports, []))
    assert [len(each) for each in WRITES] == [20]
    assert len(names()) == 20


def test_the_rows_of_a_step_that_was_handed_on_are_dropped():
    run = start(Keeps(["late"]))
    other = start(Keeps(["mine"]))
    crew, reports = perform_due()
    workers.hand_on([run.steps.get()])
    again, repeated = perform_due()
    desk.write(Slip(crew, reports, []))
    assert (names(), other.steps.get().state) == ({"mine"}, "succeeded")
    desk.write(Slip(again, repeated, []))
    assert (names(), run.steps.get().state) == ({"mine", "late"}, "succeeded")


def test_a_row_that_cannot_be_stored_fails_its_own_step_alone():
    Tenant.objects.create(name="taken")
    runs = [start(Keeps([name])) for name in ("one", "taken", "two")]
    crew, reports = perform_due()
    desk.write(Slip(crew, reports, []))
    for run in runs:
        run.refresh_from_db()
    assert [(run.state, run.cause) for run in runs] == [("succeeded", ""), ("failed", "broken"), ("succeeded", "")]
    assert "the log of the worker" in runs[1].why
    assert names() == {"one", "taken", "two"}


@pytest.mark.django_db(transaction=True)
def test_rows_are_stored_once_although_the_database_was_away(monkeypatch):
    run = start(Keeps(["a"]))
    store, refusals = written.store, []

    def store_and_lose(contexts):
        faults = store(contexts)
        if not refusals:
            refusals.append(1)
            raise OperationalError("the connection was lost")
        return faults

    monkeypatch.setattr(written, "store", store_and_lose)
    assert drive(run).state == "succeeded"
    assert (names(), WRITES, refusals) == ({"a"}, [["a"], ["a"]], [1])


def test_a_step_that_fails_waits_or_is_cancelled_has_its_rows_stored_as_well():
    failed, waits = start(Keeps(["f"], "fail")), start(Keeps(["w"], "wait"))
    drive()
    failed.refresh_from_db()
    waits.refresh_from_db()
    assert (failed.state, waits.state, names()) == ("failed", "waiting", {"f", "w"})
    engine.cancel(waits, by=SYSTEM)
    assert drive(waits).state == "cancelled"
    assert names() == {"f", "w", "cancelled"}


def test_steps_that_begin_together_are_prepared_together_and_a_fault_there_stops_none():
    parent = start_family([[Keeps(["a"]), Keeps(["b"], "unprepared")], [Keeps(["c"]), Keeps(["d"])]])
    with override_settings(RUN_THREADS=0):
        sweep(lambda items: Crew().work(items))
    parent.refresh_from_db()
    assert parent.state == "succeeded"
    assert PREPARED[0] == [["a"], ["c"]]
    assert names() == {"a", "b", "c", "d"}
