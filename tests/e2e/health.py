"""What the portal and the cluster say of the cluster's health, and how soon a node that stops is seen there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.e2e.stand import CLUSTER, Stand

SEEN_WITHIN = 30.0  # seconds


def told(stand: Stand) -> dict[str, Any]:
    """As the portal has it now."""
    found: dict[str, Any] = stand.portal.call("GET", f"clusters/{CLUSTER}/health/")
    return found


def wait(stand: Stand, is_there: Callable[[dict[str, Any]], bool], seconds: float, what: str) -> float:
    """How long it took."""
    began = time.monotonic()
    while not is_there(found := told(stand)):
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"{what}: not after {seconds:.0f} s. {found['verdict']}: {found['why']}")
        time.sleep(0.5)
    return round(time.monotonic() - began, 1)


def state_of(found: dict[str, Any], host: str, part: str) -> str:
    parts = next(each["parts"] for each in found["hosts"] if each["name"] == host)
    return str(next(each["state"] for each in parts if each["part"] == part))


def look(stand: Stand) -> dict[str, Any]:
    """All is well by the portal, by v3.1 at the entrance, and in the figures that the cluster gathers of itself."""
    measured = {"well after": wait(stand, lambda found: found["verdict"] == "healthy", 90, "A healthy cluster")}
    status = stand.ask("/api/v3.1/cluster-status")
    if status.status_code != 200 or status.json()["status"] != "OK":
        raise RuntimeError(f"/cluster-status says {status.status_code} {status.text[:500]}")
    for path, part in (("managers", "manager"), ("brokers", "queue"), ("db-nodes", "database")):
        found = stand.ask(f"/api/v3.1/{path}").json()["items"]
        names = sorted(each.get("hostname") or each["name"] for each in found)
        if part in str(stand.parts) and names != sorted(stand.hosts_with(part)):
            raise RuntimeError(f"/{path} tells of {names}.")
    hosts = [host for host in told(stand)["hosts"] if host["name"] in stand.hosts_with("manager")]
    if any(not part["version"] for host in hosts for part in host["parts"] if part["part"] == "manager"):
        raise RuntimeError("The cluster's Prometheus has no figures of the management service.")
    return measured


def stop_one(stand: Stand, part: str, unit: str, host: str) -> dict[str, Any]:
    """Stop the service of one host: it is seen in time, and when it is back all is well again."""
    wait(stand, lambda found: found["verdict"] == "healthy", 90, "A healthy cluster")
    stand.lab.host(host).console_run("systemctl", "stop", "--no-block", unit)
    try:
        seen = wait(stand, lambda found: state_of(found, host, part) != "healthy", SEEN_WITHIN, f"{unit} stopped")
        word = stand.ask("/api/v3.1/cluster-status").json()["status"]
    finally:
        stand.lab.host(host).console_run("systemctl", "start", "--no-block", unit)
    well = wait(stand, lambda found: found["verdict"] == "healthy", 120, f"{unit} started")
    return {"host": host, "seen after": seen, "cluster-status": word, "well after": well}
