"""The stand-in for remote managers as a process of its own: many targets, each with its own port, tenant and token."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.services.portal import ROOT


class Remote:
    """The running process. `targets`: [{"tenant", "token", "port"}]."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        told = self._read()
        self.ca: str = told["ca"]
        self.targets: list[dict[str, Any]] = told["targets"]

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The stand-in for remote managers ended.")
        return json.loads(line)

    def requests(self) -> dict[str, int]:
        """How many requests came since the last call, by method and path without ids."""
        assert self._process.stdin is not None
        self._process.stdin.write("count\n")
        self._process.stdin.flush()
        counted: dict[str, int] = self._read()
        return counted


@contextlib.contextmanager
def remote(targets: int, *, tls: bool = False, install: float = 0.0) -> Iterator[Remote]:
    """The stand-in for the length of the block; `install`: seconds that an install takes there."""
    command = [
        sys.executable,
        "-m",
        "inventory.doubles",
        "--targets",
        str(targets),
        "--own-ports",
        "--install",
        str(install),
    ]
    process = subprocess.Popen(
        command + (["--tls"] if tls else []), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Remote(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()  # ends it
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
