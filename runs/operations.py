"""What a step of a plan is: an immutable value that can look, act and be rebuilt from its stored arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

Item = TypeVar("Item")
# Stores what many steps handed in, with few statements: called in the engine's transaction, so it commits with their states.
Writer: TypeAlias = Callable[[Sequence[Item]], None]


@dataclasses.dataclass(frozen=True)
class Later:
    """Not yet: look again in `seconds`; `why` is shown; the wait as a whole ends as failed after `deadline` seconds."""

    seconds: float
    why: str
    deadline: float | None = None


class OperationError(Exception):
    """The step failed for a named cause; `message` says what to do. Raised by operations, shown to people."""

    def __init__(self, message: str, *, cause: str = "failed") -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause


class Context(Protocol):
    """What the engine lends to an operation while it looks or acts."""

    run_id: int
    step_id: int
    attempt: int  # of the step: 2 and more when it was begun before and caught in the middle
    run_attempt: int  # grows when the run is handed on or resumed: what a process keeps beyond a look is kept under it
    memory: dict[str, Any]  # survives between looks of this step; saved when the look ends; ids, never a secret

    def say(self, message: str, *, kind: str = "message", **data: Any) -> None:
        """Write an event of this step; hidden values are masked."""

    def write(self, writer: Writer[Item], item: Item) -> None:
        """Have `writer` store `item` in the transaction that records how this look ended; never, if the step was handed on."""

    def hide(self, value: str) -> str:
        """Mask `value` from now on in every message of this context; returns it."""

    def is_cancelled(self) -> bool:
        """Somebody asked to cancel this run: tell the remote side and raise `Cancelled`, or finish."""


class Cancelled(Exception):
    """The operation stopped because a cancel was asked for; the remote side was told and `message` says what it said."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class Operation:
    """Base of all operations; subclasses are frozen dataclasses whose fields are ids and names, never a secret."""

    key: ClassVar[str]
    is_interruptible: ClassVar[bool] = True  # False: a point of no return; cancel waits for its end
    is_batchable: ClassVar[bool] = False  # cheap and I/O bound: the engine may look at many targets in one task

    @classmethod
    def prepare(cls, begun: Sequence[tuple[Operation, Context]]) -> None:
        """Told once of all steps of this kind that begin together: read in bulk what each would read alone. Acts on nothing."""

    def describe(self) -> str:
        """One line for people, before it runs."""
        raise NotImplementedError

    def check(self, context: Context) -> bool | Later:
        """Is it already as wanted? Touches nothing; False where the thing is simply absent."""
        raise NotImplementedError

    def apply(self, context: Context) -> Later | None:
        """Bring it about; safe to repeat."""
        raise NotImplementedError

    def cancel(self, context: Context) -> Later | None:
        """Asked to stop while this step was begun: tell the remote side. `Later`: it has not stopped yet."""
        return None

    def to_json(self) -> dict[str, Any]:
        """{"key", "args", "describe"} as stored in a plan."""
        return {"key": self.key, "args": dataclasses.asdict(self), "describe": self.describe()}  # type: ignore[call-overload]


OperationType = TypeVar("OperationType", bound=type[Operation])
REGISTRY: dict[str, type[Operation]] = {}


def operation(key: str) -> Callable[[OperationType], OperationType]:
    """Register a class under a key that outlives renames."""

    def register(cls: OperationType) -> OperationType:
        if key in REGISTRY:
            raise ValueError(f"two operations are called {key!r}")
        cls.key = key
        REGISTRY[key] = cls
        return cls

    return register


def rebuild(key: str, args: dict[str, Any]) -> Operation:
    """The operation that was stored as `key` and `args`; KeyError with a remedy when this version does not know it."""
    if key not in REGISTRY:
        raise KeyError(f"This version has no operation {key!r}: install the version that made the plan, or plan again.")
    return REGISTRY[key](**args)
