"""SSH to hosts: the one place that pins host keys and hides secrets in commands; `with connect(address, credential) as host:`."""

from inventory.connectors.ssh.commands import Command, Hidden, HiddenInCommand, Output
from inventory.connectors.ssh.connecting import connect, offered_key, open_host
from inventory.connectors.ssh.detached import Progress
from inventory.connectors.ssh.facts import Facts
from inventory.connectors.ssh.session import Host
from inventory.connectors.ssh.values import (
    HostAddress,
    HostCredential,
    HostError,
    HostErrorKind,
    OfferedKey,
    fingerprint_of,
)

__all__ = [
    "Command",
    "Facts",
    "Hidden",
    "HiddenInCommand",
    "Host",
    "HostAddress",
    "HostCredential",
    "HostError",
    "HostErrorKind",
    "OfferedKey",
    "Output",
    "Progress",
    "connect",
    "fingerprint_of",
    "offered_key",
    "open_host",
]
