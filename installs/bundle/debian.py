"""Debian packages of any release, fetched with the ordinary apt-get from the machine's own sources, in a state of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from installs.bundle.manifest import BundleError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
UPDATE_SECONDS, FETCH_SECONDS = 600, 3600
SUITE = re.compile(r"[a-z]+((?:-updates|-security)?)")
Record = dict[str, str]  # a paragraph of a package index: Package, Version, Depends, ...
Pair = tuple[str, str]  # (package, version)


@dataclass(frozen=True)
class Apt:
    """apt-get for `release`, which knows nothing of what this machine has installed; all it keeps is below `folder`."""

    folder: Path
    release: str
    architecture: str

    @property
    def status(self) -> Path:
        """What counts as installed."""
        return self.folder / "status"

    @property
    def archives(self) -> Path:
        return self.folder / "cache" / "archives"

    def prepare(self) -> None:
        """Learn what there is. BundleError where the sources do not answer."""
        for path in (self.folder / "state" / "lists" / "partial", self.archives / "partial"):
            path.mkdir(parents=True, exist_ok=True)
        (self.folder / "deployon.sources").write_text(sources_for(self.release, machine_sources()))
        self.status.write_text("")
        self.run("update", seconds=UPDATE_SECONDS)

    def run(self, *words: str, seconds: float = 120, cwd: Path | None = None) -> str:
        """apt-get; BundleError with its last words where it fails."""
        return self._call("apt-get", *words, seconds=seconds, cwd=cwd)

    def _call(self, program: str, *words: str, seconds: float, cwd: Path | None = None) -> str:
        options = {
            "Dir::State": self.folder / "state",
            "Dir::State::status": self.status,
            "Dir::Cache": self.folder / "cache",
            "Dir::Etc::sourcelist": self.folder / "deployon.sources",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "APT::Default-Release": "",
            "APT::Install-Recommends": "false",
            "APT::Update::Post-Invoke": "",
            "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        arguments = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        command = [program, "--quiet", *arguments, *words]
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                env=os.environ | {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
            )
        except FileNotFoundError:
            raise BundleError(f"This machine has no {program}. Make the bundle on Debian 12 or 13.") from None
        except subprocess.TimeoutExpired:
            raise BundleError(
                f"{program} {words[0]} did not end within {seconds:.0f} s. Check that the package sources answer."
            ) from None
        failures = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W: Failed to fetch", "Err:"))]
        if done.returncode or failures:
            said = "\n".join(failures or done.stderr.splitlines()[-5:] or done.stdout.splitlines()[-5:])
            raise BundleError(f"{program} {words[0]} failed for {self.release}: {said}")
        return done.stdout

    def records(self) -> list[Record]:
        """Every package that the sources have."""
        return parse_records(self._call("apt-cache", "dumpavail", seconds=300))

    def needed(self, names: Iterable[str]) -> list[Pair]:
        """What installing `names` would install, as (package, version)."""
        simulated = self.run("install", "--simulate", "--yes", *names)
        return [(name, version) for name, version in re.findall(r"(?m)^Inst (\S+) (?:\[\S+\] )?\((\S+)", simulated)]

    def fetch(self, pairs: Sequence[Pair]) -> None:
        """Into `archives`; what lies there whole is kept. apt checks signatures and digests."""
        self.run(
            "download", *(f"{name}={version}" for name, version in pairs), seconds=FETCH_SECONDS, cwd=self.archives
        )


def parse_records(text: str) -> list[Record]:
    records = []
    for paragraph in text.split("\n\n"):
        record = dict(re.findall(r"(?m)^([A-Za-z0-9-]+):[ \t]*(.*(?:\n[ \t].*)*)", paragraph))
        if "Package" in record:
            records.append(record)
    return records


def minimal_base(apt: Apt, records: Iterable[Record]) -> list[Pair]:
    """What any Debian host has: essential and required packages, apt, and what they need."""
    names = {
        each["Package"] for each in records if each.get("Essential") == "yes" or each.get("Priority") == "required"
    }
    return apt.needed(sorted({*names, "apt"}))


def assume_installed(apt: Apt, records: Iterable[Record], pairs: Iterable[Pair]) -> None:
    """From now on these count as installed."""
    wanted = set(pairs)
    paragraphs = {
        (record["Package"], record["Version"]): "".join(
            f"{name}: {value}\n" for name, value in ({"Status": "install ok installed"} | record).items()
        )
        for record in records
        if (record["Package"], record["Version"]) in wanted
    }
    apt.status.write_text("\n".join(paragraphs.values()))


def pinned_by(records: Iterable[Record], chosen: Iterable[Pair], base: Iterable[Pair]) -> list[Pair]:
    """Packages of the base that chosen ones need in a certain version: a host that was not updated for long may have older ones."""
    known = {(record["Package"], record["Version"]): record for record in records}
    offered = dict(base)
    found: dict[str, str] = {}
    todo = list(chosen)
    while todo:
        record = known.get(todo.pop(), {})
        needs = f"{record.get('Pre-Depends', '')}, {record.get('Depends', '')}"
        for name in re.findall(r"([a-z0-9][a-z0-9.+-]+)(?::\w+)?\s*\([<>=]", needs):
            if name in offered and name not in found:
                found[name] = offered[name]
                todo.append((name, offered[name]))
    return sorted(found.items())


def machine_sources() -> list[tuple[str, str, str]]:
    """(address, suite, component) of Debian's own archives among the machine's package sources."""
    command = [
        "apt-get",
        "indextargets",
        "--format",
        "$(SITE) $(RELEASE) $(COMPONENT) $(ORIGIN)",
        "Created-By: Packages",
    ]
    if shutil.which("apt-get") is None:
        raise BundleError("This machine has no apt-get. Make the bundle on Debian 12 or 13.")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    rows = [line.split() for line in done.stdout.splitlines()]
    return sorted({(row[0], row[1], row[2]) for row in rows if len(row) == 4 and row[3] == "Debian"})


def sources_for(release: str, machine: Iterable[tuple[str, str, str]]) -> str:
    """The machine's sources with the release's name for its own: same mirrors, same keyring."""
    stanzas = {}
    for address, suite, component in machine:
        ending = SUITE.fullmatch(suite)
        if ending is None or component != "main":
            continue
        signed = f"Signed-By: {KEYRING}\n" if KEYRING.exists() else ""
        wanted = f"{release}{ending[1]}"
        stanzas[address, wanted] = f"Types: deb\nURIs: {address}\nSuites: {wanted}\nComponents: main\n{signed}"
    if not any(suite == release for _, suite in stanzas):
        raise BundleError(
            "The package sources of this machine name no archive of Debian whose lists were fetched. Add one (component main, "
            "of any release) under /etc/apt/sources.list.d, run apt-get update, then try again."
        )
    return "\n".join(stanzas.values())
