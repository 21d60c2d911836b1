"""What a child's cage is made of, seen from the portal: which sandboxes there are, the work folders, the request to the warm parent."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

from orchestration.runner_types import Row, RunnerError, RunnerSettings

WORK_PREFIX = "deployon-runner-"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LEFTOVER_AGE = 60.0
WARNING = "Scripts of blueprints run as the portal's own user and can read what it can read: see docs/runner.md for what is missing."
# Strongest first; docs/runner.md says what each does.
CAGES: dict[str, Row] = {
    "namespaces+user": {"root": True, "unshare": True, "userns": False, "user": True},
    "user": {"root": True, "unshare": False, "userns": False, "user": True},
    "namespaces": {"root": False, "unshare": True, "userns": True, "user": False},
    "none": {"root": False, "unshare": False, "userns": False, "user": False},
}


# Shorter names for the settings.
FAMILIES = {"uid": ["namespaces+user", "user"], "namespace": ["namespaces"]}


def candidates(settings: RunnerSettings) -> list[str]:
    """The cages to try here, strongest first."""
    if settings.sandbox == "auto":
        return [name for name, cage in CAGES.items() if not cage["root"] or os.geteuid() == 0]
    if settings.sandbox not in CAGES and settings.sandbox not in FAMILIES:
        known = ", ".join(["auto", *FAMILIES, *CAGES])
        raise RunnerError(f"Unknown sandbox '{settings.sandbox}': choose one of {known}.")
    return FAMILIES.get(settings.sandbox, [settings.sandbox])


def warning_of(cage: str) -> str | None:
    """What to tell the administrator about this cage."""
    return WARNING if cage == "none" or (cage == "namespaces" and os.geteuid() == 0) else None


def lock_folder(folder: Path) -> int | None:
    """Hold a lock on the folder as long as we live; None if somebody else holds it."""
    number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(number)
        return None
    return number


def remove_leftovers(base: Path) -> None:
    """Remove the work folders of portals that were killed."""
    for folder in base.glob(f"{WORK_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if status.st_uid != os.geteuid() or folder.is_symlink() or time.time() - status.st_ctime < LEFTOVER_AGE:
                continue
            held = lock_folder(folder)
            if held is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(held)


class WorkRoot:
    """The folder below which each child gets its own; gone with the host."""

    def __init__(self, settings: RunnerSettings) -> None:
        self.settings = settings
        base = Path(settings.work_root or tempfile.gettempdir())
        base.mkdir(parents=True, exist_ok=True)
        remove_leftovers(base)
        self.path = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=base))
        self.path.chmod(0o711)
        self._lock = lock_folder(self.path)
        self._write_ctx()

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)

    def _write_ctx(self) -> None:
        """The `ctx` command, for the runner's own interpreter."""
        folder = self.path / "bin"
        folder.mkdir()
        folder.chmod(0o755)
        source = (Path(__file__).parent / "runner" / "ctx_client.py").read_text()
        interpreter = os.path.realpath(self.settings.venv / "bin" / "python")
        (folder / "ctx").write_text(f"#!{interpreter} -IS\n{source}")
        (folder / "ctx").chmod(0o755)

    def uid_of(self, key: str) -> int:
        """The user that processes of this deployment (tenant/id) run as, where there is one."""
        return self.settings.uid_base + zlib.crc32(key.encode()) % self.settings.uid_count

    def new_folder(self, kind: str, uid: int | None) -> Path:
        """A work folder for one child."""
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self.path))
        folder.chmod(0o755 if kind == "probe" else 0o700)
        if uid is not None:
            os.chown(folder, uid, uid)
        return folder

    def deployment_folder(self, key: str, uid: int | None) -> None:
        """Make the folder that the scripts of a deployment keep between operations (`ctx local-deployment-workdir`)."""
        root = self.settings.deployments_root
        tenant, _, deployment = key.partition("/")
        if root is None or not all(re.fullmatch(r"[\w+@:-][\w.+@:-]*", name) for name in (tenant, deployment)):
            return
        for folder, mode in ((root, 0o711), (root / "deployments", 0o711), (root / "deployments" / tenant, 0o711)):
            if not folder.exists():
                folder.mkdir(parents=True)
                folder.chmod(mode)
        place = root / "deployments" / tenant / deployment
        if not place.exists():
            place.mkdir(mode=0o700)
            if uid is not None:
                os.chown(place, uid, uid)

    def request(self, kind: str, cage: str, work: Path, uid: int | None, **more: Any) -> Row:
        """What the warm parent is asked for: one child in this cage. `more`: environment, limits."""
        settings, shape = self.settings, CAGES[cage]
        environment = {
            "PATH": f"{self.path}/bin:{SYSTEM_PATH}",
            "LANG": "C.UTF-8",
            "MALLOC_ARENA_MAX": "2",
            **dict.fromkeys(("HOME", "TMPDIR", "CFY_EXEC_TEMP"), str(work)),
            **more.get("environment", {}),
        }
        limits = {"as": settings.memory_limit, "nofile": settings.open_files, **more.get("limits", {})}
        if shape["user"]:
            uid = uid if uid is not None else settings.uid_base
            limits["nproc"] = settings.processes
        return {
            "kind": kind,
            "name": cage,
            "work": str(work),
            "environment": environment,
            "limits": limits,
            "unshare": shape["unshare"],
            "userns": shape["userns"],
            "uid": uid if shape["user"] else None,
            "needed": self._needed(),
            # Where scripts run as the portal's own user, its home is closed to them too.
            "private": [str(Path.home())] if shape["userns"] else [],
            "hidden": [str(path) for path in settings.hidden],
        }

    def _needed(self) -> list[str]:
        """The folders that a child must reach, even below a closed one such as root's home."""
        venv = self.settings.venv.absolute()
        prefix = Path(os.path.realpath(venv / "bin" / "python")).parent.parent
        folders = [venv, self.path, *([prefix] if str(prefix) != "/usr" else [])]
        if self.settings.deployments_root is not None:
            folders.append(self.settings.deployments_root.absolute())
        return [str(folder) for folder in folders]
