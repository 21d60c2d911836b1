"""One command over one open channel: what it is told, what it says, and for how long; sudo's question is answered on the way."""

from __future__ import annotations

import secrets
import select
import time
from collections.abc import Iterator
from typing import Protocol

from inventory.connectors.ssh.commands import KILL_AFTER_SECONDS, Hidden, Input
from inventory.connectors.ssh.values import HostError, HostErrorKind

PIECE = 32 * 1024  # what is handed to the channel at once
MOST_OUTPUT = 16 * 1024 * 1024
LEFT_OPEN_SECONDS = 5.0
GRACE_SECONDS = KILL_AFTER_SECONDS + 5  # the host ends what takes too long itself; after that it is given up here


class Channel(Protocol):
    """What is used of paramiko.Channel."""

    eof_received: int
    closed: bool

    def recv(self, nbytes: int) -> bytes: ...
    def recv_stderr(self, nbytes: int) -> bytes: ...
    def recv_ready(self) -> bool: ...
    def recv_stderr_ready(self) -> bool: ...
    def send(self, s: bytes) -> int: ...
    def shutdown_write(self) -> None: ...
    def exit_status_ready(self) -> bool: ...
    def recv_exit_status(self) -> int: ...
    def settimeout(self, timeout: float | None) -> None: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class Become:
    """How a command becomes root through sudo, and how we know that sudo asks, and that it is done asking.

    sudo may or may not ask, and what it does not read goes to the command. So nothing is sent before its own prompt, or the
    mark that the command itself writes first, has been seen.
    """

    def __init__(self, password: str) -> None:
        nonce = secrets.token_hex(8)
        self.password = password
        self.prompt, self.ready = f"[ask {nonce}]", f"[ready {nonce}]"
        self.is_asked = False

    def wrap(self, words: tuple[str, ...]) -> tuple[str, ...]:
        told = f"printf %s '{self.ready}' >&2; exec \"$@\""
        return ("sudo", "-S", "-p", self.prompt, "--", "sh", "-c", told, "sh", *words)


class Conversation:
    """Runs until the command has ended. `is_alive` says whether the connection below still stands."""

    def __init__(self, channel: Channel, seconds: float, where: str, become: Become | None) -> None:
        self.channel = channel
        self.until = time.monotonic() + seconds + GRACE_SECONDS
        self.where = where
        self.become = become
        self.out, self.err = bytearray(), bytearray()
        self.is_ready = become is None
        self.ended_at = 0.0

    def hold(self, given: Input) -> int:
        """Say `given`, read everything, return the exit code. Raises HostError(TIMEOUT | BROKEN | SUDO)."""
        pieces, pending, is_told = _pieces(given), b"", False
        self.channel.settimeout(0.1)
        poll = select.poll()
        poll.register(self.channel.fileno(), select.POLLIN)
        while True:
            has_read = has_moved = self._read()
            has_exited = self.channel.exit_status_ready()
            if not self.is_ready:
                self._get_ready()
            elif not is_told and not has_exited:  # one that has ended reads no more
                left = pending or next(pieces, b"")
                if left:
                    pending = self._send(left)
                    has_moved = True
                else:
                    self.channel.shutdown_write()
                    is_told = True
            if has_exited and not has_read and self._is_silent():
                return self._end()
            if time.monotonic() > self.until:
                raise HostError(HostErrorKind.TIMEOUT, "")
            if not has_moved:
                poll.poll(50)

    def _read(self) -> bool:
        has_moved = False
        while self.channel.recv_ready():
            self.out += self.channel.recv(PIECE)
            has_moved = True
        while self.channel.recv_stderr_ready():
            self.err += self.channel.recv_stderr(PIECE)
            has_moved = True
        if len(self.out) + len(self.err) > MOST_OUTPUT:
            raise HostError(
                HostErrorKind.FAILED,
                f"A command on {self.where} wrote more than {MOST_OUTPUT // 1024 // 1024} MB, which is no answer. "
                "Look at that host, then try again.",
            )
        return has_moved

    def _is_silent(self) -> bool:
        """Whether nothing more will come: the exit code may overtake output, and a process left behind may hold its end open."""
        if self.channel.eof_received:
            return not self._read()
        if self.channel.closed:  # in good order the end of output is told before
            raise HostError(HostErrorKind.BROKEN, "")
        self.ended_at = self.ended_at or time.monotonic()
        return time.monotonic() - self.ended_at > LEFT_OPEN_SECONDS

    def _send(self, pending: bytes) -> bytes:
        """What is left of it. A command that does not read what it is told has its own exit code to say so."""
        try:
            return pending[self.channel.send(pending[:PIECE]) :]
        except TimeoutError:
            return pending
        except OSError:
            return b""

    def _get_ready(self) -> None:
        assert self.become is not None
        text = self.err.decode(errors="replace")
        if self.become.ready in text:
            self.err = bytearray(text.partition(self.become.ready)[2].encode())
            self.is_ready = True
        elif self.become.prompt in text:
            if self.become.is_asked:
                raise HostError(
                    HostErrorKind.SUDO,
                    f"sudo on {self.where} does not take the password. Correct the sudo password of this host.",
                )
            if not self.become.password:
                raise HostError(
                    HostErrorKind.SUDO,
                    f"sudo on {self.where} asks for a password, and none is stored. Store the sudo password of this host, "
                    "or allow its user `NOPASSWD: ALL` in /etc/sudoers.d/.",
                )
            self.become.is_asked = True
            self.err.clear()
            self._send(self.become.password.encode() + b"\n")

    def _end(self) -> int:
        code = self.channel.recv_exit_status()
        self._read()
        if not self.is_ready:
            self._get_ready()
        if code == -1:
            raise HostError(HostErrorKind.BROKEN, "")
        if not self.is_ready:
            raise HostError(HostErrorKind.SUDO, self._sudo_words())
        return code

    def _sudo_words(self) -> str:
        said = self.err.decode(errors="replace").strip()
        if "not found" in said:
            return f"{self.where} has no sudo. Install the package sudo there, or log in as root."
        if "tty" in said:
            return f"sudo on {self.where} insists on a terminal. Take `Defaults requiretty` out of its sudoers."
        last = said.splitlines()[-1][:200] if said else "it said nothing"
        return (
            f"The user on {self.where} may not become root: {last}. Add the user to the group sudo, or give it a line in "
            "/etc/sudoers.d/."
        )


def _pieces(given: Input) -> Iterator[bytes]:
    """What is sent, never empty pieces: an empty one would look like the end."""
    if isinstance(given, Hidden):
        given = given.value
    if isinstance(given, str):
        given = given.encode()
    if isinstance(given, bytes):
        yield from (given[start : start + 16 * PIECE] for start in range(0, len(given), 16 * PIECE))
    else:
        yield from filter(None, given)


def chain(first: bytes, rest: Input) -> Iterator[bytes]:
    yield from _pieces(first)
    yield from _pieces(rest)


def close_quietly(channel: Channel) -> None:
    try:
        channel.close()
    except (OSError, EOFError):
        return
