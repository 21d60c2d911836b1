"""What the steps on a host have in common: a session from its rows, patience while it is down, long work followed to its end."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import ClassVar, TypeVar

from installs import detaching
from installs.reaching import session
from installs.remedies import explain
from installs.wanted import Wanted
from inventory.connectors.ssh import Hidden, Host, HostError
from runs.operations import Context, Later, Operation, OperationError

T = TypeVar("T")
FIRST_LOOK_SECONDS, LOOK_GROWTH, LONGEST_LOOK_SECONDS = 1.0, 1.6, 10.0
DOWN = "host_down_since"


@dataclasses.dataclass(frozen=True)
class HostStep(Operation):
    """A step on one host: `cluster` is a Cluster's id, `host` the host's name. Subclasses say `look`, `act` and `describe`."""

    cluster: int
    host: str

    patience: ClassVar[float] = 300.0  # how many seconds a host that does not answer is waited for: it may be booting

    def look(self, context: Context, host: Host) -> bool | Later:
        """Is it as wanted there? Touches nothing."""
        raise NotImplementedError

    def act(self, context: Context, host: Host) -> Later | None:
        """Bring it about; safe to repeat."""
        raise NotImplementedError

    def check(self, context: Context) -> bool | Later:
        if detaching.is_begun(context):
            return False  # it may look done from outside before it is: dpkg's triggers, a lock that is still held
        return self._meet(context, lambda host: self.look(context, host))

    def apply(self, context: Context) -> Later | None:
        def act(host: Host) -> Later | None:
            later = self.act(context, host)
            if later is None:
                detaching.clear(context, host)
            return later

        return self._meet(context, act)

    def cancel(self, context: Context) -> Later | None:
        """What runs apart from us is stopped there."""
        if not detaching.names(context):
            return None
        return self._meet(context, lambda host: detaching.stop_all(context, host))

    def detached(
        self, context: Context, host: Host, name: str, script: str | Hidden, *, title: str = "", seconds: float = 1800.0
    ) -> Later | None:
        """Have `script` run apart from this connection, or follow it: `Later` until it has ended well, then None.

        `name` tells several scripts of one step apart. Its output becomes events. A script must bear being run again: where the
        host goes down in the middle, it is. OperationError where it fails, or does not end within `seconds`.
        """
        work = detaching.Work(name, script, title or self.describe(), self.host, seconds)
        return detaching.follow(context, host, work)

    def wanted(self, context: Context, including: str = "") -> Wanted:
        """The cluster as it is to be, with `including`, which leaves; its passwords are masked from now on."""
        wanted = Wanted.load(self.cluster, including)
        for value in wanted.hidden:
            context.hide(value)
        return wanted

    def _meet(self, context: Context, action: Callable[[Host], T]) -> T | Later:
        """Do `action` in a session; where the host does not answer, wait for it; other refusals fail with their kind as cause."""
        try:
            with session(self.cluster, self.host) as host:
                for value in host.credential.hidden:
                    context.hide(value)
                outcome = action(host)
        except HostError as error:
            return self._bear(context, error)
        if context.memory.pop(DOWN, None):
            context.say(f"Host {self.host} answers again.")
        return outcome

    def _bear(self, context: Context, error: HostError) -> Later:
        if not error.is_transient:
            known = explain(f"{error.message}\n{error.output}", self.host)
            words = [
                f"{error.message.rstrip('.')}.",
                *([f"{known.line}.", known.remedy] if known else []),
                "Then resume.",
            ]
            raise OperationError(" ".join(words), cause=str(error.kind))
        now = time.time()
        down = context.memory.setdefault(DOWN, {"at": now, "looks": 0})
        if now - down["at"] > self.patience:
            del context.memory[DOWN]  # who resumes has waited, and waits anew
            raise OperationError(
                f"Host {self.host} did not come back within {self.patience:.0f} s: {error.message} Then resume.",
                cause=str(error.kind),
            )
        if not down["looks"]:
            context.say(error.message, kind="warning")
        down["looks"] += 1
        seconds = min(LONGEST_LOOK_SECONDS, FIRST_LOOK_SECONDS * LOOK_GROWTH ** (down["looks"] - 1))
        return Later(seconds, f"Waiting for host {self.host}: {error.message}")
