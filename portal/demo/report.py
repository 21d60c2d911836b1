"""What the demo leaves behind: a table on the screen, and var/demo.json for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from portal.demo.installations import Installation
from portal.demo.places import PLACES, USERNAME
from portal.demo.scenario import Outcome


def show_table(console: Console, outcome: Outcome) -> None:
    """Environment, site, state, seconds, capability."""
    table = Table("Environment", "Site", "State", "Seconds", "Capability", title="Rollout", title_justify="left")
    table.columns[-1].overflow = "fold"
    for row in outcome.targets:
        capabilities = (
            ", ".join(f"{name}: {value}" for name, value in sorted(row["capabilities"].items())) or row["why"]
        )
        seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
        table.add_row(row["name"], row["site"], row["state"], seconds, capabilities)
    console.print(table, soft_wrap=False)


def write_file(path: Path, central: Installation, token: str, rollout: int, managers: Sequence[Installation]) -> None:
    """Whole or not at all, for its owner's eyes alone."""
    content: dict[str, Any] = {
        "url": central.url,
        "username": USERNAME,
        "password": central.password,
        "token": token,
        "rollout": rollout,
        "environments": [
            {
                "name": place.name,
                "url": manager.url,
                "tenant": "default_tenant",
                "username": USERNAME,
                "password": manager.password,
            }
            for place, manager in zip(PLACES, managers, strict=True)
        ],
    }
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
