"""From the rows of a host to a session on it: address, trusted key, opened credential; idle sessions are kept a short while."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from accounts.secrets import reveal
from inventory.cluster_hosts import record_offered_key
from inventory.connectors.ssh import Host, HostAddress, HostCredential, HostError, open_host
from inventory.models import ClusterNode
from runs.operations import OperationError

OLDEST_SECONDS = 120.0  # after that a session is opened anew, so that a replaced credential or address counts
MAX_IDLE = 64  # each holds a socket and a thread
Key = tuple[int, str]  # id of the cluster, name of the host


def node_of(cluster_id: int, name: str) -> ClusterNode:
    """The host's row with all that signing in needs. OperationError where it is gone."""
    rows = ClusterNode.objects.select_related("cluster", "private_key", "password", "sudo_password")
    node = rows.prefetch_related("host_keys").filter(cluster=cluster_id, name=name).first()
    if node is None:
        raise OperationError(
            f"Host {name} does not belong to this cluster any more; nothing is done there. Plan again.", cause="gone"
        )
    return node


def address_of(node: ClusterNode) -> HostAddress:
    """Where SSH goes, as whom, and which key is trusted there."""
    trusted = node.trusted_key()
    return HostAddress(node.reach_address, node.ssh_port, node.ssh_user, trusted.public_key if trusted else "")


def credential_of(node: ClusterNode) -> HostCredential:
    """Opened, for connectors only."""
    return HostCredential(
        private_key=reveal(node.private_key) if node.private_key else "",
        password=reveal(node.password) if node.password else "",
        sudo_password=reveal(node.sudo_password) if node.sudo_password else "",
    )


def open_node(node: ClusterNode) -> Host:
    """A session of the caller's own. A key that is not trusted is kept as offered, for a person to look at. Raises HostError."""
    try:
        return open_host(address_of(node), credential_of(node))
    except HostError as error:
        if error.key:
            record_offered_key(node=node, public_key=error.key)
        raise


class _Idle:
    """Sessions that nobody uses now, oldest first; each is leased to one thread at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: OrderedDict[tuple[Key, int], tuple[float, Host]] = OrderedDict()
        self._owner = os.getpid()

    def take(self, key: Key) -> tuple[float, Host] | None:
        """(born, session) that is young enough and still stands, or None."""
        outdated: list[Host] = []
        found = None
        with self._lock:
            if self._owner != os.getpid():  # two processes must not talk over one connection
                self._hosts, self._owner = OrderedDict(), os.getpid()
            for place in [place for place in self._hosts if place[0] == key]:
                born, host = self._hosts.pop(place)
                if host.is_open and born > time.monotonic() - OLDEST_SECONDS:
                    found = born, host
                    break
                outdated.append(host)
        for host in outdated:
            host.close()
        return found

    def give_back(self, key: Key, born: float, host: Host) -> None:
        oldest = None
        with self._lock:
            self._hosts[key, id(host)] = born, host
            if len(self._hosts) > MAX_IDLE:
                oldest = self._hosts.popitem(last=False)[1][1]
        if oldest is not None:
            oldest.close()

    def forget(self, key: Key | None = None) -> None:
        """Close those of one host, or all."""
        with self._lock:
            taken = [place for place in self._hosts if key is None or place[0] == key]
            hosts = [self._hosts.pop(place) for place in taken]
        for _, host in hosts:
            host.close()


_IDLE = _Idle()


def forget() -> None:
    """Close all that is idle."""
    _IDLE.forget()


def forget_host(cluster_id: int, name: str) -> None:
    """Close what is idle to one host: it goes down, and nobody will tell those sessions."""
    _IDLE.forget((cluster_id, name))


@contextmanager
def session(cluster_id: int, name: str) -> Iterator[Host]:
    """A session on this host for the length of the block; one that met an error is not used again. Raises HostError."""
    key = (cluster_id, name)
    found = _IDLE.take(key)
    if found is None:
        found = time.monotonic(), open_node(node_of(cluster_id, name))
    born, host = found
    try:
        yield host
    except BaseException:
        host.close()
        raise
    _IDLE.give_back(key, born, host)
