"""Channel layers: one for a single process, one over PostgreSQL; both only carry small nudges and may lose one.

The layer that ships with Channels wakes readers only by luck when another thread writes, and drops silently beyond 100 messages.
"""

from __future__ import annotations

import asyncio
import collections
import json
import logging
import threading
import uuid
from typing import Any

import psycopg
from channels.layers import BaseChannelLayer
from django.db import connection

Message = dict[str, Any]
CAPACITY = 1000  # messages that wait in one channel; the oldest gives way: a newer nudge says as much
LONGEST = 7900  # bytes of one notification; PostgreSQL allows 8,000
PG_CHANNEL = "deployon_layer"
logger = logging.getLogger(__name__)


class Mailbox:
    """What waits for the one reader of a channel, which lives in an event loop; filled from any thread."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.waiting: collections.deque[Message] = collections.deque(maxlen=CAPACITY)
        self.arrived = asyncio.Event()

    def put(self, message: Message) -> None:
        self.waiting.append(message)
        try:
            self.loop.call_soon_threadsafe(self.arrived.set)
        except RuntimeError:  # the reader's event loop has ended, and the reader with it
            self.waiting.clear()

    async def get(self) -> Message:
        while not self.waiting:
            self.arrived.clear()
            if self.waiting:
                break
            await self.arrived.wait()
        return self.waiting.popleft()


class MemoryLayer(BaseChannelLayer):
    """Readers and writers in one process, in any of its threads and event loops."""

    extensions = ["groups", "flush"]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._lock = threading.Lock()
        self._mailboxes: dict[str, Mailbox] = {}
        self._groups: dict[str, set[str]] = {}

    def notify(self, group: str, message: Message) -> None:
        """`group_send` for threads without an event loop; never blocks for long, never raises."""
        self.deliver_to_group(group, message)

    def deliver_to_group(self, group: str, message: Message) -> None:
        """To the members that this process has."""
        with self._lock:
            mailboxes = [self._mailboxes[name] for name in self._groups.get(group, ()) if name in self._mailboxes]
        for mailbox in mailboxes:
            mailbox.put(dict(message))

    def deliver(self, channel: str, message: Message) -> None:
        """To a channel, if this process reads it."""
        with self._lock:
            mailbox = self._mailboxes.get(channel)
        if mailbox is not None:
            mailbox.put(dict(message))

    async def new_channel(self, prefix: str = "specific") -> str:
        name = f"{prefix}.{uuid.uuid4().hex}"
        with self._lock:
            self._mailboxes[name] = Mailbox()
        return name

    async def receive(self, channel: str) -> Message:
        with self._lock:
            mailbox = self._mailboxes.get(channel)
            if mailbox is None:
                mailbox = self._mailboxes[channel] = Mailbox()
        try:
            return await mailbox.get()
        except asyncio.CancelledError:
            self.close_channel(channel)
            raise

    def close_channel(self, channel: str) -> None:
        """Nobody reads it any more."""
        with self._lock:
            self._mailboxes.pop(channel, None)
            for group in [group for group, names in self._groups.items() if channel in names]:
                self._groups[group].discard(channel)
                if not self._groups[group]:
                    del self._groups[group]

    async def send(self, channel: str, message: Message) -> None:
        self.deliver(channel, message)

    async def group_add(self, group: str, channel: str) -> None:
        with self._lock:
            self._groups.setdefault(group, set()).add(channel)

    async def group_discard(self, group: str, channel: str) -> None:
        with self._lock:
            names = self._groups.get(group, set())
            names.discard(channel)
            if not names:
                self._groups.pop(group, None)

    async def group_send(self, group: str, message: Message) -> None:
        self.notify(group, message)

    async def flush(self) -> None:
        with self._lock:
            self._mailboxes.clear()
            self._groups.clear()


class PostgresLayer(MemoryLayer):
    """Readers and writers in any process on one database, over LISTEN and NOTIFY.

    Each process listens on one connection of its own and sends on another, both outside Django's pool: a NOTIFY inside a
    transaction would make all commits of the server wait for each other.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._sending = threading.Lock()
        self._sender: psycopg.Connection[Any] | None = None
        self._listener: threading.Thread | None = None
        self._is_listening = threading.Event()
        self._is_closed = threading.Event()

    def connect(self) -> psycopg.Connection[Any]:
        """A connection as Django would make it, with autocommit."""
        parameters = dict(connection.get_connection_params())
        for name in ("cursor_factory", "context", "prepare_threshold", "pool"):
            parameters.pop(name, None)
        return psycopg.connect(**parameters, autocommit=True)

    def notify(self, group: str, message: Message) -> None:
        self.publish({"group": group, "message": message})

    async def send(self, channel: str, message: Message) -> None:
        await asyncio.to_thread(self.publish, {"channel": channel, "message": message})

    async def group_send(self, group: str, message: Message) -> None:
        await asyncio.to_thread(self.notify, group, message)

    def publish(self, envelope: Message) -> None:
        """NOTIFY all processes; ValueError for a message that is too long; one that the server does not take is lost."""
        text = json.dumps(envelope, separators=(",", ":"))
        if len(text.encode()) > LONGEST:
            raise ValueError(
                f"A message of {len(text)} bytes is too long for a nudge ({LONGEST}): send where to read it."
            )
        with self._sending:
            for _ in range(2):  # a connection that was closed meanwhile is replaced once
                try:
                    if self._sender is None:
                        self._sender = self.connect()
                    self._sender.execute("SELECT pg_notify(%s, %s)", (PG_CHANNEL, text))
                    return
                except psycopg.Error as error:
                    if self._sender is not None:
                        self._sender.close()
                        self._sender = None
                    logger.debug("a nudge was not sent: %s", error)

    async def new_channel(self, prefix: str = "specific") -> str:
        await self.listen()
        return await super().new_channel(prefix)

    async def receive(self, channel: str) -> Message:
        await self.listen()
        return await super().receive(channel)

    async def listen(self) -> None:
        """Have the process's one LISTEN at work."""
        if self._is_listening.is_set():
            return
        with self._lock:
            if self._listener is None:
                self._listener = threading.Thread(target=self.distribute, name="listener", daemon=True)
                self._listener.start()
        for _ in range(
            100
        ):  # what is sent before LISTEN is lost; after 2 s readers go on without and look by themselves
            if self._is_listening.is_set():
                return
            await asyncio.sleep(0.02)

    def distribute(self) -> None:
        """Hand notifications to the readers of this process, until the layer is closed."""
        while not self._is_closed.is_set():
            try:
                with self.connect() as listening:
                    listening.execute(f"LISTEN {PG_CHANNEL}")
                    self._is_listening.set()
                    while not self._is_closed.is_set():
                        for notification in listening.notifies(timeout=1):
                            self.hand_out(json.loads(notification.payload))
            except psycopg.Error as error:
                logger.warning("The connection that carries nudges was lost and is made anew: %s", error)
                self._is_closed.wait(1)

    def close(self) -> None:
        """Listen and send no more."""
        self._is_closed.set()
        with self._sending:
            if self._sender is not None:
                self._sender.close()
                self._sender = None

    def hand_out(self, envelope: Message) -> None:
        if "group" in envelope:
            self.deliver_to_group(envelope["group"], envelope["message"])
        else:
            self.deliver(envelope["channel"], envelope["message"])
