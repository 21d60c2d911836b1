"""Workers: the fence, handing on, the lease, patience with the database, and many targets that wait elsewhere."""

import time
import uuid
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test import override_settings
from django.utils import timezone

from runs import executor, work, workers
from runs.desk import Desk, Slip, claim, desk
from runs.models import Event, Lease, Step, Worker
from runs.sweeper import keep_house, sweep
from runs.work import Crew
from tests.runs import factories
from tests.runs.drive import drive
from tests.runs.factories import CALLS, GATE, Gated, Remote, Thing, start, start_family

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def clean():
    factories.reset()


def due_items():
    return list(Step.objects.exclude(next_look_at=None).values_list("run_id", "pk", "attempt"))


def begin(run):
    """A crew with the run's step in hand, whose operation has not run yet."""
    crew = Crew()
    (context,) = claim(due_items())
    crew.in_hand[context.step_id] = context
    workers.me.in_hand[context.step_id] = context.attempt
    return crew, context


@pytest.fixture(autouse=True)
def empty_hands():
    yield
    workers.me.in_hand.clear()


def test_a_message_that_comes_twice_begins_a_step_once():
    start(Thing("a"))
    items = due_items()
    assert len(claim(items)) == 1
    assert claim(items) == []


def test_a_worker_that_wakes_up_late_writes_nothing():
    run = start(Thing("a"))
    late, context = begin(run)
    late_outcome = executor.perform(context)
    # Meanwhile it was taken for dead, and somebody else repeats the step.
    factories.WORLD.clear()
    assert workers.hand_on([context.step]) == 1
    second = claim(due_items())
    desk.write(Slip(late, [(context, late_outcome)], []))
    step = run.steps.get()
    assert (step.state, step.attempt, second[0].attempt) == ("running", 2, 2)
    assert late.in_hand == {}
    assert not Event.objects.filter(run=run, kind="step.succeeded").exists()


def test_what_a_late_worker_says_is_dropped_too():
    run = start(Thing("a"))
    late, context = begin(run)
    context.say("still here")
    workers.hand_on([context.step])
    desk.write(Slip(late, [], context.take_said()))
    assert not Event.objects.filter(run=run, message="still here").exists()


def test_the_step_of_a_dead_worker_is_repeated_and_its_event_says_so():
    run = start(Thing("a"), Thing("b"))
    begin(run)
    dead = uuid.uuid4()
    run.steps.filter(position=0).update(worker=dead)
    Worker.objects.create(pk=dead, name="gone", heartbeat_at=timezone.now() - timedelta(minutes=5))
    keep_house(workers.Watch())
    drive(run)
    assert (run.state, run.attempt) == ("succeeded", 2)
    assert run.steps.first().attempt == 2
    caught = Event.objects.get(run=run, kind="step.pending")
    assert caught.message == "Bring about a: Its worker stopped. It was caught in the middle and is repeated."


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_hangs_in_the_middle_of_writing_rows_loses_its_locks_and_so_its_step():
    if connection.vendor != "postgresql":
        return  # only one process writes to SQLite
    run = start(Thing("a"))
    begin(run)
    dead = uuid.uuid4()
    run.steps.update(worker=dead)
    Worker.objects.create(pk=dead, name="hangs", heartbeat_at=timezone.now() - timedelta(minutes=5))
    with psycopg.connect(**connection.get_connection_params()) as other, idle_at_most("300ms"):
        with pytest.raises(psycopg.OperationalError), other.pipeline():
            other.execute(f"SELECT * FROM runs_run WHERE id = {run.pk} FOR UPDATE")
            other.pgconn.send_flush_request()
            other.pgconn.flush()  # as executemany in the middle of its rows
            time.sleep(0.6)
            assert workers.hand_on_from_dead() == 0  # the server would wait for the rest for ever
            keep_house(workers.Watch())
            other.execute("SELECT 1").fetchone()
    assert drive(run).state == "succeeded"
    assert run.steps.get().attempt == 2


def test_a_session_that_is_at_work_is_not_ended():
    if connection.vendor != "postgresql":
        assert workers.end_silent_sessions() == 0
        return
    with psycopg.connect(**connection.get_connection_params()) as other, other.pipeline(), idle_at_most("10s"):
        other.execute("SELECT 1")
        other.pgconn.send_flush_request()
        other.pgconn.flush()
        assert workers.end_silent_sessions() == 0
        assert other.execute("SELECT 2").fetchone() == (2,)


