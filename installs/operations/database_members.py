"""Members of a serving database: leadership handed over, one let go without a pause of the writes, settings that all members share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import yaml

from installs.operations.applying import Gate, put_all
from installs.operations.database import members_of
from installs.rendering import patroni
from installs.rendering.values import RenderedFile
from installs.steps import HostStep
from inventory.connectors.ssh import Command, Host
from runs.operations import Context, Later, OperationError, operation

SHARED = ("ttl", "loop_wait", "retry_timeout", "synchronous_mode", "synchronous_mode_strict")
SYNCHRONOUS = ("Sync Standby", "Quorum Standby")
LEADERS = ("Leader", "Standby Leader")


def role_of(members: Sequence[Mapping[str, Any]], name: str) -> str:
    """As Patroni tells it; "" for who is not among them."""
    return next((str(each.get("Role")) for each in members if each.get("Member") == name), "")


def successor_of(members: Sequence[Mapping[str, Any]], leaving: str) -> str:
    """Who takes over from `leaving`: a synchronous replica, else one without a lag; "" where nobody can."""
    able = [each for each in members if each.get("Member") != leaving and each.get("State") in ("streaming", "running")]
    able.sort(key=lambda each: (each.get("Role") not in SYNCHRONOUS, each.get("Lag in MB") or 0))
    return str(able[0]["Member"]) if able else ""


@operation("patroni.handover")
@dataclasses.dataclass(frozen=True)
class HandOver(HostStep):
    """Have another database host lead. Writes wait for seconds, and nothing acknowledged is lost."""

    def describe(self) -> str:
        return f"Have another host than {self.host} lead PostgreSQL"

    def look(self, context: Context, host: Host) -> bool | Later:
        return role_of(members_of(host), self.host) not in LEADERS

    def act(self, context: Context, host: Host) -> Later | None:
        members = members_of(host)
        if role_of(members, self.host) not in LEADERS:
            return None
        successor = successor_of(members, self.host)
        if not successor:
            raise OperationError(
                f"{self.host} leads PostgreSQL, and no other host could take over. Bring one back or add one, then resume.",
                cause="no-successor",
            )
        scope = self.wanted(context, including=self.host).layout.name
        context.say(f"{successor} takes over from {self.host}.")
        command = Command(
            "patronictl", "-c", patroni.PATH, "switchover", scope, "--leader", self.host, "--candidate", successor, "--force"
        )  # fmt: skip
        host.run(command, codes=None, timeout=60)
        return Later(1.0, f"Waiting for {successor} to lead PostgreSQL.", deadline=90.0)


@operation("patroni.leave")
@dataclasses.dataclass(frozen=True)
class LeavePatroni(HostStep):
    """Have PostgreSQL and Patroni of one host stopped for good. First no commit waits for it any more: so none pauses."""

    def describe(self) -> str:
        return f"Take {self.host} out of PostgreSQL's replicas"

    def look(self, context: Context, host: Host) -> bool | Later:
        return not is_at_work(host, "patroni")

    def act(self, context: Context, host: Host) -> Later | None:
        members = members_of(host)
        role = role_of(members, self.host)
        if role in LEADERS and len(members) > 1:
            raise OperationError(
                f"{self.host} leads PostgreSQL again. Resume once another host leads, or plan the removal again.",
                cause="leads",
            )
        if role in SYNCHRONOUS and successor_of(_followers(members), self.host):
            wanted = self.wanted(context, including=self.host)
            own = wanted.layout.host(self.host)
            settings = patroni.configuration(wanted.layout, own, wanted.passwords, host.facts().memory)
            settings["tags"] |= {"nofailover": True, "nosync": True}
            if put_all(host, [_file(settings)]):
                host.run(Command("systemctl", "reload", "patroni"), timeout=60)
            return Later(1.0, "Waiting until no commit waits for it any more.", deadline=60.0)
        host.run(Command("systemctl", "disable", "--now", "patroni"), timeout=120)
        return None


def _followers(members: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [each for each in members if each.get("Role") not in LEADERS]


def _file(settings: dict[str, Any]) -> RenderedFile:
    return RenderedFile(
        patroni.PATH, yaml.safe_dump(settings, sort_keys=False, width=120), "postgres", "postgres", 0o600
    )


def is_at_work(host: Host, unit: str) -> bool:
    """Whether systemd runs it now or would at boot; not so where there is no such unit."""
    return host.test(
        Command.shell('systemctl is-active --quiet "$1" || systemctl is-enabled --quiet "$1" 2>/dev/null', unit)
    )


@operation("patroni.gone")
@dataclasses.dataclass(frozen=True)
class PatroniForgets(Gate):
    """Patroni lists `leaving` no more, and a member leads. Who stopped is listed until its entry has run out."""

    leaving: str

    seconds: ClassVar[float] = 240.0

    def describe(self) -> str:
        return f"Wait until Patroni has let {self.leaving} go"

    def fault(self, context: Context, host: Host) -> str:
        members = members_of(host)
        if not any(each.get("Role") in LEADERS for each in members):
            return "Waiting for PostgreSQL: no member leads yet."
        if role := role_of(members, self.leaving):
            return f"Waiting for Patroni: it still lists {self.leaving} as {role.lower()}."
        return ""


@operation("patroni.settings")
@dataclasses.dataclass(frozen=True)
class PatroniSettings(HostStep):
    """Have what all members share as wanted: the preset of failover, and whether commits wait for a replica."""

    def describe(self) -> str:
        return "Set what all members of PostgreSQL share"

    def look(self, context: Context, host: Host) -> bool | Later:
        shown = host.run(Command("patronictl", "-c", patroni.PATH, "show-config"), codes=None, timeout=25)
        return shown.code == 0 and not differing_settings(shown.stdout, self._shared(context))

    def act(self, context: Context, host: Host) -> Later | None:
        shown = host.run(Command("patronictl", "-c", patroni.PATH, "show-config"), codes=None, timeout=25)
        if shown.code != 0:
            return Later(2.0, "Waiting for Patroni: it does not tell its settings yet.", deadline=120.0)
        changes = differing_settings(shown.stdout, self._shared(context))
        words = [
            word for name, value in changes.items() for word in ("--set", f"{name}={yaml.safe_dump(value).split()[0]}")
        ]
        scope = self.wanted(context).layout.name
        context.say(f"Patroni is told {', '.join(changes)}.")
        host.run(
            Command("patronictl", "-c", patroni.PATH, "edit-config", scope, "--force", "--quiet", *words), timeout=40
        )
        return None

    def _shared(self, context: Context) -> dict[str, Any]:
        settings = patroni.dynamic(self.wanted(context).layout, 0)
        return {name: settings[name] for name in SHARED}


def differing_settings(shown: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `wanted` that `patronictl show-config` shows otherwise."""
    try:
        present = yaml.safe_load(shown)
    except yaml.YAMLError:
        present = None
    known = present if isinstance(present, dict) else {}
    return {name: value for name, value in wanted.items() if known.get(name) != value}
