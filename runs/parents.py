"""What the end of a run sets free: the next children of its parent, the parent's own end, and whoever waits for its lock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from runs import clock
from runs.ledger import Adopt, Book, nobody, opened
from runs.models import Event, Run
from runs.pokes import poke_after_commit
from runs.states import ACTIVE_RUN_STATES, FINAL_RUN_STATES, RunState

RELEASE_AT_ONCE = 200  # children released in one transaction
NOT_STARTED = "not-started"  # cause of children that were cancelled before they began
AT_WORK = "Its runs are at work."
TURN = "Waits for its turn among the runs beside it."


def holder_of(lock: str) -> Run | None:
    """The active run that has the lock."""
    return Run.objects.filter(lock=lock, state__in=ACTIVE_RUN_STATES).first() if lock else None


def why_locked(run: Run, holder: Run | None) -> str:
    """Words for a run that is held because another one has its lock."""
    name = f"R-{holder.pk} ({holder.title})" if holder else "another run"
    return f"{name} is at work on the same thing ({run.lock}). Starts when it has ended."


def admit(run: Run) -> bool:
    """Let a held run start if its lock is free; else it stays held and names the holder."""
    holder = holder_of(run.lock)
    if holder is None:
        try:
            with transaction.atomic():
                return run.move(RunState.PENDING, only_from=RunState.HELD, why="Waits for a free worker.")
        except IntegrityError:  # somebody took the lock a moment ago
            holder = holder_of(run.lock)
            run.refresh_from_db()
    why = why_locked(run, holder)[:512]
    if run.why != why and Run.objects.filter(pk=run.pk, state=RunState.HELD).update(why=why):
        run.why = why
    return False


def follow(ended: Iterable[Run], adopt: Adopt = nobody) -> list[Book]:
    """These runs have ended: start what waited for it. Books of the runs that were released, in which steps may have begun."""
    ended = list(ended)
    waiting = set(release_locks({run.lock for run in ended if run.lock}))
    parents = {run.parent_id for run in ended if run.parent_id} | waiting
    return [book for parent_id in sorted(parents) for book in advance_with(parent_id, adopt)]


def release_locks(locks: set[str]) -> list[int]:
    """Start the oldest run without a parent that is held for each free lock; ids of the parents of other runs held for them."""
    parents: list[int] = []
    if not locks:
        return parents
    seen: set[str] = set()
    for run in Run.objects.filter(state=RunState.HELD, lock__in=locks).order_by("pk"):
        if run.parent_id:
            parents.append(run.parent_id)
        elif run.lock not in seen and admit(run):
            seen.add(run.lock)
            start(run)
    return parents


def start(run: Run) -> None:
    """Make the first steps of an admitted run due, or release the first children of an admitted parent."""
    if run.is_parent:
        advance(run)
        return
    with opened([run.pk]) as book:
        book.settle(book.runs[run.pk])
    follow(book.ended)


def advance(parent: Run) -> None:
    """Release children up to `max_parallel`, or end the parent. Children and their parent are made in one transaction with this."""
    advance_with(parent.pk, nobody)


def advance_with(parent_id: int, adopt: Adopt, *, skip_locked: bool = False) -> list[Book]:
    """The same, and the books of the children that were released."""
    books: list[Book] = []
    while True:
        with transaction.atomic():
            parent = Run.objects.select_for_update(no_key=True, skip_locked=skip_locked).filter(pk=parent_id).first()
            if parent is None or parent.state in FINAL_RUN_STATES or parent.state == RunState.HELD:
                return books
            book = advance_once(parent, adopt)
        if book is not None:
            books.append(book)
        if parent.state in FINAL_RUN_STATES and parent.lock:
            release_locks({parent.lock})
        if book is None or not (book.ended or len(book.runs) == RELEASE_AT_ONCE):
            return books
        if book.ended:  # children without steps
            release_locks({run.lock for run in book.ended if run.lock})


def advance_once(parent: Run, adopt: Adopt) -> Book | None:
    """One batch of children, with the parent locked; None when there is none to release."""
    counts = dict(parent.children.values_list("state").annotate(Count("pk")).order_by())
    held = counts.get(RunState.HELD, 0)
    active = sum(counts.get(state, 0) for state in ACTIVE_RUN_STATES)
    failed = counts.get(RunState.FAILED, 0)
    is_over_budget = parent.failure_budget is not None and failed > parent.failure_budget
    is_stopping = is_over_budget or parent.is_cancel_requested
    free = min(held, RELEASE_AT_ONCE, parent.max_parallel - active if parent.max_parallel else held)
    if free > 0 and not is_stopping and not parent.is_pause_requested:
        book = release_children(parent, free, adopt)
        if book is not None:
            tell(parent, RunState.RUNNING, AT_WORK)
            return book
    if active and is_stopping:
        why = parent.request or f"{failed} failed, {parent.failure_budget} allowed: nothing more starts."
        tell(parent, RunState.RUNNING, f"{why} Waits for the {active} at work.")
    elif active and parent.is_pause_requested:
        at_work = active - counts.get(RunState.PAUSED, 0)
        more = f" Goes on until the {at_work} at work come to rest." if at_work else ""
        tell(parent, RunState.RUNNING if at_work else RunState.PAUSED, parent.request + more)
    elif active:
        tell(parent, RunState.RUNNING, AT_WORK)
    elif held and parent.is_pause_requested:
        tell(parent, RunState.PAUSED, parent.request)
    elif held and not is_stopping:
        tell(parent, RunState.WAITING, "All that is left is held: other runs are at work on the same things.")
    else:
        end(parent, counts, is_over_budget)
    return None


def release_children(parent: Run, free: int, adopt: Adopt) -> Book | None:
    """Start held children in order, without those whose lock is taken, which then name its holder."""
    others = Run.objects.filter(lock=OuterRef("lock"), state__in=ACTIVE_RUN_STATES)
    held = parent.children.filter(state=RunState.HELD).order_by("position")
    ready: dict[int, str] = dict(held.filter(Q(lock="") | ~Exists(others)).values_list("pk", "lock")[:free])
    if len(ready) < free:
        for run in held.filter(Exists(others)).exclude(lock="")[:RELEASE_AT_ONCE]:
            admit(run)
    first_of = {lock: pk for pk, lock in reversed(ready.items()) if lock}
    ids = [pk for pk, lock in ready.items() if not lock or first_of[lock] == pk]
    try:
        return begin_children(ids, adopt) if ids else None
    except IntegrityError:  # one of the locks was taken a moment ago: one by one
        ids = [run.pk for run in Run.objects.filter(pk__in=ids).order_by("position") if admit(run)]
        return begin_children(ids, adopt) if ids else None


def begin_children(ids: list[int], adopt: Adopt) -> Book:
    with opened(ids, adopt) as book:
        for run in book.runs.values():
            if run.state == RunState.HELD:
                book.move_run(run, RunState.PENDING, "Waits for a free worker.")
            book.settle(run)
    return book


def cancel_held(children: QuerySet[Run], why: str) -> int:
    """Cancel children that were never started; the number of them."""
    ids = list(children.filter(state=RunState.HELD).order_by("position").values_list("pk", "parent_id"))
    now = clock.now()
    Run.objects.filter(pk__in=[pk for pk, _ in ids], state=RunState.HELD).update(
        state=RunState.CANCELLED, why=why[:512], cause=NOT_STARTED, ended_at=now
    )
    Event.objects.bulk_create(
        Event(run_id=pk, top_id=parent_id or pk, kind="run.cancelled", message=why, at=now) for pk, parent_id in ids
    )
    return len(ids)


def tell(parent: Run, state: RunState, why: str) -> None:
    """The parent goes on; an event only where its state changes."""
    if parent.state != state:
        more = {} if parent.started_at else {"started_at": clock.now()}
        parent.move(state, only_from=sorted(ACTIVE_RUN_STATES), why=why[:512], **more)
    elif parent.why != why:
        Run.objects.filter(pk=parent.pk).update(why=why[:512])


def end(parent: Run, counts: dict[str, int], is_over_budget: bool) -> None:
    """Nothing is at work and nothing more will start."""
    cancelled, failed = counts.get(RunState.CANCELLED, 0), counts.get(RunState.FAILED, 0)
    if counts.get(RunState.HELD):
        words = "Not started: the failure budget was used up." if is_over_budget else f"Not started. {parent.request}"
        cancelled += cancel_held(parent.children.all(), words)
    total = sum(counts.values())
    if parent.is_cancel_requested:
        state, why = (
            RunState.CANCELLED,
            f"{parent.request} {counts.get(RunState.SUCCEEDED, 0)} of {total} had succeeded.",
        )
    elif failed:
        state, why = RunState.FAILED, f"{failed} of {total} failed"
        why += f", {cancelled} were not carried out." if cancelled else "."
    elif cancelled:
        state, why = RunState.CANCELLED, f"{cancelled} of {total} were cancelled."
    else:
        state, why = RunState.SUCCEEDED, ""
    parent.move(
        state,
        only_from=sorted(ACTIVE_RUN_STATES),
        why=why,
        cause="children" if state == RunState.FAILED else "",
        ended_at=clock.now(),
        started_at=parent.started_at or clock.now(),
        is_pause_requested=False,
        next_look_at=None,
    )
    poke_after_commit({parent.pk})


def advance_all() -> None:
    """For the sweeper: parents whose process died between the end of a child and what follows, and locks left free."""
    # One without children may still be in the making: its maker advances it.
    made = Exists(Run.objects.filter(parent=OuterRef("pk")))
    for parent in Run.objects.filter(made, plan=None, parent=None, state__in=ACTIVE_RUN_STATES).order_by("pk"):
        advance_with(parent.pk, nobody, skip_locked=True)
    taken = Run.objects.filter(lock=OuterRef("lock"), state__in=ACTIVE_RUN_STATES)
    held: Sequence[str] = list(
        Run.objects.filter(state=RunState.HELD, parent=None).filter(~Exists(taken)).values_list("lock", flat=True)[:100]
    )
    release_locks({lock for lock in held if lock})
