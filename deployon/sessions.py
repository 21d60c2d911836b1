"""Connections to environments, kept a short while between the steps of one target, so that a step pays for no new handshake."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from inventory.connections import client_for
from inventory.connectors.errors import ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.models import Environment

OLDEST_SECONDS = 60.0  # a client is rebuilt after that, so that a replaced credential or address counts
MAX_CLIENTS = 4096  # a client without a socket is small, and spares reading and opening its credential again
MAX_SOCKETS = 400  # of clients that are idle: four tasks have so many targets in hand


class _Idle:
    """Clients that nobody uses now, by environment, oldest first; each is leased to one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: OrderedDict[int, tuple[float, ManagerClient]] = OrderedDict()  # id: (born, client)
        self._open: OrderedDict[int, ManagerClient] = OrderedDict()  # those of them that keep their socket
        self._owner = os.getpid()

    def take(self, key: int) -> tuple[float, ManagerClient] | None:
        """(born, client) that is young enough, or None."""
        with self._lock:
            if self._owner != os.getpid():  # two processes must not talk over one connection
                self._clients, self._open, self._owner = OrderedDict(), OrderedDict(), os.getpid()
            self._open.pop(key, None)
            found = self._clients.pop(key, None)
        if found is not None and found[0] < time.monotonic() - OLDEST_SECONDS:
            found[1].close()
            return None
        return found

    def give_back(self, key: int, born: float, client: ManagerClient) -> None:
        closing: list[ManagerClient] = []
        with self._lock:
            if (
                other := self._clients.pop(key, None)
            ) is not None:  # two steps at one environment: one client is enough
                self._open.pop(key, None)
                closing.append(other[1])
            self._clients[key] = (born, client)
            if client.requests_sent:
                self._open[key] = client
            if len(self._open) > MAX_SOCKETS:
                closing.append(self._open.popitem(last=False)[1])  # it may be used again, and connects anew
            if len(self._clients) > MAX_CLIENTS:
                dropped, (_, oldest) = self._clients.popitem(last=False)
                self._open.pop(dropped, None)
                closing.append(oldest)
            # Closed before anybody can lease it: a client is for one thread at a time.
            for each in closing:
                each.close()

    def lacks(self, keys: Collection[int]) -> set[int]:
        """Those of them without a client that is young enough."""
        oldest = time.monotonic() - OLDEST_SECONDS
        with self._lock:
            return {key for key in keys if key not in self._clients or self._clients[key][0] < oldest}

    def forget(self) -> None:
        with self._lock:
            clients, self._clients, self._open = self._clients, OrderedDict(), OrderedDict()
        for _, client in clients.values():
            client.close()


_IDLE = _Idle()


def forget() -> None:
    """Close all that is idle."""
    _IDLE.forget()


def is_outdated(environment_id: int, client: ManagerClient) -> bool:
    """Whether credential or address were replaced since this client was made."""
    now = _connect(environment_id)
    return (now.credential, now.address) != (client.credential, client.address)


def _connect(environment_id: int) -> ManagerClient:
    return client_for(Environment.objects.for_connecting().get(pk=environment_id))


def open_many(environments: Collection[int]) -> None:
    """Have a client of each at hand, their rows read with one query. One that cannot be made is left to whoever needs it."""
    born = time.monotonic()
    for environment in Environment.objects.for_connecting().filter(pk__in=_IDLE.lacks(environments)):
        with suppress(ManagerError):
            _IDLE.give_back(environment.pk, born, client_for(environment))


@contextmanager
def session(environment_id: int) -> Iterator[ManagerClient]:
    """A client of this environment for the length of the block; one that met an error is not used again."""
    born, client = _IDLE.take(environment_id) or (time.monotonic(), _connect(environment_id))
    try:
        yield client
    except BaseException:
        client.close()
        raise
    _IDLE.give_back(environment_id, born, client)
