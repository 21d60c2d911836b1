"""Commands for hosts as values: quoted by construction, secrets by standard input alone; how they travel is in `session`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

# A login over SSH has whatever the host's shell start-up files make of it; commands must not depend on that.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
KILL_AFTER_SECONDS = 5


@dataclass(frozen=True)
class Hidden:
    """A secret on its way to a host; prints as ***. It goes by standard input (`input=`, `secrets=`) and into files only."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return "***"

    __repr__ = __str__


class HiddenInCommand(TypeError):
    """A secret was about to become part of a command line, which every user of the host can read."""

    def __init__(self) -> None:
        super().__init__("A hidden value cannot be part of a command line: pass it as `input=` or `secrets=`.")


Part = str | int | PurePath
Input = bytes | str | Hidden | Iterable[bytes]


class Command:
    """A program and its arguments. `secrets` become environment variables of it, told by standard input."""

    def __init__(self, *parts: Part, secrets: Mapping[str, Hidden] | None = None) -> None:
        if any(isinstance(part, Hidden) for part in parts):
            raise HiddenInCommand
        if not parts:
            raise ValueError("A command needs a program.")
        self.parts = tuple(str(part) for part in parts)
        if any("\0" in part for part in self.parts):
            raise ValueError("A command line cannot hold a zero byte.")
        self.secrets = dict(secrets or {})
        for name, secret in self.secrets.items():
            if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
                raise ValueError(f"{name!r} is no name of an environment variable.")
            if "\n" in secret.value or "\0" in secret.value:
                raise ValueError(f"The secret {name} must be a single line; write it to a file instead.")

    @classmethod
    def shell(cls, script: str, *arguments: Part, secrets: Mapping[str, Hidden] | None = None) -> Command:
        """A shell script that ends at the first error; `arguments` are its $1, $2, ... Never format values into `script`."""
        if isinstance(script, Hidden):
            raise HiddenInCommand
        return cls("sh", "-euc", script, "sh", *arguments, secrets=secrets)

    def __str__(self) -> str:
        """As a person would type it, with *** for secrets; one line, shortened."""
        shown = self.parts[4:] if self.parts[:2] == ("sh", "-euc") else self.parts
        text = shlex.join(shown) if shown is self.parts else " ".join(["sh script", shlex.join(shown)]).strip()
        return " ".join([*(f"{name}=***" for name in self.secrets), text])[:200]

    def __repr__(self) -> str:
        return f"Command({self})"

    @property
    def first_input(self) -> bytes:
        """What its standard input starts with: the secrets, a line each."""
        return b"".join(secret.value.encode() + b"\n" for secret in self.secrets.values())

    def bounded(self, seconds: float) -> tuple[str, ...]:
        """Its words, under a known environment and a time limit that the host itself keeps."""
        environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        told = " ".join(f"IFS= read -r {name}; export {name};" for name in self.secrets)
        wrapped = ("sh", "-c", f'{told} exec "$@"', "sh", *self.parts) if told else self.parts
        limit = ["timeout", f"--kill-after={KILL_AFTER_SECONDS}", f"{seconds:.0f}"]
        return ("env", *environment, *limit, *wrapped)


@dataclass(frozen=True)
class Output:
    """How a command ended and what it wrote."""

    code: int
    raw: bytes = field(repr=False)
    stderr: str = field(repr=False)

    @property
    def stdout(self) -> str:
        return self.raw.decode(errors="replace")

    @property
    def text(self) -> str:
        """What it wrote, without white space around it."""
        return self.stdout.strip()


def mask(text: str, hidden: Iterable[str]) -> str:
    """`text` with *** for every hidden value."""
    for value in sorted(filter(None, hidden), key=len, reverse=True):
        text = text.replace(value, "***")
    return text
