"""The caged child's own view of the file system: an own /proc, no data of the portal, and a way to the runner's Python."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from . import kernel

SAFE = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC


def own_mounts(job: dict[str, Any]) -> None:
    """Leave the mounts of the system for a copy, and change that."""
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    for path in job["hidden"]:
        hide(path)
    close_folders(job["needed"], job["private"], pass_closed=job.get("uid") is not None)
    try:
        kernel.mount("proc", "/proc", "proc", SAFE)
    except OSError:
        kernel.mount("tmpfs", "/proc", "tmpfs", SAFE, "size=4k")


def hide(path: str) -> None:
    """An empty, closed folder or an empty file in its place."""
    if os.path.isdir(path):
        kernel.mount("tmpfs", path, "tmpfs", SAFE | kernel.MS_RDONLY, "size=4k,mode=0")
    elif os.path.exists(path):
        kernel.mount("/dev/null", path, None, kernel.MS_BIND)


def first_closed_parent(path: str) -> str | None:
    """The topmost folder above `path` that another user cannot pass."""
    for parent in reversed(Path(path).parents):
        if not parent.stat().st_mode & 0o001:
            return str(parent)
    return None


def close_folders(needed: list[str], private: list[str], *, pass_closed: bool) -> None:
    """Let the private folders hold nothing but the ways to what is needed below them.

    With `pass_closed`, so do the folders that only the portal's user may pass (root's home), for the sake of the ways.
    """
    ways: dict[str, list[str]] = {folder: [] for folder in private if os.path.isdir(folder) and folder != "/"}
    for path in needed:
        if not os.path.isdir(path):
            continue
        above = next((folder for folder in ways if path.startswith(f"{folder}/")), None)
        above = above or (first_closed_parent(path) if pass_closed else None)
        if above is not None:
            ways.setdefault(above, []).append(path)
    mask = os.umask(0o022)
    for folder, paths in ways.items():
        kept = [(path, os.open(path, os.O_PATH | os.O_DIRECTORY)) for path in paths]
        kernel.mount("tmpfs", folder, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=64k,mode=755")
        for path, number in kept:
            os.makedirs(path, exist_ok=True)
            kernel.mount(f"/proc/self/fd/{number}", path, None, kernel.MS_BIND | kernel.MS_REC)
            os.close(number)
    os.umask(mask)
