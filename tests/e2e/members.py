"""Phases of the journey: a host of each part is added to the serving cluster and removed again, under a counter writer."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.e2e.report import Phase
from tests.e2e.stand import CLUSTER, Stand
from tests.lab import Lab

# Removed first are hosts that were there from the start: what was added has to do their work.
PARTS = {
    "compact": {"every part": ["database", "etcd", "queue", "manager"]},
    "ten": {"database": ["database", "etcd"], "queue": ["queue"], "manager": ["manager"]},
}
ADD_SECONDS, REMOVE_SECONDS = 600, 600


def phases(stand: Stand) -> list[Phase]:
    """Two a part. Each leaves the cluster serving, with as many hosts as before."""
    found = []
    for number, (title, wanted) in enumerate(PARTS.get(stand.name, {}).items(), 1):
        removed = next(name for name, own in stand.parts.items() if own == wanted)
        added = f"new{number}"
        found.append(Phase(f"a host is added: {title}", partial(add, stand, added, wanted), must_pass=True))
        found.append(Phase(f"a host is removed: {title}", partial(remove, stand, removed, added), must_pass=True))
    return found


def add(stand: Stand, name: str, parts: list[str]) -> dict[str, Any]:
    """A bare host becomes a member."""
    stand.lab.create(name, release=stand.release)
    stand.lab.host(name).start().wait()
    stand.portal.call("POST", f"clusters/{CLUSTER}/hosts/", json=described(stand.lab, name, parts))
    measured = under_writes(stand, name, lambda: stand.work("install", ADD_SECONDS))
    stand.parts[name] = parts
    return measured


def remove(stand: Stand, name: str, successor: str) -> dict[str, Any]:
    """A member becomes a bare host; `successor` came in its place."""
    if successor not in stand.parts:
        raise RuntimeError(f"{successor} is not there to take the place of {name}")
    measured = under_writes(stand, name, lambda: stand.portal.work(CLUSTER, "remove_host", REMOVE_SECONDS, host=name))
    del stand.parts[name]
    require_gone(stand, name)
    return measured


def described(lab: Lab, name: str, parts: list[str]) -> dict[str, Any]:
    host = lab.host(name)
    access = {"ssh_user": host.user, "private_key": lab.key.read_text()}
    return {"name": name, "private_address": host.address, "parts": parts, "host_key": host.host_key, **access}


def under_writes(stand: Stand, name: str, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `act` measured, its seconds, the longest gap between two acknowledged writes; RuntimeError where one is lost."""
    writer = stand.writer(f"member-{name}")
    writer.start()
    try:
        writer.wait_for(10, 60)
        began = time.monotonic()
        measured = act()
        seconds = round(time.monotonic() - began, 1)
        writer.wait_for(10, 60)
    finally:
        writer.stop()
    if lost := writer.lost():
        raise RuntimeError(f"{len(lost)} of {len(writer.acknowledged)} acknowledged writes are lost: {lost[:5]}")
    told = {"seconds_of_run": seconds, "gap": writer.longest_gap, "acknowledged": len(writer.acknowledged), "lost": 0}
    return measured | told


def require_gone(stand: Stand, name: str) -> None:
    """No row, no member, no service of it is left."""
    rows = {host["name"]: host["state"] for host in stand.portal.call("GET", f"clusters/{CLUSTER}/hosts/")}
    if name in rows or set(rows.values()) != {"installed"}:
        raise RuntimeError(f"Rows after the removal of {name}: {rows}")
    if name in {str(each["Member"]) for each in stand.members()}:
        raise RuntimeError(f"Patroni still lists {name}.")
    lines = stand.lab.host(name).console_run("ss", "-tlnH").splitlines()
    if others := [line.split()[3] for line in lines if not line.split()[3].endswith(":22")]:
        raise RuntimeError(f"{name} still listens at {', '.join(others)}.")
