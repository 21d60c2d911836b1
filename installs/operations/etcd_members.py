"""Members of a serving etcd: one let in as a learner and promoted, one let go. The member list is the truth at every look."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, ClassVar

from installs.operations.applying import digest_of, put_all
from installs.operations.etcd import ConfigureEtcd, answering_of, etcdctl, start_etcd
from installs.rendering import etcd
from installs.steps import HostStep
from installs.wanted import Wanted
from inventory.connectors.ssh import Command, Host
from inventory.layout import Host as Member
from inventory.layout import Part
from runs.operations import Context, Later, OperationError, operation

LOOK_SECONDS, JOIN_SECONDS = 1.5, 240.0
WAIT, START, ADD, READMIT, PROMOTE, DONE = "wait", "start", "add", "readmit", "promote", "done"


def members_of(host: Host, asked: Sequence[Member]) -> list[dict[str, Any]]:
    """The member list, as these members tell it: ID, name ("" before its first start), peerURLs, isLearner. [] without an answer."""
    answer = host.run(etcdctl(asked, "member", "list", "--write-out=json"), codes=None, timeout=20)
    try:
        found = json.loads(answer.stdout)["members"]
    except (ValueError, TypeError, KeyError):
        return []
    return found if isinstance(found, list) else []


def entry_of(listed: Sequence[dict[str, Any]], member: Member) -> dict[str, Any] | None:
    """Its line, known by its peer URL: the name is empty before its first start."""
    url = f"//{member.private_address}:{etcd.PEER_PORT}"
    return next((each for each in listed if any(url in peer for peer in each.get("peerURLs", []))), None)


def next_of(entry: dict[str, Any] | None, *, has_data: bool, is_running: bool) -> str:
    """What letting a host in needs next, from its line in the member list and what is on it.

    A line without a name was never started: data below it are of another life, unless it is starting just now.
    A line with a name whose data are gone voted and forgot: it must not come back as the same member.
    """
    if entry is None:
        return ADD
    if not entry.get("name"):
        return WAIT if is_running else READMIT if has_data else START
    if not has_data:
        return READMIT
    if not is_running:
        return START
    return PROMOTE if entry.get("isLearner") else DONE


@operation("etcd.join")
@dataclasses.dataclass(frozen=True)
class JoinEtcd(HostStep):
    """Have this host's etcd a voting member of the running cluster. It votes once it has caught up: until then nothing depends on it."""

    def describe(self) -> str:
        return f"Let etcd on {self.host} in as a member"

    def look(self, context: Context, host: Host) -> bool | Later:
        wanted = self.wanted(context)
        entry = entry_of(members_of(host, self._others(wanted)), wanted.layout.host(self.host))
        return self._next(host, entry) == DONE and bool(answering_of(wanted, host, [wanted.layout.host(self.host)]))

    def act(self, context: Context, host: Host) -> Later | None:
        wanted = self.wanted(context)
        others, own = self._others(wanted), wanted.layout.host(self.host)
        listed = members_of(host, others)
        if not listed:
            return self._later("Waiting for etcd: no member answers with a majority behind it yet.")
        entry = entry_of(listed, own)
        step = self._next(host, entry)
        if step in (ADD, READMIT):
            return self._admit(context, host, others, own, entry)
        if step == START:
            self._start(context, wanted, host, listed)
        if step == PROMOTE:
            assert entry is not None
            promoted = host.run(etcdctl(others, "member", "promote", f"{entry['ID']:x}"), codes=None, timeout=20)
            if promoted.code == 0:
                context.say(f"{self.host} has caught up and votes from now on.")
        return self._later(f"Waiting for etcd on {self.host}: it catches up with the others.")

    def _admit(
        self, context: Context, host: Host, others: Sequence[Member], own: Member, entry: dict[str, Any] | None
    ) -> Later:
        """A line of its own in the member list, and nothing of an earlier life below it."""
        host.run(Command("systemctl", "stop", "etcd"), codes=None, timeout=60)
        if entry is not None:
            host.run(etcdctl(others, "member", "remove", f"{entry['ID']:x}"), timeout=20)
            context.say(f"{self.host} was a member before and lost its data: it is let in anew.")
        host.run(Command("rm", "-rf", etcd.DATA_FOLDER, "/var/lib/etcd/default"))
        url = f"https://{own.private_address}:{etcd.PEER_PORT}"
        added = host.run(
            etcdctl(others, "member", "add", self.host, "--learner", f"--peer-urls={url}"), codes=None, timeout=20
        )
        if added.code != 0:
            said = " ".join(added.stderr.split())[-200:]
            return self._later(f"Waiting for etcd to take {self.host} in: {said or 'it does not say why not'}")
        return self._later(f"Waiting for etcd on {self.host}: it is let in.", 0.1)

    def _start(self, context: Context, wanted: Wanted, host: Host, listed: Sequence[dict[str, Any]]) -> None:
        """With exactly the members that the list has: etcd refuses to join by any other."""
        layout = wanted.layout
        present = [f"{each.get('name') or self.host}={peer}" for each in listed for peer in each["peerURLs"]]
        files = etcd.files(layout, layout.host(self.host), wanted.passwords, present)
        put_all(host, files)
        configure = ConfigureEtcd(self.cluster, self.host)
        host.run(Command("systemctl", "daemon-reload"))
        host.run(Command("systemctl", "enable", "etcd"))
        configure.mark(host, configure.started_marker, digest_of(configure.counting(files)))
        start_etcd(host)
        context.say(f"etcd begins on {self.host}.")

    def _next(self, host: Host, entry: dict[str, Any] | None) -> str:
        has_data = host.test(Command("test", "-d", f"{etcd.DATA_FOLDER}/member"))
        state = host.run(Command("systemctl", "is-active", "etcd"), codes=None).text
        return next_of(entry, has_data=has_data, is_running=state in ("active", "activating"))

    def _others(self, wanted: Wanted) -> list[Member]:
        return [each for each in wanted.layout.having(Part.ETCD) if each.name != self.host]

    def _later(self, why: str, seconds: float = LOOK_SECONDS) -> Later:
        return Later(seconds, why, deadline=JOIN_SECONDS)


