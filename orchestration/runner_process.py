"""One child of the runner as the portal holds it: the pipe it talks on, the lifeline that ends it, its work folder."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from orchestration.runner_types import Row

SEND_TIMEOUT = 15.0
CHUNK = 262_144


class LineTooLong(Exception):
    """A child sent a line beyond its cap."""


class Child:
    """A forked process and everything that it starts; closing the lifeline ends it all."""

    def __init__(self, pipe: socket.socket, lifeline: socket.socket, work: Path, line_limit: int) -> None:
        self.pipe = pipe
        self.lifeline = lifeline
        self.work = work
        self.line_limit = line_limit
        self.ended = False
        self.status: int | None = None
        self.problem: str | None = None
        self._parts: list[bytes] = []
        self._length = 0
        self._said = b""
        pipe.settimeout(SEND_TIMEOUT)
        lifeline.settimeout(SEND_TIMEOUT)

    def send(self, message: Row) -> bool:
        """Send one message; False if the child is gone or does not read (it is ended then)."""
        try:
            self.pipe.sendall(json.dumps(message).encode() + b"\n")
        except TimeoutError:
            self.kill()
            return False
        except OSError:
            return False
        return True

    def read(self) -> Iterator[Row] | None:
        """The messages that are there now; None at the end of the pipe. Call it when the pipe is readable."""
        try:
            data = self.pipe.recv(CHUNK)
        except OSError:
            return None
        if not data:
            return None
        *lines, rest = data.split(b"\n")
        found = []
        for line in lines:
            found.append(b"".join([*self._parts, line]))
            self._parts, self._length = [], 0
        self._parts.append(rest)
        self._length += len(rest)
        if self._length > self.line_limit:
            raise LineTooLong
        return (message for message in map(self._decode, found) if message is not None)

    def _decode(self, line: bytes) -> Row | None:
        if len(line) > self.line_limit:
            raise LineTooLong
        with contextlib.suppress(ValueError, RecursionError):
            message = json.loads(line)
            if isinstance(message, dict):
                return message
        return None

    def read_lifeline(self) -> None:
        """The supervisor's word on how the child ended; sets `ended`. Call it when the lifeline is readable."""
        try:
            data = self.lifeline.recv(CHUNK)
        except OSError:
            data = b""
        self._said += data
        if data and b"\n" not in data:
            return
        self.ended = True
        with contextlib.suppress(ValueError):
            said = json.loads(self._said.split(b"\n")[0] or b"{}")
            self.status = said.get("status")
            self.problem = said.get("error")

    def kill(self) -> None:
        """Ask the supervisor to end the child and all its processes; `ended` follows when it is done."""
        with contextlib.suppress(OSError):
            self.lifeline.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Drop everything that is held here."""
        self.pipe.close()
        self.lifeline.close()
        shutil.rmtree(self.work, ignore_errors=True)

    def describe_end(self) -> str:
        """How it ended, in words."""
        if self.problem:
            return self.problem
        if self.status is None:
            return "its supervisor was killed"
        if self.status & 0x7F:
            return f"killed by signal {self.status & 0x7F}"
        return f"exit code {self.status >> 8}"
