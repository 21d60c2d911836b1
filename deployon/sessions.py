"""Connections to environments, kept a short while between the steps of one target, so that a step pays for no new handshake."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from inventory.connections import client_for
from inventory.connectors.manager import ManagerClient
from inventory.models import Environment

IDLE_SECONDS = 20.0
OLDEST_SECONDS = 60.0  # a client is rebuilt after that, so that a replaced credential or address counts
MAX_IDLE = 256  # each holds a socket


class _Idle:
    """Clients that nobody uses now, by environment; each is leased to one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: OrderedDict[int, tuple[float, float, ManagerClient]] = OrderedDict()  # id: (idle since, born, client)
        self._owner = os.getpid()

    def take(self, key: int) -> tuple[float, ManagerClient] | None:
        """(born, client) that is young enough, or None; closes those that are not."""
        now = time.monotonic()
        dropped: list[ManagerClient] = []
        with self._lock:
            if self._owner != os.getpid():  # two processes must not talk over one connection
                self._clients, self._owner = OrderedDict(), os.getpid()
            while self._clients and next(iter(self._clients.values()))[0] < now - IDLE_SECONDS:
                dropped.append(self._clients.popitem(last=False)[1][2])
            found = self._clients.pop(key, None)
        if found is not None and found[1] < now - OLDEST_SECONDS:
            dropped.append(found[2])
            found = None
        for client in dropped:
            client.close()
        return (found[1], found[2]) if found else None

    def give_back(self, key: int, born: float, client: ManagerClient) -> None:
        dropped: list[ManagerClient] = []
        with self._lock:
            if key in self._clients:
                dropped.append(self._clients.pop(key)[2])
            self._clients[key] = (time.monotonic(), born, client)
            if len(self._clients) > MAX_IDLE:
                dropped.append(self._clients.popitem(last=False)[1][2])
        for each in dropped:
            each.close()


    def forget(self) -> None:
        with self._lock:
            clients, self._clients = self._clients, OrderedDict()
        for _, _, client in clients.values():
            client.close()


_IDLE = _Idle()


def forget() -> None:
    """Close all that is idle."""
    _IDLE.forget()


def _connect(environment_id: int) -> ManagerClient:
    rows = Environment.objects.select_related("sub_manager", "credential__token", "credential__username", "credential__password")
    return client_for(rows.get(pk=environment_id))


@contextmanager
def session(environment: Environment) -> Iterator[ManagerClient]:
    """A client of this environment for the length of the block; one that met an error is not used again."""
    born, client = _IDLE.take(environment.pk) or (time.monotonic(), _connect(environment.pk))
    try:
        yield client
    except BaseException:
        client.close()
        raise
    _IDLE.give_back(environment.pk, born, client)
