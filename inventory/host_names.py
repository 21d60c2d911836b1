"""What host names and addresses look like; whether a whole layout of them works is for installs.topology."""

from __future__ import annotations

import ipaddress
import re

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LONGEST_NAME = 253


def is_label(text: str) -> bool:
    """One part of a host name, in lower case."""
    return LABEL.fullmatch(text) is not None


def is_host_name(text: str) -> bool:
    """A name of one or more labels that is no address."""
    labels = text.split(".")
    return len(text) <= LONGEST_NAME and all(map(is_label, labels)) and not labels[-1].isdigit()


def is_address(text: str) -> bool:
    """An IPv4 or IPv6 address, written as usual."""
    try:
        return str(ipaddress.ip_address(text)) == text
    except ValueError:
        return False


def as_usual(text: str) -> str:
    """The address as it is usually written; anything else as it came, without blanks around it."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return text.strip()
