"""The channel layers: from any thread, to every reader, in this process and through PostgreSQL in others."""

import asyncio
import threading
import time

import psycopg
import pytest
from asgiref.sync import async_to_sync

from runs.layers import CAPACITY, MemoryLayer, PostgresLayer


async def reader(layer, group):
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    return channel


def send_from_threads(layer, group, threads, each):
    def send(number):
        for n in range(each):
            layer.notify(group, {"type": "poke", "n": number * each + n})

    started = [threading.Thread(target=send, args=(number,)) for number in range(threads)]
    for thread in started:
        thread.start()
    return started


async def receive(layer, channel, count, seconds=10):
    return [await asyncio.wait_for(layer.receive(channel), seconds) for _ in range(count)]


def test_what_other_threads_send_arrives_complete_and_at_once():
    layer = MemoryLayer()

    async def listen():
        channel = await reader(layer, "run-1")
        threads = send_from_threads(layer, "run-1", threads=8, each=100)
        found = await receive(layer, channel, 800)
        for thread in threads:
            thread.join()
        began = time.monotonic()
        threading.Thread(target=layer.notify, args=("run-1", {"type": "poke", "n": -1})).start()
        await layer.receive(channel)
        return {message["n"] for message in found}, time.monotonic() - began

    found, seconds = async_to_sync(listen)()
    assert found == set(range(800))
    assert seconds < 0.5


def test_a_message_goes_to_the_members_of_its_group_alone_and_to_each_its_own_copy():
    layer = MemoryLayer()

    async def listen():
        first, second, other = await reader(layer, "a"), await reader(layer, "a"), await reader(layer, "b")
        await layer.group_send("a", {"type": "x"})
        one, two = await layer.receive(first), await layer.receive(second)
        one["type"] = "changed"
        await layer.group_discard("a", first)
        await layer.group_send("a", {"type": "y"})
        await layer.send(other, {"type": "direct"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(layer.receive(first), 0.05)
        return two, await layer.receive(second), await layer.receive(other)

    assert async_to_sync(listen)() == ({"type": "x"}, {"type": "y"}, {"type": "direct"})


def test_a_reader_that_does_not_read_keeps_the_newest_and_costs_no_more():
    layer = MemoryLayer()

    async def listen():
        channel = await reader(layer, "a")
        for number in range(CAPACITY + 5):
            layer.notify("a", {"n": number})
        return await layer.receive(channel)

    assert async_to_sync(listen)() == {"n": 5}


def test_a_reader_that_was_cancelled_is_forgotten():
    layer = MemoryLayer()

    async def listen():
        channel = await reader(layer, "a")
        task = asyncio.create_task(layer.receive(channel))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async_to_sync(listen)()
    assert layer._mailboxes == {} and layer._groups == {}


@pytest.fixture
def postgres_layers(postgres_url, monkeypatch):
    """Two layers on one database, as two processes have them."""

    def connect(self):
        return psycopg.connect(postgres_url, autocommit=True, application_name="layer")

    monkeypatch.setattr(PostgresLayer, "connect", connect)
    layers = PostgresLayer(), PostgresLayer()
    yield layers
    for layer in layers:
        layer.close()
        if layer._listener is not None:
            layer._listener.join(10)


def test_processes_reach_each_other_through_postgresql(postgres_layers):
    near, far = postgres_layers

    async def listen():
        here, there = await reader(near, "run-1"), await reader(far, "run-1")
        threads = send_from_threads(near, "run-1", threads=4, each=25)
        found = await receive(near, here, 100), await receive(far, there, 100)
        for thread in threads:
            thread.join()
        await near.send(there, {"type": "direct"})
        return [{message["n"] for message in messages} for messages in found], await asyncio.wait_for(
            far.receive(there), 5
        )

    assert async_to_sync(listen)() == ([set(range(100))] * 2, {"type": "direct"})


def test_a_lost_connection_is_made_anew(postgres_layers, postgres_url):
    near, far = postgres_layers

    async def listen():
        channel = await reader(far, "a")
        near.notify("a", {"n": 1})
        first = await asyncio.wait_for(far.receive(channel), 5)
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'layer'")
        until = time.monotonic() + 10
        while time.monotonic() < until:
            near.notify("a", {"n": 2})
            try:
                return first, await asyncio.wait_for(far.receive(channel), 0.5)
            except TimeoutError:
                await far.group_add("a", channel)
        return None

    assert async_to_sync(listen)() == ({"n": 1}, {"n": 2})


def test_a_message_that_is_too_long_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="send where to read it"):
        PostgresLayer().publish({"group": "a", "message": {"text": "x" * 8000}})
