"""Where a host answers, who comes to it, and what can go wrong there; no connection is made here."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from enum import StrEnum


class HostErrorKind(StrEnum):
    """What a caller can do about a failure: the class decides, the message explains."""

    UNREACHABLE = "unreachable"  # no answer, or none that is SSH: try again later
    CREDENTIAL = "credential"  # user, password or key are not taken there: somebody must change them
    HOST_KEY = "host_key"  # the host's key is not known, or not the one that is trusted: somebody must look
    SUDO = "sudo"  # the user may log in, and may not become root
    TIMEOUT = "timeout"  # a command did not end in its time
    BROKEN = "broken"  # the connection was lost in the middle: how far the command came is not known
    FAILED = "failed"  # the command ended, and said that it failed


class HostError(Exception):
    """One failed conversation with a host, told in words that a user may read. `message` never holds a secret.

    `code` and `output` are those of a command that failed; `key` is the line of a host key that was refused.
    """

    def __init__(
        self, kind: HostErrorKind, message: str, *, code: int | None = None, output: str = "", key: str = ""
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.code = code
        self.output = output
        self.key = key

    @property
    def is_transient(self) -> bool:
        """Whether trying again later, unchanged, may help."""
        return self.kind in (HostErrorKind.UNREACHABLE, HostErrorKind.TIMEOUT, HostErrorKind.BROKEN)


def fingerprint_of(line: str) -> str:
    """The SHA-256 fingerprint of a public key line ("ssh-ed25519 AAAA..."), as ssh-keygen writes it. ValueError: it is none."""
    try:
        kind, blob = line.split()[:2]
        content = base64.b64decode(blob, validate=True)
    except (ValueError, binascii.Error):
        raise ValueError("This is no public key line: it looks like `ssh-ed25519 AAAA...`.") from None
    if not content[4:].startswith(kind.encode()):
        raise ValueError(f"This key says that it is of type {kind}, and is not. Copy the whole line again.")
    return "SHA256:" + base64.b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


@dataclass(frozen=True)
class OfferedKey:
    """The key that a host shows. `line` is what `HostAddress.host_key` becomes once somebody trusts it."""

    line: str

    @property
    def type(self) -> str:
        return self.line.split()[0]

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self.line)


@dataclass(frozen=True)
class HostAddress:
    """Where a host answers SSH, as whom, and the public key line that is trusted there ("": none yet)."""

    host: str
    port: int = 22
    user: str = "root"
    host_key: str = ""

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" + (f":{self.port}" if self.port != 22 else "")


@dataclass(frozen=True)
class HostCredential:
    """What is shown at a host: a private key (OpenSSH or PEM text without passphrase), or a password. It never prints."""

    private_key: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    sudo_password: str = field(default="", repr=False)  # empty: the password above, where there is one

    @property
    def root_password(self) -> str:
        """What sudo is told when it asks; "" where there is nothing to tell."""
        return self.sudo_password or self.password

    @property
    def hidden(self) -> tuple[str, ...]:
        """Every value that must be masked."""
        return tuple(value for value in (self.private_key, self.password, self.sudo_password) if value)
