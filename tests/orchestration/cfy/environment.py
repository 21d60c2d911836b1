"""Makes `.venv-cfy`, the environment of the official command line; `python -m tests.orchestration.cfy.environment`, or the fixture."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LOCK = ROOT / "requirements-cfy.txt"
VENV = ROOT / ".venv-cfy"
CFY = VENV / "bin" / "cfy"
STAMP = VENV / ".installed-cfy"
MAKING = VENV / ".making"  # not .lock, which uv itself takes: it would wait for us, and we for it


def wanted() -> str:
    """What the environment must match: the lock file, the interpreter and where it stands."""
    return hashlib.sha256(LOCK.read_bytes() + sys.version.encode() + str(VENV).encode()).hexdigest()


def make() -> Path:
    """Makes the environment where it is missing or old, once for all test processes that ask; the path of `cfy`."""
    if VENV.is_symlink():  # that of another work tree: it fits its own path alone, and making ours would empty it
        VENV.unlink()
    VENV.mkdir(exist_ok=True)
    with open(MAKING, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (STAMP.exists() and STAMP.read_text() == wanted() and CFY.exists()):
            install()
            STAMP.write_text(wanted())
    return CFY


def install() -> None:
    """A new environment with what the lock names and nothing else: its own pins contradict each other, hence --no-deps."""
    for path in VENV.iterdir():
        if path != MAKING:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    run([sys.executable, "-m", "venv", str(VENV)])
    python = str(VENV / "bin" / "python")
    locked = ["--quiet", "--no-deps", "--require-hashes", "-r", str(LOCK)]
    uv = Path(sys.executable).parent / "uv"
    if uv.exists() and subprocess.run([str(uv), "pip", "install", "--python", python, *locked]).returncode == 0:
        return
    run([python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *locked])


def run(command: list[str]) -> None:
    """A step of it; what it printed where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:5])} ... failed:\n{(done.stdout + done.stderr)[-3000:]}")


if __name__ == "__main__":
    print(make())
