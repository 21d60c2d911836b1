"""Drills on the baseline's ten hosts with a writer that counts: does every acknowledged row survive, and how long is nothing written?

.venv/bin/python -m tests.lab.drills freeze --times 3           the host that leads etcd and Patroni, frozen for 35 s, thawed
.venv/bin/python -m tests.lab.drills freeze --apart             the same with etcd led from another host
.venv/bin/python -m tests.lab.drills cut|partition|switchover   a power cut, a partition, a planned change of the leader
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.machine import LabError, run

PATRONICTL = "timeout 10 patronictl -c /etc/patroni/config.yml"
AT_WORK = {"running", "streaming"}


class Cluster:
    """The baseline's cluster as its own tools describe it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.databases = [host for host in lab.hosts() if host.name.startswith("db")]
        self.etcds = [host for host in lab.hosts() if (host.files / "var/lib/etcd/cluster").exists()]
        folder = lab.place / "baseline" / lab.prefix
        self.ca = folder / "pki/ca.crt"
        self.secrets = dict(line.split("=") for line in (folder / "secrets").read_text().split())

    @property
    def entrance(self) -> dict[str, Any]:
        """How to reach the leader through the balancer."""
        return {
            "host": self.lab.host("lb1").address,
            "port": 5000,
            "user": "postgres",
            "password": self.secrets["SUPERUSER"],
            "dbname": "postgres",
            "sslmode": "verify-full",
            "sslrootcert": str(self.ca),
            "connect_timeout": 2,
            "tcp_user_timeout": 5000,
        }

    def first_answer(self, hosts: list[Host], command: str) -> str:
        for host in hosts:
            if host.state == "up":
                with contextlib.suppress(LabError):
                    return host.ssh(command, seconds=20)
        raise LabError(f"No host of {[host.name for host in hosts]} answers `{command}`.")

    def members(self) -> list[dict[str, Any]]:
        return json.loads(self.first_answer(self.databases, f"{PATRONICTL} list -f json"))

    def leader(self) -> Host:
        return self.lab.host(next(member["Member"] for member in self.members() if member["Role"] == "Leader"))

    def is_whole(self) -> bool:
        with contextlib.suppress(LabError, StopIteration, json.JSONDecodeError):
            members = self.members()
            roles = sorted(member["Role"] for member in members if member["State"] in AT_WORK)
            return roles == ["Leader", "Replica", "Sync Standby"]
        return False

    def wait_until_whole(self, seconds: float = 180) -> float:
        """Seconds until a leader, a synchronous standby and a second replica are at work."""
        started = time.monotonic()
        while not self.is_whole():
            if time.monotonic() - started > seconds:
                raise LabError(f"The cluster is not whole after {seconds:g} s: {self.members()}")
            time.sleep(0.5)
        return time.monotonic() - started

    def etcdctl(self, words: str, at: Host | None = None) -> str:
        files = "/etc/etcd/pki"
        options = f"--cacert {files}/ca.crt --cert {files}/host.crt --key {files}/host.key --command-timeout 5s"
        script = "timeout 15 etcdctl --endpoints https://$(hostname):2379 " + options + " " + words
        return self.first_answer([at] if at else self.etcds, script)

    def etcd_members(self) -> dict[str, int]:
        """{host: member's number}"""
        return {member["name"]: member["ID"] for member in json.loads(self.etcdctl("member list -w json"))["members"]}

    def etcd_leader(self) -> Host:
        number = json.loads(self.etcdctl("endpoint status -w json"))[0]["Status"]["leader"]
        return self.lab.host(next(name for name, own in self.etcd_members().items() if own == number))

    def lead_etcd_from(self, host: Host) -> None:
        leader = self.etcd_leader()
        if leader.name != host.name:
            self.etcdctl(f"move-leader {self.etcd_members()[host.name]:x}", at=leader)
        if self.etcd_leader().name != host.name:
            raise LabError(f"etcd is not led from {host.name}.")


