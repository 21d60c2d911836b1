"""Preflight: names, addresses, ports, and whether hosts reach each other on every port of the firewall matrix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from installs.findings import Finding, error, warning
from installs.preflight.ports import ports_of
from installs.preflight.survey import Seen, Survey

FINE = ("heard", "open")
LOOPBACK = ("127.0.1.1", "127.0.0.1", "::1")  # Debian's own line for the host's name; the install takes it out


def names(survey: Survey) -> Iterator[Finding]:
    """The install writes every name into /etc/hosts; so only what says something else is told."""
    right = {host.name: host.private_address for host in survey.layout.hosts}
    for seen in survey.asked:
        for name, found in seen.told["names"].items():
            others = [address for address in found if address != right[name] and address not in LOOPBACK]
            if found and others and right[name] not in found:
                yield warning(
                    "names.elsewhere",
                    f"For it {name} is {', '.join(others)}, not {right[name]}. Its /etc/hosts will say so from the install on; "
                    "what asks the name server alone goes astray.",
                    "Correct the name server, or choose a name that is not in use.",
                    host=seen.wanted.name,
                )
        for address, name in seen.told["reverse"].items():
            wanted = next(host.name for host in survey.layout.hosts if host.private_address == address)
            if name and name.split(".")[0] not in (wanted, "localhost"):
                yield warning(
                    "names.back", f"For it {address} is called {name}, not {wanted}.",
                    "Correct the reverse entry of the name server: certificates and RabbitMQ go by names.",
                    host=seen.wanted.name,
                )  # fmt: skip
        assert seen.facts is not None
        if seen.facts.hostname.split(".")[0] != seen.wanted.name:
            yield warning(
                "names.own", f"It calls itself {seen.facts.hostname}. The install renames it {seen.wanted.name}.",
                "If another name is meant, change it in the cluster first.", host=seen.wanted.name,
            )  # fmt: skip


def addresses(survey: Survey) -> Iterator[Finding]:
    for seen in survey.known:
        assert seen.facts is not None
        given = {"private address": seen.wanted.private_address}
        given |= {f"address in the network {network}": address for network, address in seen.wanted.networks.items()}
        for what, address in given.items():
            if address not in seen.facts.addresses:
                yield error(
                    "addresses.missing",
                    f"Its {what} is {address}, and none of its interfaces has that; it has {', '.join(seen.facts.addresses)}.",
                    "Correct the address; one that is only translated to it (NAT) is its public address.",
                    host=seen.wanted.name,
                    field="private_address",
                )


def ports(survey: Survey) -> Iterator[Finding]:
    for seen in survey.asked:
        needed = ports_of(survey.layout, seen.wanted)
        for port, process in sorted(seen.taken.items()):
            yield error(
                "ports.taken",
                f"Port {port}, on which {needed[port]} will listen, is taken{f' by {process}' if process else ''}.",
                f"Find it with `ss -ltnp sport = :{port}`; stop and remove it, or take another host.",
                host=seen.wanted.name,
            )
        for port, why in sorted(seen.refused.items()):
            if why != "Cannot assign requested address":  # that is told among the addresses
                yield error(
                    "ports.refused", f"Port {port} cannot be opened on it: {why}.",
                    "Look for what keeps root from that port (SELinux, AppArmor, a container's limits).",
                    host=seen.wanted.name,
                )  # fmt: skip


def reachability(survey: Survey) -> Iterator[Finding]:
    """One finding for each pair of hosts, with all its ports."""
    asked = {seen.wanted.name: seen for seen in survey.asked}
    blocked: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for way, outcome in survey.ways:
        if outcome in FINE or not _was_open(asked[way.target], way.port):
            continue
        blocked[way.source, way.target, outcome].append(f"{way.port} ({way.purpose})")
    for (source, target, outcome), ways in blocked.items():
        yield error(
            f"reachability.{'filtered' if outcome == 'timeout' else 'refused'}",
            f"It does not reach {target} on port {', '.join(ways)}: {_words(outcome)}.",
            f"Open the way from {source} to {target} in every firewall between them, those on the two hosts among them.",
            host=source,
        )


def _was_open(seen: Seen, port: int) -> bool:
    """Whether something listened there while it was tried."""
    return port in seen.opened or port in seen.taken


def _words(outcome: str) -> str:
    return {"timeout": "nothing comes back", "refused": "it is refused on the way"}.get(outcome, outcome)


def entrance(survey: Survey) -> Iterator[Finding]:
    """Of the operator's own balancer. That it leads to the managers shows at the end of the install, when there are any."""
    where = survey.layout.entrance
    for port, outcome in survey.entrance.items():
        if port == 80 and outcome in FINE:
            yield warning(
                "entrance.plain", f"Port 80 of {where} is open: passwords could go through it unsealed.",
                "Have your balancer close it; the end of the install fails otherwise.", field="entrance",
            )  # fmt: skip
        elif port != 80 and outcome not in FINE:
            yield warning(
                "entrance.closed", f"{where} does not answer managers on port {port}: {_words(outcome)}.",
                f"Have your balancer pass {port} on to port {port} of every manager; the end of the install waits for it.",
                field="entrance",
            )  # fmt: skip
