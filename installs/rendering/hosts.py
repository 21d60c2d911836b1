"""/etc/hosts of a cluster's hosts: they find each other by name without a name server."""

from __future__ import annotations

from inventory.layout import Host, Layout

BEGIN, END = "# DeployOn: the hosts of this cluster", "# DeployOn: end"


def hosts_file(present: str, layout: Layout, host: Host) -> str:
    """The file as it should be: what is there, without other lines for these names, and a block of ours at its end.

    Debian's line 127.0.1.1 goes for the own name: RabbitMQ and Patroni would tell others to look for them at their own loopback.
    """
    names = {other.name for other in layout.hosts}
    kept, is_ours = [], False
    for line in present.splitlines():
        if line.strip() == BEGIN:
            is_ours = True
        if not is_ours:
            kept.append(line)
        if line.strip() == END:
            is_ours = False
    lines = [line for line in kept if not _names_of(line) & names]
    while lines and not lines[-1].strip():
        lines.pop()
    block = [f"{other.private_address} {other.name}" for other in layout.hosts]
    return "\n".join([*lines, BEGIN, *block, END, ""])


def _names_of(line: str) -> set[str]:
    words = line.split("#", 1)[0].split()
    return set(words[1:]) if words else set()