@dataclass
class Writer:
    """Writes one numbered row after another, each in a transaction of its own, and remembers which were acknowledged and when."""

    entrance: dict[str, Any]
    pause: float = 0.1
    acknowledged: list[tuple[float, int]] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)
    last_try: float = field(default_factory=time.monotonic)
    thread: threading.Thread | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[Writer]:
        with psycopg.connect(**self.entrance, autocommit=True) as connection:
            connection.execute("drop table if exists counter")
            connection.execute("create table counter (number bigint primary key)")
        self.thread = threading.Thread(target=self.write, daemon=True)
        self.thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            self.thread.join(timeout=20)

    def must_go_on(self) -> None:
        """A writer that hangs would count nothing and lose nothing: LabError with where it hangs."""
        if self.thread is not None and time.monotonic() - self.last_try > 20:
            frame = sys._current_frames().get(self.thread.ident or 0)
            where = "".join(traceback.format_stack(frame)[-4:]) if frame else "its thread has ended"
            sockets = run("ss", "-Htno", "dst", str(self.entrance["host"]))
            raise LabError(f"The writer hangs for {time.monotonic() - self.last_try:.0f} s:\n{where}{sockets}")

    def write(self) -> None:
        number, connection = 0, None
        while not self.ended.is_set():
            number += 1
            self.last_try = time.monotonic()
            try:
                connection = connection or psycopg.connect(**self.entrance, autocommit=True)
                connection.execute("insert into counter values (%s)", (number,))
                self.acknowledged.append((time.monotonic(), number))
            except psycopg.Error as error:
                text = str(error).strip().splitlines()[-1][:70] if str(error).strip() else type(error).__name__
                self.errors[text] = self.errors.get(text, 0) + 1
                if connection is not None:
                    connection.close()
                    connection = None
            self.ended.wait(self.pause)
        if connection is not None:
            connection.close()

    def longest_gap(self) -> float:
        times = [moment for moment, _ in self.acknowledged]
        return max((after - before for before, after in itertools.pairwise(times)), default=0.0)

    def lost(self) -> list[int]:
        """Numbers of rows that were acknowledged and are not there."""
        with psycopg.connect(**self.entrance, autocommit=True) as connection:
            present = {number for (number,) in connection.execute("select number from counter")}
        return [number for _, number in self.acknowledged if number not in present]


def place_leaders(cluster: Cluster, apart: bool) -> None:
    """etcd led from Patroni's host, or from another one."""
    leader = cluster.leader()
    candidates = [host for host in cluster.etcds if (host.name == leader.name) != apart]
    if candidates:
        cluster.lead_etcd_from(candidates[0])


@contextlib.contextmanager
def fault(cluster: Cluster, kind: str, host: Host) -> Iterator[None]:
    """What happens to the host, and its end, whatever happens in between."""
    if kind == "switchover":
        cluster.leader().ssh(f"{PATRONICTL} switchover --force main", seconds=40)
        yield
        return
    begin, end = {
        "freeze": (host.freeze, host.thaw),
        "cut": (host.cut, host.start),
        "partition": (host.partition, host.heal),
    }[kind]
    begin()
    try:
        yield
    finally:
        end()


def drill(cluster: Cluster, kind: str, *, apart: bool, etcd: bool, seconds: float, after: float) -> dict[str, Any]:
    """One drill; what it did and what it found."""
    cluster.wait_until_whole()
    place_leaders(cluster, apart)
    leader, etcd_leader = cluster.leader(), cluster.etcd_leader()
    struck = etcd_leader if etcd else leader
    writer = Writer(cluster.entrance)
    with writer.running():
        time.sleep(5)
        started = time.monotonic()
        with fault(cluster, kind, struck):
            time.sleep(max(0, seconds - (time.monotonic() - started)))
            ended = time.monotonic()
            writer.must_go_on()
        time.sleep(after)
        whole = after + cluster.wait_until_whole()
    lost = writer.lost()
    return {
        "drill": kind,
        "host": struck.name,
        "leader": leader.name,
        "etcd_leader": etcd_leader.name,
        "leader_after": cluster.leader().name,
        "etcd_leader_after": cluster.etcd_leader().name,
        "acknowledged": len(writer.acknowledged),
        "acknowledged_during": sum(started < moment < ended for moment, _ in writer.acknowledged),
        "acknowledged_after": sum(moment > started for moment, _ in writer.acknowledged),
        "lost": len(lost),
        "lost_numbers": f"{lost[0]}..{lost[-1]}" if lost else "",
        "longest_gap_s": round(writer.longest_gap(), 1),
        "whole_after_s": round(whole, 1),
        "errors": writer.errors,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab.drills", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=["freeze", "cut", "partition", "switchover"])
    parser.add_argument("--apart", action="store_true", help="etcd is led from another host than PostgreSQL")
    parser.add_argument(
        "--etcd", action="store_true", help="strikes the host that leads etcd, in place of PostgreSQL's"
    )
    parser.add_argument("--seconds", type=float, default=35, help="how long the fault lasts (35)")
    parser.add_argument("--after", type=float, default=15, help="how long the writer goes on at least (15)")
    parser.add_argument("--times", type=int, default=1)
    given = parser.parse_args()
    lost = 0
    try:
        cluster = Cluster(Lab())
        for _ in range(given.times):
            found = drill(
                cluster, given.kind, apart=given.apart, etcd=given.etcd, seconds=given.seconds, after=given.after
            )
            print(json.dumps(found), flush=True)
            lost += found["lost"]
            if not found["acknowledged_after"]:
                raise LabError("Nothing was acknowledged after the drill had begun.")
    except LabError as error:
        print(f"drills: {error}", file=sys.stderr)
        return 2
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
