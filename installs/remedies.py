"""What to do about a failure on a host that is known by the words in which its programs tell it."""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_LINE = 200
# Words of tar, apt, dpkg, sshd, systemd and the services: what they come from, and the way out. The first that fits counts.
KNOWN = (
    (
        r"No space left on device|enough free space|Disk quota exceeded",
        "A disk of {host} is full: make room there (`df -h`).",
    ),
    (
        r"Could not get lock|Unable to (?:acquire|lock)|is another process using it",
        "Another program on {host} holds apt's lock, such as unattended upgrades: wait for its end, or end it.",
    ),
    (
        r"[Aa]ddress already in use|EADDRINUSE|eaddrinuse|Only one usage of each socket",
        "Another program on {host} has a port that is needed: `ss -tlnp` there names it; stop it.",
    ),
    (
        r"Read-only file system",
        "A disk of {host} can only be read: look at its kernel's log (`dmesg`), repair it.",
    ),
    (
        r"dpkg was interrupted",
        "A dpkg on {host} was broken off: `dpkg --configure -a` there tells what it stumbles over.",
    ),
    (
        r"certificate is not yet valid|certificate has expired|NotBefore|clock skew",
        "The clock of {host} may be wrong: compare `date -u` with that of this portal, and have it kept (systemd-timesyncd, chrony).",
    ),
)


@dataclass(frozen=True)
class Explained:
    """The line that tells what went wrong, and the sentence about the way out."""

    line: str
    remedy: str


def explain(text: str, host: str) -> Explained | None:
    """None where no words are known."""
    for words, remedy in KNOWN:
        for line in text.splitlines():
            if re.search(words, line):
                return Explained(line.strip()[:LONGEST_LINE], remedy.format(host=host))
    return None
