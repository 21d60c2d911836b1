"""The websocket of a run: who may look on, no gap, nothing twice, no flood."""

import asyncio
import json
import time

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator

from portal.asgi import application
from runs import consumers, hub
from runs.models import Event
from tests import factories as people
from tests.runs import factories
from tests.runs.drive import drive
from tests.runs.factories import Remote, Thing, start, start_family

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def clean():
    factories.reset()


class Socket(ApplicationCommunicator):
    """A websocket client without a network."""

    def __init__(self, path, query, headers):
        super().__init__(
            application,
            {"type": "websocket", "path": path, "query_string": query.encode(), "headers": headers, "subprotocols": []},
        )

    async def connect(self):
        await self.send_input({"type": "websocket.connect"})
        return (await self.receive_output(5))["type"] == "websocket.accept"

    async def text(self, seconds):
        message = await self.receive_output(seconds)
        assert message["type"] == "websocket.send", message
        return message["text"]

    async def disconnect(self):
        await self.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wait(5)


def socket_of(run_id, token="", after=None):
    query = "" if after is None else f"after={after}"
    headers = (
        [(b"authorization", f"Token {token}".encode()), (b"host", b"127.0.0.1")]
        if token
        else [(b"origin", b"http://127.0.0.1"), (b"host", b"127.0.0.1")]
    )
    return Socket(f"/ws/runs/{run_id}/", query, headers)


async def open_socket(run_id, token, after=None):
    socket = socket_of(run_id, token, after)
    assert await socket.connect()
    return socket


async def read_until(socket, is_enough, seconds=10):
    """All messages until one with which it is enough."""
    messages, until = [], time.monotonic() + seconds
    while True:
        assert time.monotonic() < until, messages[-3:]
        messages.append(json.loads(await socket.text(seconds)))
        if is_enough(messages):
            return messages


def events_in(messages):
    return [event for message in messages if message["type"] == "events" for event in message["events"]]


def has_ended(messages):
    last = [message for message in messages if message["type"] in ("progress", "snapshot")][-1:]
    return (
        bool(last)
        and last[0]["state"] in ("succeeded", "failed", "cancelled")
        and any(
            event["kind"].startswith("run.")
            and event["kind"][4:] == last[0]["state"]
            and event["run"] == last[0]["run"]
            for event in events_in(messages)
        )
    )


async def close_code(socket):
    await socket.connect()
    return (await socket.receive_output(5))["code"]


def test_nobody_looks_on_unproven_from_another_tenant_or_at_nothing(alice, charlie):
    run = start(Thing("a"))
    of_alice, of_charlie = people.token(alice), people.token(charlie)

    async def codes():
        return [
            await close_code(socket_of(run.pk)),
            await close_code(socket_of(run.pk, "ctok-0123456789-wrong")),
            await close_code(socket_of(run.pk, of_charlie)),
            await close_code(socket_of(run.pk + 1000, of_alice)),
        ]

    assert async_to_sync(codes)() == [4401, 4401, 4403, 4404]


def test_a_viewer_sees_a_snapshot_then_every_event_once_and_the_end(alice):
    token, run = people.token(alice), start(Remote("a", 0.3), Thing("b"))

    async def look():
        socket = await open_socket(run.pk, token)
        messages = await read_until(socket, lambda messages: True)
        driving = asyncio.create_task(sync_to_async(drive)(run))
        messages += await read_until(socket, has_ended)
        await driving
        await socket.disconnect()
        return messages

    messages = async_to_sync(look)()
    assert messages[0]["type"] == "snapshot" and messages[0]["state"] == "pending"
    assert messages[0]["progress"]["total"] == 2
    seen = [event["id"] for event in events_in(messages)]
    assert seen == list(Event.objects.filter(run=run).order_by("id").values_list("id", flat=True))
    assert messages[-1]["type"] == "progress" and messages[-1]["progress"]["percent"] == 100


def test_a_viewer_who_comes_back_goes_on_after_the_last_event_that_it_had(alice):
    token, parent = people.token(alice), start_family([[Thing(f"a{n}"), Thing(f"b{n}")] for n in range(5)])
    drive(parent)
    all_ids = list(Event.objects.filter(top=parent).order_by("id").values_list("id", flat=True))

    async def look():
        socket = await open_socket(parent.pk, token, after=all_ids[9])
        messages = await read_until(socket, has_ended)
        await socket.disconnect()
        return messages

    assert [event["id"] for event in events_in(async_to_sync(look)())] == all_ids[10:]


