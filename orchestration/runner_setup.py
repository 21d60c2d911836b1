"""Make `.venv-runner`, the environment that parses and runs blueprints; nothing here is used while the portal runs.

`python3 -m orchestration.runner_setup` needs only python3 with venv. It does nothing when the environment matches the lock file.
UV in the environment names a program uv that installs in place of pip, which is then not in the environment either.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements-runner.txt"
DEFAULT_VENV = ROOT / ".venv-runner"
STAMP = "runner.stamp"
BUILD_PACKAGES = ("setuptools", "wheel")
SETUP_COMMAND = "python3 -m orchestration.runner_setup"


class SetupError(Exception):
    """The environment could not be made; the text says what to do."""


def wanted_stamp(interpreter: str) -> str:
    """What the environment must match: the lock file and the interpreter."""
    return hashlib.sha256(REQUIREMENTS.read_bytes() + interpreter.encode()).hexdigest()


def is_current(venv: Path = DEFAULT_VENV) -> bool:
    """Is the environment complete and made from this lock file (by whatever interpreter)?"""
    try:
        stamp, interpreter = (venv / STAMP).read_text().split("\n")[:2]
    except (OSError, ValueError):
        return False
    return (venv / "bin" / "python").exists() and stamp == wanted_stamp(interpreter)


def is_readable_by_all(path: str) -> bool:
    """Can any user reach and read this file? The runner's user must, when the portal is root."""
    real = Path(os.path.realpath(path))
    try:
        return bool(real.stat().st_mode & 0o004) and all(parent.stat().st_mode & 0o001 for parent in real.parents)
    except OSError:
        return False


def choose_interpreter() -> str:
    """The newest supported Python that the runner's user may use; for a portal that is not root, the one that runs us."""
    own = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    if os.geteuid() != 0 or is_readable_by_all(own):
        return own
    for name in ("python3.13", "python3.12", "python3.11"):
        for folder in ("/usr/local/bin", "/usr/bin"):
            candidate = f"{folder}/{name}"
            if is_readable_by_all(candidate) and _has_venv(candidate):
                return os.path.realpath(candidate)
    return own


def _has_venv(interpreter: str) -> bool:
    command = [interpreter, "-c", "import venv, ensurepip, ssl"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def split_lock(text: str) -> tuple[str, str]:
    """The lock file as (build packages, all others)."""
    blocks = re.findall(r"^[A-Za-z0-9].*(?:\n[ \t]+.*)*", text, flags=re.MULTILINE)
    build = [block for block in blocks if re.split(r"[=<>\[ ]", block, maxsplit=1)[0] in BUILD_PACKAGES]
    rest = [block for block in blocks if block not in build]
    return "\n".join(build) + "\n", "\n".join(rest) + "\n"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{' '.join(command[:6])} ... failed:\n{(done.stdout + done.stderr)[-3000:]}")


def _installer(uv: str, python: str, verb: str) -> list[str]:
    """The beginning of a command that installs or uninstalls: uv's or pip's."""
    if uv:
        return [uv, "pip", verb, "--quiet", "--python", python]
    return [
        python,
        "-m",
        "pip",
        verb,
        "--quiet",
        "--disable-pip-version-check",
        *(["--yes"] if verb == "uninstall" else []),
    ]


def make(venv: Path = DEFAULT_VENV, interpreter: str | None = None) -> bool:
    """Make the environment if it is missing or old. True if something was done."""
    if is_current(venv) and interpreter is None:
        return False
    interpreter = interpreter or choose_interpreter()
    stamp = wanted_stamp(interpreter)
    # The runner's user must be able to read it, whatever the umask of the one who installs.
    os.umask(0o022)
    shutil.rmtree(venv, ignore_errors=True)
    uv = os.environ.get("UV", "")
    _run([interpreter, "-m", "venv", *(["--without-pip"] if uv else []), str(venv)])
    build, rest = split_lock(REQUIREMENTS.read_text())
    python = str(venv / "bin" / "python")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("build.txt", build), ("rest.txt", rest)):
            (Path(folder) / name).write_text(text)
            pinned = ["--require-hashes", "--no-deps", "--no-build-isolation", "-r", str(Path(folder) / name)]
            _run([*_installer(uv, python, "install"), *pinned])
    _run([*_installer(uv, python, "uninstall"), *BUILD_PACKAGES])
    _run([python, "-c", "import compileall, sysconfig; compileall.compile_dir(sysconfig.get_path('purelib'), quiet=2)"])
    (venv / STAMP).write_text(f"{stamp}\n{interpreter}\n")
    return True


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the runner's own Python environment.")
    parser.add_argument("--venv", type=Path, default=DEFAULT_VENV)
    parser.add_argument("--python", help="the interpreter to make it with (3.11 to 3.13)")
    options = parser.parse_args()
    try:
        done = make(options.venv, options.python)
    except (SetupError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{options.venv}: {'made' if done else 'up to date'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
