"""What a host has of its own before it first boots: name, machine id, host keys, and who may log in."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from tests.lab.machine import run

ORDINARY = "debian"  # the user of a host that root cannot log in to
KEYS = ("ed25519", "ecdsa")


def give(up: Path, name: str, layers: list[Path]) -> None:
    """Writes into the upper layer. Without a machine id systemd takes the boot for the first, and enables what it pleases."""
    (up / "etc/ssh").mkdir(parents=True, exist_ok=True)
    (up / "etc/hostname").write_text(f"{name}\n")
    (up / "etc/hosts").write_text(
        f"127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    )
    (up / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")
    for kind in KEYS:
        key = up / f"etc/ssh/ssh_host_{kind}_key"
        for path in (key, key.with_suffix(".pub")):
            path.unlink(missing_ok=True)
        run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"root@{name}", "-f", key)


def admit(up: Path, layers: list[Path], user: str, public_key: str, password: str) -> None:
    """Lets the key in as `user`. Anybody but root is an ordinary user: own password, and sudo that asks for it."""
    home, number = up / "root", 0
    if user != "root":
        home, number = up / "home" / user, 1000
        home.parent.mkdir(exist_ok=True)
        digest = run("openssl", "passwd", "-6", "-stdin", given=password).strip()
        append(up, layers, "etc/passwd", f"{user}:x:{number}:{number}::/home/{user}:/bin/bash")
        append(up, layers, "etc/shadow", f"{user}:{digest}:20000:0:99999:7:::")
        append(up, layers, "etc/group", f"{user}:x:{number}:")
        groups = layered(layers, "etc/group", up).splitlines()
        with_sudo = [
            f"{line}{'' if line.endswith(':') else ','}{user}" if line.startswith("sudo:") else line for line in groups
        ]
        (up / "etc/group").write_text("\n".join(with_sudo) + "\n")
    place = home / ".ssh"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    (place / "authorized_keys").write_text(public_key)
    (place / "authorized_keys").chmod(0o600)
    for path in (home, place, place / "authorized_keys"):
        os.chown(path, number, number)


def layered(layers: list[Path], name: str, up: Path) -> str:
    """A file's text as the host would see it."""
    return next(layer / name for layer in [up, *layers] if (layer / name).exists()).read_text()


def append(up: Path, layers: list[Path], name: str, line: str) -> None:
    if not (up / name).exists():
        shutil.copy2(next(layer / name for layer in layers if (layer / name).exists()), up / name)
        lower = next(layer / name for layer in layers if (layer / name).exists()).stat()
        os.chown(up / name, lower.st_uid, lower.st_gid)
    lines = [
        present for present in (up / name).read_text().splitlines() if not present.startswith(line.split(":")[0] + ":")
    ]
    (up / name).write_text("\n".join([*lines, line]) + "\n")


def unmask(up: Path, units: tuple[str, ...]) -> None:
    """Gives units back that the base has masked: a 0:0 device in the upper layer hides what is below."""
    folder = up / "etc/systemd/system"
    folder.mkdir(parents=True, exist_ok=True)
    for unit in units:
        if not (folder / unit).exists():
            os.mknod(folder / unit, 0o020000, 0)


def forget(up: Path) -> None:
    """Takes the identity out again, for a layer that other hosts are laid over."""
    for path in [up / "etc/hostname", up / "etc/hosts", up / "etc/machine-id", *up.glob("etc/ssh/ssh_host_*")]:
        path.unlink(missing_ok=True)
    for journal in up.glob("var/log/journal/*"):
        shutil.rmtree(journal, ignore_errors=True)
