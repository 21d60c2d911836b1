"""The caged child's own view of the file system: an own /proc, no data of the portal, and a way to the runner's Python."""

from __future__ import annotations

import contextlib
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
    if job.get("uid") is not None:
        open_passages(job["needed"], job["work"])
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


def open_passages(needed: list[str], work: str) -> None:
    """Where the runner's Python lies below a closed folder (root's home), let that folder hold nothing but the way to it."""
    behind: dict[str, list[str]] = {}
    for path in needed:
        closed = first_closed_parent(path) if os.path.isdir(path) else None
        if closed is not None:
            behind.setdefault(closed, []).append(path)
    mask = os.umask(0o022)
    for closed, paths in behind.items():
        stash = [os.path.join(work, f".passage{number}") for number in range(len(paths))]
        for path, place in zip(paths, stash, strict=True):
            os.mkdir(place)
            kernel.mount(path, place, None, kernel.MS_BIND | kernel.MS_REC)
        kernel.mount("tmpfs", closed, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=64k,mode=755")
        for path, place in zip(paths, stash, strict=True):
            os.makedirs(path, exist_ok=True)
            kernel.mount(place, path, None, kernel.MS_BIND | kernel.MS_REC)
            kernel.unmount(place)
            with contextlib.suppress(OSError):
                os.rmdir(place)
    os.umask(mask)