@contextmanager
def idle_at_most(time_with_unit):
    """How long a session of this process may be idle in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{time_with_unit}'")
        yield
        cursor.execute("RESET idle_in_transaction_session_timeout")


def test_the_step_of_a_living_worker_is_left_to_it():
    run = start(Thing("a"))
    begin(run)
    alive = uuid.uuid4()
    run.steps.update(worker=alive)
    Worker.objects.create(pk=alive, name="busy")
    keep_house(workers.Watch())
    assert run.steps.get().state == "running"


def test_what_a_dead_worker_was_told_of_and_had_not_begun_is_due_again():
    other = Worker.objects.create(pk=uuid.uuid4(), name="other")
    watch = workers.Watch()
    watch.look(0)
    run = start(Thing("a"))
    assert sweep(lambda items: None) == 1  # the message lies with the other one
    keep_house(watch)
    assert sweep(lambda items: None) == 0
    Worker.objects.filter(pk=other.pk).update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    watch.look(1)
    keep_house(watch)
    assert drive(run, seconds=3).state == "succeeded"
    assert run.steps.get().attempt == 1 and not watch.lost


def test_after_a_loss_messages_are_sent_again_sooner(settings):
    watch = workers.Watch()
    assert watch.patience(time.monotonic()) is None
    watch.settle(100.0)
    start(Thing("a"))
    sent = []
    sweep(sent.append, patience=watch.patience(101))
    again = Step.objects.get().next_look_at - timezone.now()
    assert timedelta(0) < again <= timedelta(seconds=settings.RUN_DEAD_AFTER_SECONDS / 2)
    assert watch.patience(100 + 10 * settings.RUN_DEAD_AFTER_SECONDS) is None


def test_after_the_database_was_away_nobody_is_dead_who_had_no_time_to_speak(settings):
    watch = workers.Watch()
    watch.beat(100)
    watch.beat(100 + settings.RUN_HEARTBEAT_SECONDS)
    assert watch.can_tell(100 + settings.RUN_HEARTBEAT_SECONDS)
    run = start(Thing("a"))
    begin(run)
    silent = uuid.uuid4()
    Worker.objects.create(pk=silent, name="silent", heartbeat_at=timezone.now() - timedelta(seconds=30))
    run.steps.update(worker=silent)
    now = time.monotonic()
    watch.beat(now)  # for the first time after a long while
    watch.look(now)
    keep_house(watch)
    assert not watch.can_tell(now) and run.steps.get().state == "running"
    watch.beat(now + 1)
    assert watch.can_tell(now + settings.RUN_DEAD_AFTER_SECONDS)


def test_a_step_that_no_thread_knows_of_is_handed_on_at_the_second_look():
    run = start(Thing("a"))
    _, context = begin(run)
    workers.me.in_hand.clear()
    suspects = workers.hand_on_lost({})
    assert (suspects, run.steps.get().state) == ({context.step_id: 1}, "running")
    workers.hand_on_lost(suspects)
    assert run.steps.get().state == "pending"


def test_a_successor_takes_over_at_once():
    waiting = start(Remote("b", 0.0, look=3600))
    drive()
    caught, sent = start(Thing("a")), start(Thing("c"))
    dead = uuid.uuid4()
    caught.steps.update(state="running", worker=dead, attempt=1, next_look_at=None)
    sweep(lambda items: None)  # the message died with the process
    Lease.objects.create(name="sweeper", worker=dead, until=timezone.now() + timedelta(hours=1))
    assert workers.succeed(dead) == 1
    assert workers.hold_lease("sweeper", 5)
    for run in (caught, sent, waiting):
        assert drive(run, seconds=3).state == "succeeded"
    assert caught.steps.get().attempt == 2 and sent.steps.get().attempt == 1


def test_one_worker_at_a_time_has_the_lease():
    other = uuid.uuid4()
    assert workers.hold_lease("sweeper", 5) and workers.hold_lease("sweeper", 5)
    Lease.objects.update(worker=other)
    assert not workers.hold_lease("sweeper", 5)
    Lease.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert workers.hold_lease("sweeper", 5)


def test_what_is_due_is_sent_once_until_its_message_has_expired():
    start(Thing("a"))
    sent = []
    assert sweep(sent.append) == 1
    assert sweep(sent.append) == 0
    Step.objects.update(next_look_at=timezone.now())
    assert sweep(sent.append) == 1
    assert sent[0] == sent[1]


def test_cheap_steps_of_many_targets_go_into_one_message_and_others_go_alone():
    start_family([[Thing(f"a{n}")] for n in range(30)] + [[Gated(f"g{n}")] for n in range(3)])
    sent = []
    sweep(sent.append)
    assert sorted(len(items) for items in sent) == [1, 1, 1, 30]
    Step.objects.update(next_look_at=timezone.now())
    sent.clear()
    sweep(sent.append, processes=3)
    assert sorted(len(items) for items in sent) == [1, 1, 1, 10, 10, 10]


def test_a_broker_that_is_away_is_asked_again_soon():
    start(Thing("a"))

    def refuse(items):
        raise ConnectionRefusedError("no broker")

    sweep(refuse)
    wait = (Step.objects.get().next_look_at - timezone.now()).total_seconds()
    assert 1 < wait <= 2


@pytest.mark.django_db(transaction=True)
def test_a_database_that_refuses_a_transaction_is_asked_again(monkeypatch):
    run, refusals = start(Thing("a")), []
    write_reports = Desk.write_reports

    def refuse_twice(self, slips):
        if len(refusals) < 2:
            refusals.append(1)
            raise OperationalError("the connection was lost")
        return write_reports(self, slips)

    monkeypatch.setattr(Desk, "write_reports", refuse_twice)
    drive(run)
    assert (run.state, len(refusals), CALLS["apply a"]) == ("succeeded", 2, 1)


def test_a_task_that_breaks_off_hands_on_what_it_had(monkeypatch):
    run = start(Thing("a"))

    def break_off(self, slips):
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(Desk, "write_reports", break_off)
        with pytest.raises(MemoryError), override_settings(RUN_THREADS=0):
            sweep(lambda items: Crew().work(items))
    assert workers.me.in_hand == {}
    drive(run)
    assert run.state == "succeeded"


def test_what_goes_wrong_for_one_task_is_told_to_all_whose_slips_were_written_with_it(monkeypatch):
    runs = [start(Thing("a")), start(Thing("b"))]
    crews = []
    for context in claim(due_items()):
        crew = Crew()
        crew.in_hand[context.step_id] = context
        crews.append((crew, Slip(crew, [(context, executor.perform(context))], [])))
    own = Desk()
    monkeypatch.setattr(own, "write_reports", lambda slips: 1 / 0)
    own._slips.put(crews[1][1])
    with pytest.raises(ZeroDivisionError):
        own.write(crews[0][1])
    assert isinstance(crews[1][1].error, ZeroDivisionError)
    assert [len(crew.in_hand) for crew, _ in crews] == [1, 1]
    for crew, _ in crews:
        crew.give_up()
    assert [drive(run).state for run in runs] == ["succeeded", "succeeded"]


@pytest.mark.django_db(transaction=True)
def test_a_task_goes_on_with_cheap_steps_and_ends_when_its_time_is_up(monkeypatch):
    run = start(Thing("a"), Thing("b"), Thing("c"))
    messages = []

    def work_on(items):
        messages.append(items)
        Crew().work(items)

    with override_settings(RUN_THREADS=0):
        sweep(work_on)
        run.refresh_from_db()
        assert (run.state, len(messages)) == ("succeeded", 1)
        monkeypatch.setattr(work, "BUDGET_SECONDS", 0.0)
        second = start(Thing("d"), Thing("e"), Thing("f"))
        for _ in range(3):
            sweep(work_on)
    second.refresh_from_db()
    assert (second.state, len(messages)) == ("succeeded", 4)


@pytest.mark.django_db(transaction=True)
def test_messages_of_a_long_operation_can_be_read_while_it_works(workers):
    run = start(Gated("a"))
    workers.wait_for(lambda: Event.objects.filter(run=run, message="began").exists())
    assert run.steps.get().state == "running"
    GATE.set()
    workers.wait_for_end(run)
    assert run.state == "succeeded"


@pytest.mark.django_db(transaction=True)
def test_two_hundred_targets_that_wait_elsewhere_wait_together(workers):
    """Scaled down: 200 targets that each need 6 s elsewhere, with four worker threads, end in under 12 s."""
    began = time.monotonic()
    parent = start_family(
        [[Remote(f"a{n}", 6, look=1.0), Thing(f"b{n}")] for n in range(200)], locks=[f"e:{n}" for n in range(200)]
    )
    workers.wait_for_end(parent, 60)
    seconds = time.monotonic() - began
    assert parent.state == "succeeded"
    assert parent.children.filter(state="succeeded").count() == 200
    assert seconds < 12


@pytest.mark.django_db(transaction=True)
def test_what_waits_a_moment_is_looked_at_when_that_moment_has_passed(workers):
    run = start(Remote("a", 0.3, look=0.1))
    workers.wait_for_end(run)
    assert (run.ended_at - run.started_at).total_seconds() < 1.5
