"""A whole lab kept under a name: every host's files with its identity, their addresses, and folders that belong to them.

What was built for minutes is there again in seconds, as often as wanted: hosts are laid over what was kept and never write to it.
Addresses stay, for they stand in what was built. So two labs from the same name cannot run at once: whoever wants one beside it
builds it in a subnet of its own and keeps it under a name of its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.lab import host as hosts
from tests.lab.machine import LabError, run

if TYPE_CHECKING:
    from tests.lab.lab import Lab

KEPT = ("address", "release", "user", "password")


def place_of(place: Path, name: str) -> Path:
    return place / "golden" / name


def saved_labs(place: Path) -> list[str]:
    return sorted(path.parent.name for path in (place / "golden").glob("*/lab.json"))


def told_of(place: Path, name: str) -> dict[str, Any]:
    """What was written of a lab that was kept."""
    try:
        told: dict[str, Any] = json.loads((place_of(place, name) / "lab.json").read_text())
    except FileNotFoundError:
        present = ", ".join(saved_labs(place)) or "none"
        raise LabError(f"No lab was kept as {name}; there are: {present}. docs/lab.md says how one is kept.") from None
    lower = [Path(path) for host in told["hosts"].values() for path in host["lower"]]
    if gone := [path for path in lower if not path.exists()]:
        raise LabError(f"What was kept as {name} lies on {gone[0]}, which is gone. Build it anew and keep it again.")
    return told


def save(
    lab: Lab, name: str, *, folders: Mapping[str, Path] | None = None, about: Mapping[str, Any] | None = None
) -> Path:
    """Stops the lab's hosts and keeps them; what they write from now on lies above.

    `folders` are copied beside them, `about` is found again in `told_of`.
    """
    place = place_of(lab.place, name)
    if leaning := leaning_on(lab.place, place):
        raise LabError(f"{name} cannot be kept anew while {', '.join(leaning)} lies on it: take that down first.")
    lab.stop()
    shutil.rmtree(place, ignore_errors=True)
    (place / "hosts").mkdir(parents=True)
    told: dict[str, Any] = {"subnet": str(lab.network.subnet), "about": dict(about or {}), "hosts": {}}
    for host in lab.hosts():
        layer = place / "hosts" / host.name
        kept = {key: host.told[key] for key in KEPT}
        lower = [layer, *(Path(path) for path in host.told["lower"])]
        told["hosts"][host.name] = {**kept, "lower": [str(path) for path in lower]}
        host.files.rename(layer)
        hosts.make_folders(host.folder)
        hosts.tell(host.folder, lab.network, lab.key, lower=lower, cgroup=host.cgroup, **kept)
    for key, folder in (folders or {}).items():
        run("cp", "-a", folder, place / key, seconds=300)
    (place / "lab.json").touch(mode=0o600)  # last: without it nothing was kept
    (place / "lab.json").write_text(json.dumps(told, indent=1))
    return place


def restore(lab: Lab, name: str) -> None:
    """Lays the kept hosts into a lab that has none; they are off."""
    told = told_of(lab.place, name)
    lab.claim()
    for host, kept in told["hosts"].items():
        folder = lab.folder / host
        hosts.make_folders(folder)
        lower = [Path(path) for path in kept.pop("lower")]
        hosts.tell(folder, lab.network, lab.key, lower=lower, cgroup=lab.cgroup / host, **kept)


def leaning_on(place: Path, layer: Path) -> list[str]:
    """Hosts of labs, and kept ones, that lie on what is in this folder."""
    found = [*(place / "labs").glob("*/*/host.json"), *(place / "golden").glob("*/lab.json")]
    return [
        str(path.parent.relative_to(place))
        for path in found
        if path.parent != layer and f"{layer}/" in path.read_text()
    ]
