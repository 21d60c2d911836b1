"""The operations of one execution as their pipes tell of them: what arrives together, and in which order it is taken."""

from __future__ import annotations

import json
import selectors
import socket
import threading
from types import SimpleNamespace

import pytest

from orchestration.runner_pool import OperationPool
from orchestration.runner_process import Child
from orchestration.runner_served import ServedOperations
from orchestration.runner_types import Answer


class Calls:
    """Serves REST calls by remembering them."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self.states: list[dict] = []

    def rules_for(self, operation) -> list:
        return []

    def set_operation_state(self, key: str, state: dict) -> None:
        self.states.append(state)

    def serve(self, message: dict, operation) -> Answer:
        self.served.append(message["path"])
        return Answer(200, {})


@pytest.fixture
def operation(tmp_path):
    """One operation at work, with the other ends of its pipe and lifeline in the hands of the test."""
    pipe, words = socket.socketpair()
    lifeline, end = socket.socketpair()
    child = Child(pipe, lifeline, tmp_path / "work", 65_536)
    host = SimpleNamespace(
        settings=SimpleNamespace(deployments_root=None, operation_line=65_536),
        slots=threading.BoundedSemaphore(1),
        spawn=lambda *args, **more: child,
    )
    calls, delivered = Calls(), []
    with selectors.DefaultSelector() as selector:
        served = ServedOperations(calls, None, None, delivered.append, None)
        pool = OperationPool(host, "acme/dep", calls, selector, delivered.append, served)
        pool.add({"id": "one", "kwargs": {"__cloudify_context": {}}})
        pool.start_waiting()
        yield SimpleNamespace(**{name: value for name, value in locals().items() if name not in ("tmp_path", "pipe")})
        for each in (words, end):
            each.close()


def say(pipe: socket.socket, *messages: dict) -> None:
    pipe.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages))


@pytest.mark.parametrize("first", ["words", "end"])
def test_last_words_and_the_end_in_one_batch_are_both_taken_in_either_order(operation, first):
    say(operation.words, {"t": "rest", "path": "/last"}, {"t": "done", "error": None, "result": "well"})
    operation.words.close()
    say(operation.end, {"status": 0})
    news = [key for key, _ in operation.selector.select(0)]
    assert len(news) == 2, "both are in one batch"
    news.sort(key=lambda key: (key.fileobj is operation.lifeline) == (first == "words"))

    for ready in news:
        ready.data(ready.fileobj)
    for _ in range(2):  # whatever of it a first turn has left
        for ready, _ in operation.selector.select(0):
            ready.data(ready.fileobj)

    assert [(each.id, each.result) for each in operation.delivered] == [
        ("one", {"id": "one", "error": None, "result": "well"})
    ]
    assert operation.calls.served == ["/last"]
    assert operation.pool.is_empty and not operation.selector.get_map()
    assert operation.host.slots.acquire(blocking=False), "its place is free again"


@pytest.mark.parametrize("first", ["words", "end"])
def test_an_end_without_a_result_in_one_batch_with_other_words_fails_the_operation_once(operation, first):
    say(operation.words, {"t": "rest", "path": "/last"})
    say(operation.end, {"status": 9})
    news = [key for key, _ in operation.selector.select(0)]
    assert len(news) == 2
    news.sort(key=lambda key: (key.fileobj is operation.lifeline) == (first == "words"))
    operation.words.close()

    for ready in news:
        ready.data(ready.fileobj)

    (ended,) = operation.delivered
    assert "killed by signal 9" in ended.result["error"]["message"]
    assert operation.calls.served == ["/last"]
