"""A management host loses power under a rollout: the cluster is the central portal, stand-ins on this machine are its 200 environments."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import requests

from bench.remote import Remote, remote
from bench.rows import Row
from portal.demo.places import INPUTS, SERVICE
from portal.demo.scenario import EXAMPLES, packed
from tests.e2e.stand import Stand
from tests.lab import machine

INSTALL_SECONDS = 4.0  # of one at a stand-in: long enough that many are under way when the host is struck
DROP_IN = "/etc/systemd/system/{unit}.d/bench.conf"
UNITS = ("deployon-web.service", "deployon-worker@.service")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Central:
    """/api/v1 at the cluster's entrance; where a manager is lost the next one is asked."""

    def __init__(self, stand: Stand) -> None:
        self.url = f"https://{stand.entrance}"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(stand.ca)
        reply = self.session.post(
            f"{self.url}/api/v3.1/tokens",
            json={"description": "bench"},
            auth=("admin", stand.password()),
            headers={"Tenant": "default_tenant"},
            timeout=60,
        )
        reply.raise_for_status()
        self.session.headers["Authorization"] = f"Token {reply.json()['value']}"
        self.session.headers["Tenant"] = "default_tenant"

    def call(self, method: str, path: str, **more: Any) -> Any:
        until = time.monotonic() + 60
        while True:
            try:
                reply = self.session.request(method, f"{self.url}/api/v1/{path}", timeout=30, **more)
                if reply.status_code < 500 or time.monotonic() > until:
                    break
            except requests.RequestException:
                self.session.close()
                if time.monotonic() > until:
                    raise
            time.sleep(0.5)
        if not reply.ok:
            raise RuntimeError(f"{method} {path}: {reply.status_code} {reply.text[:600]}")
        return reply.json() if reply.content else None


@contextlib.contextmanager
def reachable(stand: Stand) -> Iterator[None]:
    """The cluster's hosts reach the stand-ins, which listen on this machine's loopback alone, and may call private addresses."""
    network = stand.lab.network
    table = f"{network.prefix}bench"
    rules = (
        f"add table ip {table}\n"
        f"add chain ip {table} in {{ type nat hook prerouting priority -100; }}\n"
        f"add rule ip {table} in iifname {network.bridge} ip daddr {network.portal} tcp dport 1024-65535 dnat to 127.0.0.1\n"
    )
    machine.run("sysctl", "-q", "-w", f"net.ipv4.conf.{network.bridge}.route_localnet=1")
    machine.run("nft", "-f", "-", given=rules)
    try:
        for name in stand.hosts_with("manager"):
            host = stand.lab.host(name)
            for unit in UNITS:
                place = DROP_IN.format(unit=unit)
                host.console_run("mkdir", "-p", place.rpartition("/")[0])
                host.console_run("tee", place, given=f"[Service]\nEnvironment=ENDPOINT_NETWORKS={network.subnet}\n")
            host.console_run("systemctl", "daemon-reload")
            host.console_run("systemctl", "restart", "deployon-web", "deployon-worker@*", seconds=180)
        stand.wait_until_whole(240)
        yield
    finally:
        machine.run("nft", "delete", "table", "ip", table, check=False)


def expose(central: Central, far: Remote, endpoint: str) -> None:
    def one(target: dict[str, Any]) -> None:
        name = f"edge-{target['tenant']}"
        central.call(
            "POST", "secrets/", json={"name": f"{name}-token", "value": target["token"], "purpose": "credential"}
        )
        body = {
            "name": name,
            "endpoint": endpoint,
            "protocol": "http",
            "port": target["port"],
            "tenant": target["tenant"],
            "credential": {"token_secret": f"{name}-token"},
            "labels": {"env": "prod"},
        }
        found = central.call("POST", "environments/", json=body)
        if found["state"] not in ("ready", "degraded"):
            raise RuntimeError(f"{name} is {found['state']}: {found['why']}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, far.targets))


def pages(central: Central, path: str) -> list[dict[str, Any]]:
    """All rows of a list, whatever its pages."""
    found: list[dict[str, Any]] = []
    while path:
        page = central.call("GET", path)
        found += page["results"]
        path = (page.get("next") or "").partition("/api/v1/")[2]
    return found


def measure(stand: Stand, *, targets: int) -> list[Row]:
    with remote(targets, install=INSTALL_SECONDS) as far, reachable(stand):
        central = Central(stand)
        expose(central, far, stand.lab.network.portal)
        with packed(EXAMPLES / SERVICE) as archive:
            central.call("POST", "services/", data={"name": SERVICE}, files={"archive": (f"{SERVICE}.tar.gz", archive)})
        rules = [{"type": "label", "key": "env", "operator": "any_of", "values": ["prod"]}]
        preview = central.call("POST", "rollouts/preview/", json={"service": SERVICE, "rules": rules, "inputs": INPUTS})
        far.requests()
        began = time.time()
        rollout = central.call("POST", "rollouts/", json={"digest": preview["digest"], "max_parallel": 20})
        children = f"runs/?parent={rollout['run']}"
        while sum(run["state"] == "succeeded" for run in pages(central, children)) < targets // 5:
            if time.time() - began > 300:
                raise RuntimeError("The rollout does not get on.")
            time.sleep(1)
        # What the management service does about it is measured, so writes must not wait for the database as well.
        spared = {str(each["Member"]) for each in stand.members() if each["Role"] in ("Leader", "Sync Standby")}
        victim = next(name for name in stand.hosts_with("manager") if name not in spared)
        struck_at = time.time()
        stand.lab.host(victim).cut()
        while (told := central.call("GET", f"rollouts/{rollout['id']}/"))["state"] not in ("succeeded", "failed"):
            if time.time() - struck_at > 600:
                raise RuntimeError(f"The rollout has not ended: {told['state']} {told['why']}")
            time.sleep(1)
        rows = rows_of(told, pages(central, children), far.requests(), targets, began, struck_at)
        stand.lab.host(victim).start().wait()
        stand.wait_until_whole(300)
    return rows


def rows_of(
    told: dict[str, Any],
    found: list[dict[str, Any]],
    asked: dict[str, int],
    targets: int,
    began: float,
    struck_at: float,
) -> list[Row]:
    good = sum(run["state"] == "succeeded" for run in found)
    ends = sorted(at(run["ended_at"]) for run in found if run["ended_at"])
    after = [struck_at, *(end for end in ends if end > struck_at)]
    gap = max((later - earlier for earlier, later in itertools.pairwise(after)), default=0.0)
    installs = sum(count for path, count in asked.items() if path.startswith("POST") and "executions" in path)
    return [
        Row("rollout under a power cut: targets that ended well", good, "", aim=str(targets), note=told["state"]),
        Row(
            "executions begun at the stand-ins",
            installs,
            "",
            aim=str(targets),
            note="more: caught in the middle and repeated",
        ),
        Row("longest time without a target that ended, after the cut", gap, "s", aim="15"),
        Row("the whole rollout", (ends[-1] if ends else time.time()) - began, "s"),
    ]
