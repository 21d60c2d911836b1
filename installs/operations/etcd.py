"""etcd: its members begin at the same time, since none of them is ready before a majority is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import ClassVar

from installs.operations.applying import Gate, Rolled
from installs.rendering import etcd
from installs.rendering.pki_paths import ETCD
from installs.rendering.values import RenderedFile
from installs.wanted import Wanted
from inventory.connectors.ssh import Command, Host
from inventory.layout import Host as Member
from inventory.layout import Part
from runs.operations import Context, operation


@operation("etcd.configure")
@dataclasses.dataclass(frozen=True)
class ConfigureEtcd(Rolled):
    """Have etcd at work on one host. It is not waited for: alone it cannot be ready."""

    service: ClassVar[str] = "etcd"
    unit: ClassVar[str] = "etcd"

    def files(self, context: Context, wanted: Wanted, host: Host) -> list[RenderedFile]:
        return etcd.files(wanted.layout, wanted.layout.host(self.host), wanted.passwords)

    def counting(self, files: Sequence[RenderedFile]) -> list[RenderedFile]:
        return etcd.counting(files)

    def begin(self, wanted: Wanted, host: Host) -> None:
        # The package may have begun a cluster of one, in a folder that we do not use.
        host.run(Command("rm", "-rf", "/var/lib/etcd/default"))
        start_etcd(host)

    def danger(self, wanted: Wanted, host: Host) -> str:
        """Without this member the others must still be a majority, and one of them leads."""
        others = [each for each in wanted.layout.having(Part.ETCD) if each.name != self.host]
        if not others:
            return ""
        answering = len(answering_of(wanted, host) - {self.host})
        if answering <= len(others) // 2:
            return f"Waiting with the restart of etcd on {self.host}: too few other members answer."
        return ""


def start_etcd(host: Host) -> None:
    """Have it begin; it is ready once a majority is."""
    host.run(Command("systemctl", "reset-failed", "etcd"), codes=None)
    host.run(Command("systemctl", "restart", "--no-block", "etcd"))


@operation("etcd.healthy")
@dataclasses.dataclass(frozen=True)
class EtcdIsHealthy(Gate):
    """Every member answers."""

    def describe(self) -> str:
        return "Wait until etcd has a quorum"

    def fault(self, context: Context, host: Host) -> str:
        wanted = self.wanted(context)
        answering = answering_of(wanted, host)
        ill = [each.name for each in wanted.layout.having(Part.ETCD) if each.name not in answering]
        return f"Waiting for quorum of etcd: {', '.join(ill)} not answering yet." if ill else ""


@operation("etcd.member")
@dataclasses.dataclass(frozen=True)
class EtcdMemberIsHealthy(Gate):
    """The member on this host answers, which it does only with a majority behind it: the next one may be taken."""

    def describe(self) -> str:
        return f"Wait until etcd on {self.host} answers"

    def fault(self, context: Context, host: Host) -> str:
        wanted = self.wanted(context)
        own = [wanted.layout.host(self.host)]
        return "" if answering_of(wanted, host, own) else f"Waiting for etcd on {self.host}: it does not answer yet."


def answering_of(wanted: Wanted, host: Host, members: Sequence[Member] | None = None) -> set[str]:
    """Names of those of `members` (of all) that answer with a majority behind them."""
    asked = wanted.layout.having(Part.ETCD) if members is None else members
    answer = host.run(etcdctl(asked, "endpoint", "health", "--write-out=json"), codes=None, timeout=20)
    return healthy_of(answer.stdout, asked)


def healthy_of(told: str, members: Sequence[Member]) -> set[str]:
    """The same from what `etcdctl endpoint health` wrote."""
    try:
        healthy = [str(each["endpoint"]) for each in json.loads(told) if each.get("health")]
    except (ValueError, TypeError, KeyError):
        return set()
    return {each.name for each in members if any(f"//{each.private_address}:" in one for one in healthy)}


def etcdctl(members: Sequence[Member], *words: str) -> Command:
    """A command of etcdctl against these members, known by the certificate of the host that it runs on."""
    endpoints = ",".join(f"https://{each.private_address}:{etcd.CLIENT_PORT}" for each in members)
    tls = [f"--cacert={ETCD.ca}", f"--cert={ETCD.certificate}", f"--key={ETCD.key}"]
    return Command("env", "ETCDCTL_API=3", "etcdctl", f"--endpoints={endpoints}", *tls, *words)
