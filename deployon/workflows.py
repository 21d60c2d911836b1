"""A workflow that a rollout runs where its service stands."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from django.core.exceptions import ValidationError

from deployon.models import Rollout

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")
# Workflows that are actions of their own, for they change what is wanted there.
_ACTIONS = {"install": Rollout.Action.DEPLOY, "uninstall": Rollout.Action.UNINSTALL, "update": Rollout.Action.UPDATE}


@dataclasses.dataclass(frozen=True)
class Workflow:
    """Its name, empty for every other action, and its parameters."""

    name: str = ""
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.name)

    def check(self, action: str) -> None:
        """ValidationError where it does not go with the action."""
        if (action == Rollout.Action.WORKFLOW) != bool(self.name):
            raise _wrong("Name the workflow that is to run, such as heal; it belongs to the action workflow.")
        if self.name and not _NAME.fullmatch(self.name):
            raise _wrong("A workflow is named with letters, digits, '_', '.' and '-'. Enter it as the blueprint does.")
        if self.name in _ACTIONS:
            raise _wrong(f"{self.name} is an action of its own: choose {_ACTIONS[self.name]} instead.")


def _wrong(words: str) -> ValidationError:
    return ValidationError({"workflow": words})