@operation("etcd.leave")
@dataclasses.dataclass(frozen=True)
class LeaveEtcd(HostStep):
    """Have `leaving` no member any more. Done by a member that stays; the one that leaves hands leadership over first."""

    leaving: str
    is_lost: bool = False

    seconds: ClassVar[float] = 120.0

    def describe(self) -> str:
        return f"Let etcd on {self.leaving} go"

    def look(self, context: Context, host: Host) -> bool | Later:
        listed, gone = self._listed(context, host)
        return bool(listed) and entry_of(listed, gone) is None

    def act(self, context: Context, host: Host) -> Later | None:
        listed, gone = self._listed(context, host)
        wanted = self.wanted(context)
        entry, own = entry_of(listed, gone), wanted.layout.host(self.host)
        if not listed:
            return Later(2.0, "Waiting for etcd: no majority of its members answers.", deadline=self.seconds)
        if entry is None:
            return None
        if not self.is_lost and leader_of(host, own) == entry["ID"]:
            me = entry_of(listed, own)
            if me is None:
                raise OperationError(
                    f"etcd does not know {self.host} as a member. Verify the cluster, repair that host, then resume.",
                    cause="members",
                )
            host.run(etcdctl([gone], "move-leader", f"{me['ID']:x}"), codes=None, timeout=20)
        removed = host.run(etcdctl([own], "member", "remove", f"{entry['ID']:x}"), codes=None, timeout=20)
        if removed.code != 0:
            said = " ".join(removed.stderr.split())[-200:]
            return Later(2.0, f"Waiting for etcd to let {self.leaving} go: {said}", deadline=self.seconds)
        return None

    def _listed(self, context: Context, host: Host) -> tuple[list[dict[str, Any]], Member]:
        layout = self.wanted(context, including=self.leaving).layout
        return members_of(host, [layout.host(self.host)]), layout.host(self.leaving)


def leader_of(host: Host, member: Member) -> int:
    """The id of the one that leads, as `member` sees it; 0 where it sees none."""
    answer = host.run(etcdctl([member], "endpoint", "status", "--write-out=json"), codes=None, timeout=20)
    try:
        return int(json.loads(answer.stdout)[0]["Status"].get("leader", 0))
    except (ValueError, TypeError, KeyError, IndexError):
        return 0
