"""Settings of the management service that its owner decides for a whole cluster: which there are, and what they may be."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from django.core.exceptions import ValidationError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def _networks(text: str) -> str:
    faults = [each for each in _split(text) if not _is_network(each)]
    return f"{', '.join(faults)} is no network. Write networks such as 10.9.0.0/16, with commas." if faults else ""


def _split(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _whole(least: int, most: int) -> Callable[[str], str]:
    def fault(text: str) -> str:
        fits = text.isascii() and text.isdigit() and least <= int(text) <= most
        return "" if fits else f"{text!r} is no whole number from {least} to {most}."

    return fault


def _level(text: str) -> str:
    return "" if text in LEVELS else f"{text!r} is none of {', '.join(LEVELS)}."


# What an installer cannot know and a cluster has no other place for; .env.example says what each means.
SETTABLE: Mapping[str, Callable[[str], str]] = {
    "ENDPOINT_NETWORKS": _networks,
    "PROBE_EVERY_SECONDS": _whole(0, 86400),
    "SCAN_EVERY_SECONDS": _whole(0, 604800),
    "RUN_THREADS": _whole(1, 256),
    "RUNNER_SLOTS": _whole(1, 256),
    "RUNNER_EXECUTION_SECONDS": _whole(60, 604800),
    "ARCHIVE_MAX_BYTES": _whole(1024, 60 * 2**20),  # nginx passes on 64 MiB
    "LOGIN_FAILURE_LIMIT": _whole(1, 1000),
    "HSTS_SECONDS": _whole(0, 63072000),
    "LOG_LEVEL": _level,
}


def checked(given: Mapping[str, object]) -> dict[str, str]:
    """The settings as they are kept, in order of their names; those left empty are as usual. ValidationError with all that is wrong."""
    kept = {name: str(value).strip() for name, value in given.items() if str(value).strip()}
    faults = [
        f"There is no setting {name}. Choose from: {', '.join(SETTABLE)}." for name in kept if name not in SETTABLE
    ]
    faults += [
        f"{name}: {fault}" for name, value in kept.items() if name in SETTABLE and (fault := SETTABLE[name](value))
    ]
    if faults:
        raise ValidationError({"service_settings": faults})
    kept = {name: ",".join(_split(value)) if SETTABLE[name] is _networks else value for name, value in kept.items()}
    return dict(sorted(kept.items()))


def read_lines(text: str) -> dict[str, str]:
    """Of a form: NAME=value, one a line."""
    found: dict[str, str] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        name, sign, value = line.partition("=")
        if not sign:
            raise ValidationError(f"{line}: write NAME=value, such as ENDPOINT_NETWORKS=10.9.0.0/16.")
        found[name.strip()] = value.strip()
    return found


def to_lines(settings: Mapping[str, str]) -> str:
    """As a form shows them."""
    return "\n".join(f"{name}={value}" for name, value in settings.items())
