"""Hosts of the database and of the broker, from files that an installer keeps: read anew where a connection is made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

_HOST = re.compile(r"\[[^]]*\]|[^/:]*")  # what stands between user and port of a URL


def hosts_in(path: str) -> list[str]:
    """The hosts of the file, one a line; none where there is no such file now: who asks goes on with those that it knew."""
    if not path:
        return []
    try:
        return [line.strip() for line in Path(path).read_text().splitlines() if line.strip()]
    except OSError:
        return []


def urls_to(url: str, hosts: Sequence[str]) -> list[str]:
    """The same URL at each of these hosts; itself where none is named."""
    before, _, rest = url.partition("@")
    tail = _HOST.sub("", rest, count=1)
    return [f"{before}@[{host}]{tail}" if ":" in host else f"{before}@{host}{tail}" for host in hosts] or [url]


class InTurn:
    """In which order brokers are tried: those of the file as it is by then, over and over; as kombu wants it of a failover strategy."""

    def __init__(self, url: str, path: str) -> None:
        self.url, self.path = url, path

    def __call__(self, known: Sequence[str]) -> Iterator[str]:
        while True:
            hosts = hosts_in(self.path)
            yield from urls_to(self.url, hosts) if hosts else known
