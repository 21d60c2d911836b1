"""What a look at a target found: small values that the engine can store and a page can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from inventory.connectors.errors import ManagerError
from inventory.connectors.resources import Deployment


@dataclass(frozen=True)
class Done:
    """It is as wanted. `is_new`: this look made it, so nothing else can be there; `detail` says what was found."""

    remote_id: str
    is_new: bool = False
    detail: str = ""


@dataclass(frozen=True)
class NotYet:
    """Look again in `seconds`. `error` is what made this look fruitless, where something did; `status` is the wire's word."""

    why: str
    seconds: float
    execution_id: str = ""
    status: str = ""
    finished: int = 0
    total: int = 0
    since: str = ""  # when the manager made that execution, as it writes times
    error: ManagerError | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Failed:
    """The manager tried and ended otherwise. `error` is its own first line; `detail` the whole of it, for those who look."""

    error: str
    execution_id: str = ""
    status: str = ""
    detail: str = field(default="", repr=False)


@dataclass(frozen=True)
class Difference:
    """One way in which a target is not what was ordered: `what` is owner, digest, blueprint or inputs.

    For inputs, `names` are those that differ; their values are never kept here, for they may be secrets.
    """

    what: str
    expected: str = ""
    found: str = ""
    names: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        if self.what == "inputs":
            return f"it was deployed with other inputs ({', '.join(self.names) or 'their set differs'})"
        if self.what == "owner":
            return f"it belongs to {self.found or 'somebody who left no label'}, not to {self.expected}"
        return f"its {self.what} is {self.found or 'unknown'}, not {self.expected}"

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, "expected": self.expected, "found": self.found, "names": list(self.names)}


@dataclass(frozen=True)
class Differs:
    """Something else is there under this id; it is left alone."""

    differences: tuple[Difference, ...]

    @property
    def reason(self) -> str:
        what = "; ".join(each.words for each in self.differences)
        return f"Left alone: {what}. Uninstall it there first, or roll out what it has."


@dataclass(frozen=True)
class Outcome:
    """What a finished target offers, and in which state the manager sees it (empty where it was not asked)."""

    capabilities: Mapping[str, Any]
    installation_status: str = ""
    deployment_status: str = ""
    unavailable_instances: int = 0
    site_name: str = ""


@dataclass(frozen=True)
class Said:
    """What the manager answered to a cancel: the stage asked for, the execution's status now, and the words."""

    stage: str
    status: str
    is_ended: bool
    words: str


class Situation(StrEnum):
    """What stands at a target, in one word."""

    ABSENT = "absent"
    CREATING = "creating"
    CREATION_FAILED = "creation_failed"
    NOT_INSTALLED = "not_installed"
    INSTALLING = "installing"
    INSTALL_FAILED = "install_failed"
    INSTALLED = "installed"
    REMOVING = "removing"
    BUSY = "busy"  # another workflow runs


@dataclass(frozen=True)
class Survey:
    """What is there now under an id, for a preview; `differences` against an order, where one was given and can be compared."""

    situation: Situation
    deployment: Deployment | None = None
    differences: tuple[Difference, ...] = ()
