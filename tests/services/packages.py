"""Installs the Debian packages that the tests need and this machine lacks; as anybody but root it only names them.

Standard library only. The packages' own services are not started: the tests start what they need on ports of their own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

NEEDED: dict[str, Callable[[], bool]] = {
    "postgresql": lambda: any(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
    "openssh-server": lambda: Path("/usr/sbin/sshd").exists(),
    "rabbitmq-server": lambda: Path("/usr/lib/rabbitmq/bin/rabbitmq-server").exists(),
    "chromium": lambda: shutil.which("chromium") is not None,
    "mmdebstrap": lambda: shutil.which("mmdebstrap") is not None,
    "nftables": lambda: shutil.which("nft") is not None,
}
POLICY = Path("/usr/sbin/policy-rc.d")


@contextlib.contextmanager
def services_not_started() -> Iterator[None]:
    """Debian's own switch: while policy-rc.d says 101, no package starts a service. What was there before comes back."""
    saved = (POLICY.read_bytes(), POLICY.stat().st_mode) if POLICY.exists() else None
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        if saved:
            POLICY.write_bytes(saved[0])
            POLICY.chmod(saved[1])
        else:
            POLICY.unlink()


def apt_get(*arguments: str) -> bool:
    """Runs apt-get quietly; where it fails, shows what it said."""
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *arguments]
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}", file=sys.stderr)
    return done.returncode == 0


def install_missing() -> list[str]:
    """Returns the packages that are still missing afterwards; their tests will be skipped, and say so."""
    missing = [package for package, is_there in NEEDED.items() if not is_there()]
    if not missing:
        return []
    line = f"apt-get install --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(f"Tests that need {', '.join(missing)} will be skipped. To run them, as root: {line}", flush=True)
        return missing
    print(f"Installing what the tests need: {line}", flush=True)
    with services_not_started():
        apt_get("update") and apt_get("install", "-y", "--no-install-recommends", *missing)
    return [package for package in missing if not NEEDED[package]()]


if __name__ == "__main__":
    sys.exit(1 if install_missing() else 0)
