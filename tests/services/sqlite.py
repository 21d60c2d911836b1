"""A SQLite database with all tables of the product, made once a session by the tree under test, for processes that start with one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.services.shared import FOLDER_VARIABLE, shared_server

ROOT = Path(__file__).resolve().parents[2]
NAME = "deployon.sqlite3"  # as the settings call it in DATA_DIR


def copy_into(data_dir: Path) -> None:
    """Puts the migrated database there where there is none yet; outside a test session the process makes its own."""
    if os.environ.get(FOLDER_VARIABLE) and not (data_dir / NAME).exists():
        shutil.copyfile(shared_server("sqlite-template", migrate)["path"], data_dir / NAME)


def migrate(folder: Path) -> dict[str, Any]:
    """The record of a database that the migrations of this tree made, and nothing else: no user, no key."""
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env |= {"DATA_DIR": str(folder), "ENV_FILE": "none"}
    command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
    done = subprocess.run(command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"manage.py migrate failed on SQLite: {done.stderr[-3000:]}")
    left = [file.name for file in folder.glob(f"{NAME}-*") if file.stat().st_size]
    if left:  # part of the database would be missing from a copy of the one file
        raise RuntimeError(f"manage.py migrate left {', '.join(left)} beside the database.")
    return {"path": str(folder / NAME)}
