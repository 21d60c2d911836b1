"""Files and services on a host: what is there is compared with what is rendered, what differs is put, and the service is told."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import ClassVar

from installs.remedies import explain
from installs.rendering.values import RenderedFile
from installs.steps import HostStep
from installs.wanted import Wanted
from inventory.connectors.ssh import Command, Host, HostError, HostErrorKind
from runs.operations import Context, Later, OperationError

MARKERS = "/var/lib/deployon-setup/applied"  # of root: what is below the folder of the service its user could swap
# One line a file: digest, owner:group and mode; "-" where there is none.
_SHOW = """
for path in "$@"; do
  if [ -f "$path" ]; then echo "$(sha256sum < "$path" | cut -c1-64) $(stat -c '%U:%G %a' -- "$path")"; else echo -; fi
done
"""
# Asked for several units at once systemctl is content with one.
_ARE_ACTIVE = 'for unit in "$@"; do systemctl is-active --quiet "$unit"; systemctl is-enabled --quiet "$unit"; done'


def digest_of(files: Sequence[RenderedFile]) -> str:
    """One digest of all of them, their places and modes."""
    whole = hashlib.sha256()
    for each in files:
        whole.update(f"{each.path}\0{each.owner}:{each.group} {each.mode:o}\0{each.content}\0".encode())
    return whole.hexdigest()


def differing(host: Host, files: Sequence[RenderedFile]) -> list[str]:
    """Paths of those that are not there as rendered. One command, whatever their number."""
    if not files:
        return []
    shown = host.run(Command.shell(_SHOW, *(each.path for each in files))).stdout.splitlines()
    wanted = [
        f"{hashlib.sha256(each.content.encode()).hexdigest()} {each.owner}:{each.group} {each.mode:o}" for each in files
    ]
    return [each.path for each, is_there, must in zip(files, shown, wanted, strict=True) if is_there != must]


def put_all(host: Host, files: Sequence[RenderedFile]) -> list[str]:
    """Put those that differ; their paths."""
    changed = differing(host, files)
    for each in files:
        if each.path in changed:
            folder = str(PurePosixPath(each.path).parent)
            if not host.test(Command("test", "-d", folder)):
                host.make_folder(folder)
            host.put(each.path, each.content.encode(), owner=each.owner, group=each.group, mode=each.mode)
    return changed


def are_active(host: Host, units: Sequence[str]) -> bool:
    """Whether systemd has every one of them at work, and starts it at boot."""
    return not units or host.test(Command.shell(_ARE_ACTIVE, *units))


@dataclasses.dataclass(frozen=True)
class Configure(HostStep):
    """Have the files of one service as rendered and the service at work with them.

    A marker on the host says with which files the service was last told to begin anew: a step that was caught between putting
    them and telling it is repeated whole.
    """

    service: ClassVar[str]
    units: ClassVar[tuple[str, ...]] = ()

    def files(self, context: Context, wanted: Wanted, host: Host) -> list[RenderedFile]:
        """What is to be there."""
        raise NotImplementedError

    def validate(self, wanted: Wanted, host: Host) -> None:
        """After the files, before the service is told: have its own program look at them. Raises HostError."""

    def tell(self, wanted: Wanted, host: Host, files: Sequence[RenderedFile]) -> None:
        """Have the service work with `files`, which are there."""
        raise NotImplementedError

    def describe(self) -> str:
        return f"Configure {self.service} on {self.host}"

    def look(self, context: Context, host: Host) -> bool | Later:
        wanted = self.wanted(context)
        files = self.files(context, wanted, host)
        is_told = self._read(host, self._marker) == digest_of(files)
        return is_told and not differing(host, files) and are_active(host, self.units)

    def act(self, context: Context, host: Host) -> Later | None:
        wanted = self.wanted(context)
        files = self.files(context, wanted, host)
        for path in put_all(host, files):
            context.say(f"Put {path}.", kind="detail")
        self.validate(wanted, host)
        try:
            self.tell(wanted, host, files)
        except HostError as error:
            if error.kind is HostErrorKind.FAILED:  # systemctl itself knows no more than that it failed
                for unit in self.units:
                    refuse_failed(host, unit)
            raise
        self.mark(host, self._marker, digest_of(files))
        return None

    def mark(self, host: Host, path: str, digest: str) -> None:
        """Note on the host with what the service was told."""
        host.make_folder(MARKERS, mode=0o700)
        host.put(path, digest.encode(), mode=0o600)

    def began_with(self, host: Host, unit: str, files: Sequence[RenderedFile]) -> bool:
        """Whether this unit is at work, and was begun with these files as they are now."""
        is_at_work = host.test(Command("systemctl", "is-active", "--quiet", unit))
        return is_at_work and self._read(host, self._started(unit)) == digest_of(files)

    def mark_begun(self, host: Host, unit: str, files: Sequence[RenderedFile]) -> None:
        """Note that it was begun with them."""
        self.mark(host, self._started(unit), digest_of(files))

    def _started(self, unit: str) -> str:
        return f"{self._marker}-{unit}-started"

    def _read(self, host: Host, path: str) -> str:
        return host.run(Command.shell('cat "$1" 2>/dev/null || :', path)).text

    @property
    def _marker(self) -> str:
        return f"{MARKERS}/{self.service.lower().replace(' ', '-')}"


@dataclasses.dataclass(frozen=True)
class Rolled(Configure):
    """A service that votes: begun without being waited for, and at work restarted only for what it reads at its start alone.

    A second marker says with which of that it was last started. Plans of a serving cluster take its hosts one at a time.
    """

    unit: ClassVar[str]

    def counting(self, files: Sequence[RenderedFile]) -> list[RenderedFile]:
        """What a service at work would have to be restarted for: without what counts at its first start alone."""
        raise NotImplementedError

    def begin(self, wanted: Wanted, host: Host) -> None:
        """Have it started; it may take long to be ready."""
        raise NotImplementedError

    def danger(self, wanted: Wanted, host: Host) -> str:
        """Why it must not be restarted now, in words that begin with "Waiting"; "" where it may."""
        raise NotImplementedError

    def look(self, context: Context, host: Host) -> bool | Later:
        states = Command.shell('systemctl is-enabled --quiet "$1" && ! systemctl is-failed --quiet "$1"', self.unit)
        return host.test(states) and super().look(context, host)

    def act(self, context: Context, host: Host) -> Later | None:
        wanted = self.wanted(context)
        files = self.files(context, wanted, host)
        for path in put_all(host, files):
            context.say(f"Put {path}.", kind="detail")
        host.run(Command("systemctl", "daemon-reload"))
        host.run(Command("systemctl", "enable", self.unit))
        started_with = digest_of(self.counting(files))
        is_active = host.test(Command("systemctl", "is-active", "--quiet", self.unit))
        began_with = self._read(host, self.started_marker)
        if is_active and not began_with:
            # A host that went down after its packages came begins what they enabled by itself: alone, without our files.
            host.run(Command("systemctl", "stop", self.unit), timeout=150)
            is_active = False
        if not is_active:
            # The mark before the start: what is at work with a mark was begun by us, whenever we are killed.
            self.mark(host, self.started_marker, started_with)
            self.begin(wanted, host)
        elif began_with != started_with:
            if danger := self.danger(wanted, host):
                return Later(3.0, danger, deadline=300.0)
            context.say(f"Settings of {self.service} changed that count at its start: it is restarted on {self.host}.")
            host.run(Command("systemctl", "restart", self.unit), timeout=150)
            self.mark(host, self.started_marker, started_with)
        self.mark(host, self._marker, digest_of(files))
        return None

    @property
    def started_marker(self) -> str:
        """Where it is noted."""
        return f"{self._marker}-started"


@dataclasses.dataclass(frozen=True)
class Gate(HostStep):
    """Something that comes about by itself once everything is configured: it is waited for, and what is missing is said."""

    seconds: ClassVar[float] = 180.0
    every: ClassVar[float] = 1.5

    def fault(self, context: Context, host: Host) -> str:
        """What is not as it should be yet, in words that begin with "Waiting for"; "" when all is well."""
        raise NotImplementedError

    def look(self, context: Context, host: Host) -> bool | Later:
        context.memory["fault"] = self.fault(context, host)
        if context.memory["fault"] and getattr(context, "mode", "") == "check":
            context.say(context.memory["fault"], kind="warning")  # of a check no more is kept than that it differs
        return not context.memory["fault"]

    def act(self, context: Context, host: Host) -> Later | None:
        return Later(self.every, context.memory["fault"], deadline=self.seconds)


def refuse_failed(host: Host, unit: str) -> None:
    """OperationError with the last words of a unit that systemd has given up: waiting for it would be in vain."""
    if host.test(Command("systemctl", "is-failed", "--quiet", unit)):
        said = last_words(host, unit, 12)
        known = explain(said.replace(" / ", "\n"), host.address.host)
        told = f"{known.line}. {known.remedy}" if known else said[-300:]
        raise OperationError(
            f"{unit} does not start on {host.address.host}: {told} "
            f"Look at `journalctl -u {unit}` there, put it right, then resume.",
            cause="service",
        )


def last_words(host: Host, unit: str, lines: int) -> str:
    """What a unit said last, in one line."""
    command = Command("journalctl", "--unit", unit, "--lines", lines, "--no-pager", "--output", "cat")
    return " / ".join(host.run(command, codes=None).text.splitlines())
