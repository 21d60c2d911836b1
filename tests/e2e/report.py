"""What each phase came to, written after each: a phase that was left out says `skipped` and why, never `passed`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Skipped(Exception):
    """A phase cannot be carried out here; the message says why."""


class Report:
    """Phases in order, each with its seconds, its result and what it measured."""

    def __init__(self, path: Path, told: dict[str, Any]) -> None:
        self.path, self.told, self.phases = path, told, []
        self.began = time.monotonic()

    @contextlib.contextmanager
    def phase(self, name: str, *, must_pass: bool = False) -> Iterator[dict[str, Any]]:
        """One phase; what the block puts into the dictionary is kept. A failure ends the whole where `must_pass`."""
        measured: dict[str, Any] = {}
        began = time.monotonic()
        result, why = "passed", ""
        print(f"{name} ...", flush=True)
        try:
            yield measured
        except Skipped as skipped:
            result, why = "skipped", str(skipped)
        except Exception as error:  # the other phases are worth having
            result, why = "failed", f"{type(error).__name__}: {error}"
            traceback.print_exc()
        seconds = round(time.monotonic() - began, 1)
        self.phases.append({"phase": name, "result": result, "seconds": seconds, "why": why, **measured})
        print(f"{name}: {result}, {seconds} s {why} {measured or ''}", flush=True)
        self.write()
        if must_pass and result != "passed":
            raise SystemExit(f"{name} {result}: {why}")

    @property
    def has_failed(self) -> bool:
        return any(phase["result"] == "failed" for phase in self.phases)

    def write(self) -> None:
        """The report as it is now, whole or not at all."""
        whole = {**self.told, "seconds": round(time.monotonic() - self.began, 1), "phases": self.phases}
        whole["load"] = os.getloadavg()
        whole["python"] = sys.version.split()[0]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(whole, indent=1) + "\n")
        draft.rename(self.path)
