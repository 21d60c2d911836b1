"""Clients kept for a short while between two looks at the same target, so that a look does not pay for a TLS handshake."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from inventory.connectors.address import Address, Credential, Timeouts
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import EndpointPolicy

Key = tuple[Address, Credential | None]


class ClientPool:
    """One idle client for each address and credential; a lease is exclusive, so many threads may ask at once.

    At most `max_idle` are kept (each holds a socket), none longer than `idle_seconds`. A forked child starts empty: two
    processes must not talk over one connection.
    """

    def __init__(
        self,
        policy: EndpointPolicy,
        timeouts: Timeouts | None = None,
        *,
        max_idle: int = 256,
        idle_seconds: float = 20.0,
    ) -> None:
        self._policy = policy
        self._timeouts = timeouts
        self._max_idle = max_idle
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._idle: OrderedDict[Key, tuple[float, ManagerClient]] = OrderedDict()
        self._owner = os.getpid()

    @contextmanager
    def lease(self, address: Address, credential: Credential | None) -> Iterator[ManagerClient]:
        """A client for this target, for the length of the block."""
        key = (address, credential)
        client = self._take(key)
        if client is None:
            client = ManagerClient(address, credential, self._policy, self._timeouts)
        try:
            yield client
        finally:
            self._give_back(key, client)

    def close(self) -> None:
        """Let go of every idle connection."""
        with self._lock:
            idle, self._idle = self._idle, OrderedDict()
        for _, client in idle.values():
            client.close()

    def _take(self, key: Key) -> ManagerClient | None:
        oldest = time.monotonic() - self._idle_seconds
        with self._lock:
            if self._owner != os.getpid():
                self._idle, self._owner = OrderedDict(), os.getpid()
            stale = []
            while self._idle and next(iter(self._idle.values()))[0] < oldest:  # in order of their return
                stale.append(self._idle.popitem(last=False)[1][1])
            _, found = self._idle.pop(key, (0.0, None))
        for client in stale:
            client.close()
        return found

    def _give_back(self, key: Key, client: ManagerClient) -> None:
        dropped = None
        with self._lock:
            if key in self._idle:
                dropped = client  # two threads were at the same target: one kept connection is enough
            else:
                self._idle[key] = (time.monotonic(), client)
                if len(self._idle) > self._max_idle:
                    dropped = self._idle.popitem(last=False)[1][1]
        if dropped is not None:
            dropped.close()
