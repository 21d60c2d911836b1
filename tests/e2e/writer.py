"""A counter that is written through a cluster's entrance all the time: what was acknowledged must be there in the end."""

from __future__ import annotations

import itertools
import threading
import time

import requests

SECONDS = 5.0  # of one request


class Writer(threading.Thread):
    """Makes one secret after another through v3.1; a name is acknowledged where the reply was good."""

    def __init__(self, entrance: str, ca: str, password: str, prefix: str) -> None:
        super().__init__(daemon=True)
        self.url, self.prefix = f"https://{entrance}/api/v3.1", prefix
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = ca
        self.session.auth = ("admin", password)
        self.session.headers["Tenant"] = "default_tenant"
        self.acknowledged: list[tuple[float, str]] = []
        self._end = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._end.is_set():
            number += 1
            name = f"{self.prefix}{number}"
            try:
                reply = self.session.put(f"{self.url}/secrets/{name}", json={"value": "x"}, timeout=SECONDS)
            except requests.RequestException:
                self.session.close()  # the balancer takes another manager for the next one
                time.sleep(0.2)
                continue
            if reply.ok:
                self.acknowledged.append((time.monotonic(), name))
            else:
                time.sleep(0.2)

    def stop(self) -> None:
        self._end.set()
        self.join(30)

    def wait_for(self, count: int, seconds: float) -> None:
        """Until so many more were acknowledged."""
        wanted, until = len(self.acknowledged) + count, time.monotonic() + seconds
        while len(self.acknowledged) < wanted:
            if time.monotonic() > until:
                raise RuntimeError(f"Nothing could be written within {seconds:.0f} s.")
            time.sleep(0.1)

    @property
    def longest_gap(self) -> float:
        """Seconds between two acknowledged writes, at most."""
        times = [at for at, _ in self.acknowledged]
        return round(max((b - a for a, b in itertools.pairwise(times)), default=0.0), 1)

    def lost(self) -> list[str]:
        """Acknowledged names that are not there."""
        there: set[str] = set()
        offset = 0
        while True:
            reply = self.session.get(
                f"{self.url}/secrets", params={"_include": "key", "_size": 1000, "_offset": offset}, timeout=30
            )
            reply.raise_for_status()
            items = reply.json()["items"]
            there |= {item["key"] for item in items}
            offset += len(items)
            if not items:
                break
        return [name for _, name in self.acknowledged if name not in there]
