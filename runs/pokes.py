"""Tells viewers that a run has news; only a nudge over the channel layer, what is new they read from the database."""

from __future__ import annotations

import functools
import threading
from collections.abc import Collection

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

PER_SECOND = 20  # nudges of one process for one run; viewers see at most five updates a second, see runs.hub


def group_of(top_id: int) -> str:
    """Group of the channel layer in which the viewers of a run, or of a parent with its children, are nudged."""
    return f"run-{top_id}"


class Poker:
    """Collects nudges and sends them from one thread of its own: the first at once, then at most PER_SECOND."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: set[int] = set()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, top_ids: Collection[int]) -> None:
        """Send a nudge for each of these runs soon; never blocks. A thread that died of a broken layer is started anew."""
        with self._lock:
            self._due.update(top_ids)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._send_all, name="poker", daemon=True)
                self._thread.start()
        self._wake.set()

    def _send_all(self) -> None:
        pause = threading.Event()
        while True:
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                due, self._due = self._due, set()
            layer = get_channel_layer()
            # Our own layers can be used from any thread; a lost nudge costs a viewer one second: it looks by itself then.
            notify = getattr(layer, "notify", None) or async_to_sync(layer.group_send)
            for top_id in due:
                notify(group_of(top_id), {"type": "poke", "run": top_id})
            pause.wait(1 / PER_SECOND)


_poker = Poker()


def poke_after_commit(top_ids: Collection[int]) -> None:
    """Nudge the viewers of these runs once the present transaction, if there is one, is committed."""
    if top_ids:
        transaction.on_commit(functools.partial(_poker.add, frozenset(top_ids)), robust=True)
