"""The pipe to the portal: JSON lines over a socket, requests answered by number; what the lines mean is said in runner_wire.py."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

Message = dict[str, Any]


class PipeError(Exception):
    """The portal answered something that cannot be used."""


def read_lines(sock: socket.socket) -> Iterator[bytes]:
    """Every line that arrives, until the portal closes the pipe."""
    parts: list[bytes] = []
    while data := sock.recv(262144):
        *lines, rest = data.split(b"\n")
        for line in lines:
            yield b"".join([*parts, line])
            parts = []
        if rest:
            parts.append(rest)


class Channel:
    """A pipe used by one thread: send, then read the answer."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lines = read_lines(sock)

    def send(self, message: Message) -> None:
        """Send one message."""
        self._sock.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> Message:
        """The next message; EOFError when the portal is gone."""
        for line in self._lines:
            message = json.loads(line)
            if isinstance(message, dict):
                return message
            raise PipeError("not an object")
        raise EOFError

    def ask(self, name: str, *arguments: Any) -> Any:
        """Call a method of the portal's storage and return what it returns."""
        self.send({"t": "ask", "name": name, "arguments": list(arguments)})
        answer = self.receive()
        if "missing" in answer:
            raise MissingError(str(answer["missing"]))
        return answer["value"]


class MissingError(Exception):
    """What was asked for does not exist; `status_code` is what the parser looks at."""

    status_code = 404


class Pipe:
    """A pipe used by many threads: a reader hands each answer to the thread that waits for it."""

    def __init__(self, sock: socket.socket, on_command: Callable[[Message], None]) -> None:
        self._sock = sock
        self._on_command = on_command
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[Message]] = {}
        self._number = 0

    def start(self) -> None:
        """Start the reader. Not before: a process with threads must not fork."""
        threading.Thread(target=self._read, name="pipe", daemon=True).start()

    def send(self, message: Message) -> None:
        """Send one message; blocks while the portal is behind, which is the brake on a script that talks too much."""
        data = json.dumps(message).encode() + b"\n"
        with self._lock:
            self._sock.sendall(data)

    def call(self, method: str, path: str, query: Message | None = None, body: Any = None) -> tuple[int, Any]:
        """One REST call: its status and body."""
        answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
        with self._lock:
            self._number += 1
            number = self._number
            self._waiting[number] = answers
        self.send({"t": "rest", "n": number, "method": method, "path": path, "query": query or {}, "body": body})
        answer = answers.get()
        return int(answer["status"]), answer.get("body")

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in read_lines(self._sock):
                message = json.loads(line)
                if message.get("t") == "answer":
                    waiting = self._waiting.pop(message["n"], None)
                    if waiting is not None:
                        waiting.put(message)
                else:
                    self._on_command(message)
        # The portal is gone: take everything that was started here along.
        with contextlib.suppress(OSError):
            os.killpg(0, signal.SIGKILL)
        os._exit(70)