def test_a_child_has_a_tail_of_its_own(alice):
    token, parent = people.token(alice), start_family([[Thing("a")], [Thing("b")]])
    drive(parent)
    child = parent.children.get(position=1)

    async def look():
        socket = await open_socket(child.pk, token)
        messages = await read_until(socket, has_ended)
        await socket.disconnect()
        return messages

    assert {event["run"] for event in events_in(async_to_sync(look)())} == {child.pk}


def test_an_event_that_is_committed_late_is_not_missed_and_not_told_twice(alice):
    token, run = people.token(alice), start(Thing("a"))
    last = Event.objects.latest("id").pk

    def write(pk, message):
        Event.objects.create(pk=pk, run=run, top=run, kind="message", message=message)

    async def look():
        socket = await open_socket(run.pk, token)
        await read_until(socket, lambda messages: len(events_in(messages)) >= 1)
        await sync_to_async(write)(last + 3, "younger, committed first")
        messages = await read_until(socket, lambda messages: len(events_in(messages)) >= 1)
        await sync_to_async(write)(last + 2, "older, committed late")
        messages += await read_until(socket, lambda messages: len(events_in(messages)) >= 1)
        await sync_to_async(write)(last + 4, "the next")
        messages += await read_until(socket, lambda messages: len(events_in(messages)) >= 1)
        await socket.disconnect()
        return messages

    told = [event["message"] for event in events_in(async_to_sync(look)())]
    assert told == ["younger, committed first", "older, committed late", "the next"]


def test_many_events_come_in_at_most_five_messages_a_second_and_are_encoded_once_for_all(alice, monkeypatch):
    token, run = people.token(alice), start(Thing("a"))
    encoded = []
    encode = hub.encode_events
    monkeypatch.setattr(
        hub, "encode_events", lambda events, cursor: encoded.append(len(events)) or encode(events, cursor)
    )

    def write(number):
        Event.objects.bulk_create(Event(run=run, top=run, kind="message", message=f"{number}.{n}") for n in range(20))

    async def look():
        sockets = [await open_socket(run.pk, token) for _ in range(5)]
        for socket in sockets:
            await read_until(socket, lambda messages: len(events_in(messages)) >= 1)
        await asyncio.sleep(0.5)
        began = time.monotonic()
        for number in range(40):
            await sync_to_async(write)(number)
            await asyncio.sleep(0.025)
        found = [await read_until(socket, lambda messages: len(events_in(messages)) >= 800) for socket in sockets]
        seconds = time.monotonic() - began
        for socket in sockets:
            await socket.disconnect()
        return found, seconds

    found, seconds = async_to_sync(look)()
    assert all(len(events_in(messages)) == 800 for messages in found)
    assert sum(encoded) == 800
    assert len(encoded) <= 5 * seconds + 2


def test_a_socket_that_is_too_slow_reads_what_it_missed_from_the_database(alice, monkeypatch):
    monkeypatch.setattr(hub, "BACKLOG", 2)
    token, run = people.token(alice), start(Thing("a"))

    async def look():
        socket = await open_socket(run.pk, token)
        await read_until(socket, lambda messages: len(events_in(messages)) >= 1)
        tail = hub.hub().tails[run.pk]
        (viewer,) = tail.viewers
        await sync_to_async(
            lambda: [Event.objects.create(run=run, top=run, kind="message", message=str(n)) for n in range(9)]
        )()
        for event in await sync_to_async(hub.read_events)(tail.subject, tail.cursor):
            tail.tell(hub.News([], [event], None))  # nine messages at once, while the sender sleeps
        assert not viewer.is_live
        messages = await read_until(socket, lambda messages: len(events_in(messages)) >= 9)
        await socket.disconnect()
        return messages

    assert [event["message"] for event in events_in(async_to_sync(look)())] == [str(n) for n in range(9)]


def test_who_loses_the_role_is_sent_away(alice, acme, monkeypatch):
    monkeypatch.setattr(consumers, "RECHECK_SECONDS", 0.3)
    token, run = people.token(alice), start(Thing("a"))

    async def look():
        socket = await open_socket(run.pk, token)
        await read_until(socket, lambda messages: len(events_in(messages)) >= 1)
        await sync_to_async(lambda: alice.memberships.all().delete())()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            message = await socket.receive_output(5)
            if message["type"] == "websocket.close":
                return message["code"]
        return None

    assert async_to_sync(look)() == 4403


def test_a_tail_ends_with_its_last_viewer(alice):
    token, run = people.token(alice), start(Thing("a"))

    async def look():
        first, second = await open_socket(run.pk, token), await open_socket(run.pk, token)
        for socket in (first, second):
            await read_until(socket, lambda messages: len(events_in(messages)) >= 1)
        await first.disconnect()
        assert run.pk in hub.hub().tails
        await second.disconnect()
        return list(hub.hub().tails)

    assert async_to_sync(look)() == []
