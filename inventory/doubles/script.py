"""What happens at the double when it is given work: how long things take, and how they end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Script:
    """The plot for one tenant (or for all). Durations in seconds; an empty error means that it ends well."""

    upload: float = 0.0
    creation: float = 0.0
    install: float = 0.0
    uninstall: float = 0.0
    deletion: float = 0.0
    cancelling: float = 0.0
    operations: int = 14
    nodes: int = 1
    blueprint_state: str = "uploaded"  # or how the upload ends: invalid, failed_parsing, ...
    blueprint_error: str = ""
    creation_error: str = ""
    install_error: str = ""
    uninstall_error: str = ""
    update: float = 0.0
    update_error: str = ""
    workflows: tuple[str, ...] = ("heal", "check_status", "check_drift")  # besides those that are always there
    ignores_cancel: bool = False  # only kill ends it
    stays_pending: bool = False  # the broker lost the message: an execution never starts
    clock_skew: float = 0.0  # seconds by which the times that it tells are ahead of ours
    inputs: Mapping[str, Any] | None = None  # declared inputs and defaults (... means required); None takes anything
    capabilities: Mapping[str, Any] = field(default_factory=lambda: {"answer": "hello"})
    main_file: str = "blueprint.yaml"

    def seconds(self, workflow: str) -> float:
        """How long a workflow takes."""
        return {
            "create_deployment_environment": self.creation,
            "install": self.install,
            "uninstall": self.uninstall,
            "update": self.update,
            "delete_deployment_environment": self.deletion,
        }.get(workflow, 0.0)

    def error(self, workflow: str) -> str:
        """How it fails, if it does."""
        return {
            "create_deployment_environment": self.creation_error,
            "install": self.install_error,
            "uninstall": self.uninstall_error,
            "update": self.update_error,
        }.get(workflow, "")
