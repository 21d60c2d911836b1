"""What each phase came to, written after each: a phase that was left out or not reached says `skipped` and why, never `passed`."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Phase:
    """One step of a journey. `act` may give what it measured; where one that `must_pass` fails, those after it are not reached."""

    name: str
    act: Callable[[], dict[str, Any] | None]
    must_pass: bool = False
    skip: str = ""  # why it cannot be carried out here


class Report:
    """Phases in order, each with its seconds, its result and what it measured."""

    def __init__(self, path: Path, told: dict[str, Any]) -> None:
        self.path, self.told = path, told
        self.phases: list[dict[str, Any]] = []
        self.began = time.monotonic()

    def carry_out(self, phases: Sequence[Phase]) -> bool:
        """One after another; whether the last was reached."""
        for number, phase in enumerate(phases):
            if phase.skip:
                self.add(phase.name, "skipped", 0.0, phase.skip)
            elif not self.carry_out_one(phase) and phase.must_pass:
                for missed in phases[number + 1 :]:
                    self.add(missed.name, "skipped", 0.0, f"not reached: {phase.name!r} failed")
                self.write()
                return False
        return True

    def carry_out_one(self, phase: Phase) -> bool:
        """Whether it passed. A failure is told and kept: the other phases are worth having."""
        began = time.monotonic()
        result, why, measured = "passed", "", {}
        print(f"{phase.name} ...", flush=True)
        try:
            measured = phase.act() or {}
        except Exception as error:
            result, why = "failed", f"{type(error).__name__}: {error}"
            traceback.print_exc()
        seconds = round(time.monotonic() - began, 1)
        self.add(phase.name, result, seconds, why, measured)
        print(f"{phase.name}: {result}, {seconds} s {why} {measured or ''}", flush=True)
        self.write()
        return result == "passed"

    def add(self, name: str, result: str, seconds: float, why: str, measured: dict[str, Any] | None = None) -> None:
        self.phases.append({"phase": name, "result": result, "seconds": seconds, "why": why, **(measured or {})})

    @property
    def has_failed(self) -> bool:
        return any(phase["result"] == "failed" for phase in self.phases)

    @property
    def summary(self) -> str:
        """N passed, N failed, N skipped."""
        results = [phase["result"] for phase in self.phases]
        return ", ".join(f"{results.count(each)} {each}" for each in ("passed", "failed", "skipped"))

    def write(self) -> None:
        """The report as it is now, whole or not at all."""
        whole = {**self.told, "seconds": round(time.monotonic() - self.began, 1), "phases": self.phases}
        whole["load"] = os.getloadavg()
        whole["python"] = sys.version.split()[0]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(whole, indent=1) + "\n")
        draft.rename(self.path)
