"""The official command line `cfy` as an operator has it: a process of its own, in a home of its own, pointed at a running portal.

    cfy("sites create", "london")                    it must end with 0
    cfy.rows("sites list")                           the list, as dictionaries (`--json`)
    cfy.one("sites get", "london")                   one thing, as a dictionary
    cfy.table("sites list") == ["name", ...]         the columns of the table; each cell must have been answered
    cfy.refused("snapshots create", "s1", words="backup")   it must fail, with these words and without a traceback

The first argument is a literal on purpose: test_every_command.py reads from it which commands are run.
"""

from __future__ import annotations

import atexit
import dataclasses
import functools
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.orchestration.cfy import environment
from tests.orchestration.running import PASSWORD
from tests.services.portal import children

UNANSWERED = re.compile(r"\|\s*N/A\s*\|")


@dataclasses.dataclass(frozen=True)
class Said:
    """What one call of the program left."""

    command: str
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that a person saw."""
        return self.out + self.err

    @property
    def words(self) -> str:
        """The same on one line, since messages are wrapped."""
        return " ".join(self.text.split())

    @property
    def data(self) -> Any:
        """The output of `--json`."""
        try:
            return json.loads(self.out)
        except ValueError:
            raise AssertionError(f"{self.command}: this is no JSON:\n{self.text[-3000:]}") from None

    @property
    def columns(self) -> list[str]:
        """The head of the table."""
        for line in self.out.splitlines():
            if line.startswith("|"):
                return [cell.strip() for cell in line.strip().strip("|").split("|")]
        raise AssertionError(f"{self.command}: there is no table:\n{self.text[-3000:]}")


def rows_of_table(said: Said) -> list[dict[str, str]]:
    """The rows of a table, for commands that know no `--json`."""
    lines = [line for line in said.out.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


class Warm:
    """The process that has the client's libraries loaded (warm.py), and calls that are forked from it, one after another."""

    def __init__(self) -> None:
        environment.make()
        python = str(environment.VENV / "bin" / "python")
        self.process = subprocess.Popen(
            [python, "-W", "ignore", str(Path(__file__).with_name("warm.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir(), "LC_ALL": "C.UTF-8"},
        )
        atexit.register(self.close)

    def call(
        self, arguments: list[str], env: dict[str, str], folder: Path, stdin: str, seconds: float
    ) -> tuple[int, str, str]:
        """(exit status, standard output, standard error) of one call."""
        with tempfile.TemporaryDirectory() as files:
            paths = {name: Path(files) / name for name in ("stdin", "stdout", "stderr")}
            for name, path in paths.items():
                path.write_text(stdin if name == "stdin" else "")
            request = {"arguments": arguments, "env": env, "folder": str(folder)}
            request |= {name: str(path) for name, path in paths.items()}
            assert self.process.stdin and self.process.stdout
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            watch = threading.Timer(seconds, self.close)
            watch.start()
            answer = self.process.stdout.readline()
            watch.cancel()
            out, err = paths["stdout"].read_text(), paths["stderr"].read_text()
        if not answer:
            warm.cache_clear()
            raise AssertionError(f"cfy {' '.join(arguments)} took longer than {seconds} s:\n{(out + err)[-3000:]}")
        return json.loads(answer), out, err

    def close(self) -> None:
        """End it, and what it forked."""
        for child in children(self.process.pid):
            os.kill(child, signal.SIGKILL)
        self.process.kill()
        self.process.wait(10)


@functools.cache
def warm() -> Warm:
    """The one of this process."""
    return Warm()


class Cfy:
    """One operator's `cfy`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.env = {
            "HOME": str(home),
            "CFY_WORKDIR": str(home / ".cloudify"),
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "400",
            "PYTHONWARNINGS": "ignore",
        }

    def use(
        self,
        url: str,
        *,
        user: str = "admin",
        password: str = PASSWORD,
        token: str = "",
        tenant: str = "default_tenant",
        ca: str = "",
    ) -> Said:
        """`cfy profiles use`, by password or token, over http or https."""
        parts = urlsplit(url)
        login = ["--manager-token", token] if token else ["-u", user, "-p", password]
        secure = ["--ssl", "--rest-certificate", ca] if parts.scheme == "https" else []
        return self(
            "profiles use",
            str(parts.hostname),
            "--rest-port",
            str(parts.port),
            "-t",
            tenant,
            *login,
            *secure,
        )

    def say(self, command: str, *args: str, stdin: str = "", seconds: float = 120) -> Said:
        """Run it, whatever it answers."""
        arguments = [*command.split(), *args]
        code, out, err = warm().call(arguments, self.env, self.home, stdin, seconds)
        return Said(" ".join(["cfy", *arguments]), code, out, err)

    def __call__(self, command: str, *args: str, stdin: str = "", seconds: float = 120) -> Said:
        said = self.say(command, *args, stdin=stdin, seconds=seconds)
        assert said.code == 0, f"{said.command} ended with {said.code}:\n{said.text[-4000:]}"
        return said

    def rows(self, command: str, *args: str) -> list[dict[str, Any]]:
        """A list, with the columns of its table as keys."""
        data = self(command, *args, "--json").data
        assert isinstance(data, list), f"cfy {command}: this is no list: {data}"
        return data

    def one(self, command: str, *args: str) -> dict[str, Any]:
        """One thing; of a list with a single row that row."""
        data = self(command, *args, "--json").data
        found = data[0] if isinstance(data, list) and len(data) == 1 else data
        assert isinstance(found, dict), f"cfy {command}: this is no single thing: {data}"
        return found

    def table(self, command: str, *args: str) -> list[str]:
        """The columns that a person sees. A cell N/A would be a key that the reply lacks."""
        said = self(command, *args)
        assert not UNANSWERED.search(said.out), f"{said.command}: a column has no value:\n{said.out}"
        return said.columns

    def refused(self, command: str, *args: str, words: str, stdin: str = "", ends_with_zero: bool = False) -> Said:
        """It fails and says why. `ends_with_zero`: the program prints the refusal and ends as if all were well."""
        said = self.say(command, *args, stdin=stdin)
        assert (said.code == 0) == ends_with_zero, f"{said.command} ended with {said.code}:\n{said.text[-4000:]}"
        assert words.lower() in said.words.lower(), f"{said.command} says something else:\n{said.text[-4000:]}"
        assert "Traceback" not in said.text, said.text[-4000:]
        return said

    def tree(self) -> list[str]:
        """Every command that there is with a manager in use, as `cfy --help` and the helps below it tell."""
        script = Path(__file__).parent / "command_tree.py"
        python = str(environment.VENV / "bin" / "python")
        done = subprocess.run([python, str(script)], env=self.env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        found: list[str] = json.loads(done.stdout)
        return found
