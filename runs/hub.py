"""Feeds the sockets of this process: reads what is new in a run once, encodes it once, hands it to all who look on."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import time
from collections import deque
from collections.abc import Collection
from typing import Any

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.db import DatabaseError
from django.db.models import QuerySet

from runs import clock
from runs.models import Event, Run
from runs.pokes import group_of
from runs.reads import UNSETTLED_SECONDS, event_json, progress, why_waiting

UPDATE_SECONDS = 0.2  # at most five updates a second
LOOK_SECONDS = 1.0  # without a nudge: it may have been lost
PAGE = 2000  # events in one message
BACKLOG = 50  # messages that a slow socket may leave unsent; then it reads from the database again
logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is looked at: a run with its children, or one child."""

    run_id: int
    top_id: int

    @property
    def events(self) -> QuerySet[Event]:
        own = Event.objects.filter(top_id=self.top_id)
        return own if self.run_id == self.top_id else Event.objects.filter(run_id=self.run_id)


def read_events(subject: Subject, cursor: int, limit: int = PAGE) -> list[dict[str, Any]]:
    """The next page after a cursor."""
    return [event_json(event) for event in subject.events.filter(id__gt=cursor).order_by("id")[:limit]]


def read_late(subject: Subject, cursor: int, young: Collection[int]) -> list[dict[str, Any]]:
    """Events that were committed after younger ones: as young as those that were seen lately, and not among them."""
    if not young:
        return []
    ids = subject.events.filter(id__gte=min(young), id__lte=cursor).values_list("id", flat=True)
    late = [pk for pk in ids if pk not in young]
    return [event_json(event) for event in subject.events.filter(id__in=late).order_by("id")] if late else []


def read_last(subject: Subject) -> tuple[int, dict[int, float]]:
    """The last id, and the young ones, whose neighbours may still come: {id: when it may be forgotten}."""
    newest = list(subject.events.order_by("-id").values_list("id", "at")[:PAGE])
    clock.read_if_old()
    now, moment = clock.now(), time.monotonic()
    young = {pk: moment + UNSETTLED_SECONDS for pk, at in newest if (now - at).total_seconds() < UNSETTLED_SECONDS}
    return (newest[0][0] if newest else 0), young


def read_state(subject: Subject) -> dict[str, Any] | None:
    """{"run", "title", "state", "why", "cause", "progress"}; None when the run is gone."""
    run = Run.objects.select_related("parent").filter(pk=subject.run_id).first()
    if run is None:
        return None
    why = run.why if run.ended_at else why_waiting(run)
    return {
        "run": run.pk,
        "title": run.title,
        "state": run.state,
        "why": why,
        "cause": run.cause,
        "progress": progress(run),
    }


@dataclasses.dataclass(frozen=True)
class News:
    """What one look at the database found."""

    late: list[dict[str, Any]]
    fresh: list[dict[str, Any]]
    state: dict[str, Any] | None


def read_news(subject: Subject, cursor: int, young: Collection[int]) -> News:
    """Late events, then those after the cursor, then the state: the state is never older than the events before it."""
    return News(read_late(subject, cursor, young), read_events(subject, cursor), read_state(subject))


def encode_events(events: list[dict[str, Any]], cursor: int) -> str:
    return json.dumps({"type": "events", "events": events, "cursor": cursor}, separators=(",", ":"))


class Viewer:
    """One socket's end of a tail."""

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor  # up to where it has sent
        self.is_live = False  # has all that the tail had, and gets the rest from it
        self.sent: set[int] = set()  # what it read by itself lately, and may come again from the tail
        self.queue: asyncio.Queue[tuple[str, int]] = asyncio.Queue(BACKLOG)

    def put(self, text: str, cursor: int = 0) -> None:
        """Queue a message that goes up to a cursor; a socket that is too slow falls back to reading from where it stands."""
        if not self.is_live:
            return
        try:
            self.queue.put_nowait((text, cursor))
        except asyncio.QueueFull:
            self.is_live = False
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(("", 0))  # wakes the sender, which then catches up


class Tail:
    """What one run, or a parent with its children, tells to its viewers in this process."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.viewers: set[Viewer] = set()
        self.cursor = 0
        self.young: dict[int, float] = {}
        self.state_text = ""
        self.ready = asyncio.Event()
        self.news = asyncio.Event()
        self.tasks = [asyncio.create_task(self.run()), asyncio.create_task(self.listen())]

    async def listen(self) -> None:
        """Turn nudges into a look."""
        layer, group = get_channel_layer(), group_of(self.subject.top_id)
        channel = await layer.new_channel()
        await layer.group_add(group, channel)
        try:
            while True:
                await layer.receive(channel)
                self.news.set()
        finally:
            await layer.group_discard(group, channel)

    async def run(self) -> None:
        self.cursor, self.young = await database_sync_to_async(read_last)(self.subject)
        self.ready.set()
        while True:
            began = time.monotonic()
            self.news.clear()
            try:
                self.tell(await database_sync_to_async(read_news)(self.subject, self.cursor, self.young))
            except DatabaseError as error:
                logger.warning(
                    "Events of R-%d could not be read and are asked for again: %s", self.subject.run_id, error
                )
            await asyncio.sleep(max(0.0, UPDATE_SECONDS - (time.monotonic() - began)))
            try:
                await asyncio.wait_for(self.news.wait(), LOOK_SECONDS)
            except TimeoutError:
                pass

    def tell(self, news: News) -> None:
        """Send what is new to all live viewers, then how far the run is, where that has changed."""
        moment = time.monotonic()
        self.young = {pk: until for pk, until in self.young.items() if until > moment}
        self.young |= {event["id"]: moment + UNSETTLED_SECONDS for event in (*news.late, *news.fresh)}
        live = [viewer for viewer in self.viewers if viewer.is_live]
        for viewer in live if news.late else ():
            missing = [
                event for event in news.late if event["id"] not in viewer.sent
            ]  # it may have read some by itself
            if missing:
                viewer.put(encode_events(missing, viewer.cursor))
        if news.fresh:
            self.cursor = news.fresh[-1]["id"]
            text = encode_events(news.fresh, self.cursor)
            for viewer in live:
                viewer.put(text, self.cursor)
            if len(news.fresh) == PAGE:
                self.news.set()
        text = json.dumps({"type": "progress", **(news.state or {})})
        if text != self.state_text:
            self.state_text = text
            for viewer in live:
                viewer.put(text)

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()


class Hub:
    """The tails of one event loop: one for each run that somebody looks at."""

    def __init__(self) -> None:
        self.tails: dict[int, Tail] = {}

    async def join(self, subject: Subject, viewer: Viewer) -> Tail:
        """Look on; the tail that feeds the viewer from now on."""
        tail = self.tails.get(subject.run_id)
        if tail is None:
            tail = self.tails[subject.run_id] = Tail(subject)
        tail.viewers.add(viewer)
        await tail.ready.wait()
        return tail

    def leave(self, subject: Subject, viewer: Viewer) -> None:
        """Look on no more; a tail without viewers ends."""
        tail = self.tails.get(subject.run_id)
        if tail is not None:
            tail.viewers.discard(viewer)
            if not tail.viewers:
                tail.close()
                del self.tails[subject.run_id]


_hubs: deque[tuple[asyncio.AbstractEventLoop, Hub]] = deque(maxlen=4)


def hub() -> Hub:
    """The hub of the running event loop; a process that serves has one loop, tests have one each."""
    loop = asyncio.get_running_loop()
    for known, found in _hubs:
        if known is loop:
            return found
    _hubs.append((loop, Hub()))
    return _hubs[-1][1]
