"""Operations that do what a test asks of them, and runs of them."""

import dataclasses
import threading
import time
from collections import Counter

from accounts.models import Tenant
from runs import engine, plans
from runs.models import Run
from runs.operations import Cancelled, Later, Operation, OperationError, operation

WORLD: set[str] = set()  # things that were brought about
CALLS: Counter[str] = Counter()  # "check a", "apply a", "cancel a"
REMOTE: dict[str, float] = {}  # when remote work ends, by monotonic clock
GATE = threading.Event()  # what test.gated waits for


def reset():
    WORLD.clear()
    CALLS.clear()
    REMOTE.clear()
    GATE.clear()


class Counted(Operation):
    name: str

    def describe(self):
        return f"Bring about {self.name}"

    def check(self, context):
        CALLS[f"check {self.name}"] += 1
        return self.name in WORLD

    def apply(self, context):
        CALLS[f"apply {self.name}"] += 1
        WORLD.add(self.name)

    def cancel(self, context):
        CALLS[f"cancel {self.name}"] += 1


@operation("test.thing")
@dataclasses.dataclass(frozen=True)
class Thing(Counted):
    """Is there after the first apply."""

    name: str
    is_batchable = True


@operation("test.failing")
@dataclasses.dataclass(frozen=True)
class Failing(Counted):
    """Fails until `name` is in the world."""

    name: str
    message: str = "The host is not there: check its address."
    is_batchable = True

    def apply(self, context):
        CALLS[f"apply {self.name}"] += 1
        raise OperationError(self.message, cause="unreachable")


@operation("test.broken")
@dataclasses.dataclass(frozen=True)
class Broken(Counted):
    """Raises something that nobody foresaw, with a secret in it."""

    name: str

    def apply(self, context):
        password = context.hide("hunter2-hunter2")
        context.say(f"trying {password}", password=password, nested=[{"too": password}])
        raise RuntimeError(f"cannot log in with {password}")


@operation("test.idle")
@dataclasses.dataclass(frozen=True)
class Idle(Counted):
    """Is carried out and changes nothing."""

    name: str

    def apply(self, context):
        CALLS[f"apply {self.name}"] += 1


@operation("test.remote")
@dataclasses.dataclass(frozen=True)
class Remote(Counted):
    """Takes `seconds` elsewhere."""

    name: str
    seconds: float
    look: float = 0.5
    deadline: float | None = None
    stop_seconds: float = 0.0
    is_batchable = True

    def check(self, context):
        CALLS[f"check {self.name}"] += 1
        if self.name not in REMOTE:
            return False
        if time.monotonic() < REMOTE[self.name]:
            context.memory["looks"] = context.memory.get("looks", 0) + 1
            return Later(self.look, f"{self.name} is at work there", self.deadline)
        return True

    def apply(self, context):
        CALLS[f"apply {self.name}"] += 1
        REMOTE[self.name] = time.monotonic() + self.seconds

    def cancel(self, context):
        CALLS[f"cancel {self.name}"] += 1
        if CALLS[f"cancel {self.name}"] == 1 and self.stop_seconds:
            return Later(self.stop_seconds, f"{self.name} is being stopped there")
        REMOTE.pop(self.name, None)
        context.say("the other side said: cancelled")
        return None


@operation("test.point_of_no_return")
@dataclasses.dataclass(frozen=True)
class PointOfNoReturn(Remote):
    """The same, and cannot be cancelled."""

    is_interruptible = False


@operation("test.gated")
@dataclasses.dataclass(frozen=True)
class Gated(Counted):
    """Works until the gate opens or a cancel comes."""

    name: str

    def apply(self, context):
        CALLS[f"apply {self.name}"] += 1
        context.say("began")
        until = time.monotonic() + 20
        while not GATE.wait(0.02):
            if context.is_cancelled():
                raise Cancelled("The other side was told, and stopped.")
            assert time.monotonic() < until
        WORLD.add(self.name)


def finish(run, *names):
    """What these remotes do has ended; look at once."""
    REMOTE.update(dict.fromkeys(names, 0.0))
    engine.wake(run)


def a_tenant(name="acme"):
    return Tenant.objects.get_or_create(name=name)[0]


def plan_of(*stages, title="A plan"):
    """Each stage is a list of lanes, each lane a list of operations."""
    return plans.store_plan(
        title,
        [
            plans.stage(
                f"Stage {number}", [plans.lane(f"Lane {lane}", operations) for lane, operations in enumerate(lanes)]
            )
            for number, lanes in enumerate(stages)
        ],
    )


def start(*operations, title="A run", **options) -> Run:
    """A run of one lane."""
    return start_plan(plan_of([list(operations)]), title=title, **options)


def start_plan(plan, title="A run", tenant=None, started_by=None, **options) -> Run:
    return engine.start_run(
        plan=plan, digest=plan.digest, title=title, tenant=tenant or a_tenant(), started_by=started_by, **options
    )


def start_family(children, *, title="A parent", tenant=None, started_by=None, locks=None, **options) -> Run:
    """A parent; each child is a list of operations."""
    parent = engine.start_parent(title=title, tenant=tenant or a_tenant(), started_by=started_by, **options)
    locks = locks or [""] * len(children)
    engine.add_children(
        parent, [(child, f"Child {n}", lock) for n, (child, lock) in enumerate(zip(children, locks, strict=True))]
    )
    engine.advance(parent)
    parent.refresh_from_db()
    return parent
