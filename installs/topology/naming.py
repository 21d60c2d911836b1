"""Rules of names and addresses: what is no host name, no address, or there twice."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator

from installs.findings import Finding, error, warning
from inventory.host_names import is_address, is_label
from inventory.layout import DEFAULT_NETWORK, EXTERNAL_NETWORK, Host, Layout, Part

RESERVED_NAMES = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})
RELEASES = ("trixie", "bookworm")
FAILOVERS = ("fast", "calm")


def findings(layout: Layout) -> Iterator[Finding]:
    """Of the cluster's own name and choices, and of every host."""
    if not is_label(layout.name):
        yield error(
            "name",
            f"The name {layout.name!r} cannot begin host names.",
            "Use 1 to 63 lower-case letters, digits and hyphens, without a hyphen at either end.",
            field="name",
        )
    if layout.release not in RELEASES:
        yield error("release", f"Release {layout.release!r} is not supported.", _one_of(RELEASES), field="release")
    if layout.failover not in FAILOVERS:
        yield error("failover", f"There is no preset {layout.failover!r}.", _one_of(FAILOVERS), field="failover")
    if not layout.hosts:
        yield error("no-hosts", "The cluster has no hosts.", "Add hosts, or choose a topology.", field="hosts")
    for host in layout.hosts:
        yield from _of_host(host)
    yield from _twice(layout)
    yield from _families(layout)
    yield from _networks(layout)


def _of_host(host: Host) -> Iterator[Finding]:
    if not is_label(host.name) or host.name in RESERVED_NAMES:
        yield error(
            "host-name",
            f"{host.name!r} is no host name.",
            "Use 1 to 63 lower-case letters, digits and hyphens (no underscore, no dot), such as db-1.",
            host=host.name,
            field="name",
        )
    elif host.name.isdigit():
        yield error(
            "host-name",
            "A name of digits alone is read as an address by many programs.",
            "Begin it with a letter, such as db-1.",
            host=host.name,
            field="name",
        )
    if not host.parts:
        yield warning(
            "no-parts",
            "It has no part: nothing but monitoring would run there.",
            "Give it a part, or leave it out.",
            host=host.name,
            field="parts",
        )
    if not 1 <= host.ssh_port <= 65535:
        yield error(
            "ssh-port", f"There is no port {host.ssh_port}.", "Use 1 to 65535.", host=host.name, field="ssh_port"
        )
    for network, address in host.addresses.items():
        yield from _of_address(host, network, address)


def _of_address(host: Host, network: str, address: str) -> Iterator[Finding]:
    field = {DEFAULT_NETWORK: "private_address", EXTERNAL_NETWORK: "public_address"}.get(network, "networks")
    if network == EXTERNAL_NETWORK and not host.public_address:
        return
    if not is_label(network.replace("_", "-")):
        yield error(
            "network-name",
            f"{network!r} is no name for a network.",
            "Use lower-case letters, digits, - and _.",
            host=host.name,
            field="networks",
        )
    if not is_address(address):
        yield error(
            "address",
            f"{address!r} is no address (network {network}).",
            "Write an IPv4 or IPv6 address, such as 10.0.0.11; names are made by the cluster itself.",
            host=host.name,
            field=field,
        )
        return
    parsed = ipaddress.ip_address(address)
    if parsed.is_loopback or parsed.is_unspecified or parsed.is_multicast or parsed.is_link_local:
        yield error(
            "unreachable-address",
            f"{address} (network {network}) cannot be reached from other hosts.",
            "Use the address by which the others and their certificates name this host.",
            host=host.name,
            field=field,
        )


def _twice(layout: Layout) -> Iterator[Finding]:
    by_name: dict[str, int] = defaultdict(int)
    by_address: dict[str, list[str]] = defaultdict(list)
    for position, host in enumerate(layout.hosts):
        by_name[host.name] += 1
        for address in set(host.addresses.values()):
            by_address[address].append(f"{host.name or position}")
    for name, times in by_name.items():
        if times > 1:
            yield error(
                "duplicate-name",
                f"{times} hosts are called {name}.",
                "Give each its own name: certificates and members go by it.",
                host=name,
                field="name",
            )
    for address, names in by_address.items():
        if address and len(names) > 1:
            yield error(
                "duplicate-address",
                f"{address} is the address of {' and '.join(names)}.",
                "An address belongs to one host. Correct the wrong one.",
                host=names[-1],
                field="private_address",
            )


def _families(layout: Layout) -> Iterator[Finding]:
    """Hosts that talk to each other by different protocols do not."""
    private = [host.private_address for host in layout.hosts if is_address(host.private_address)]
    if len({ipaddress.ip_address(address).version for address in private}) > 1:
        yield error(
            "mixed-families",
            "Some private addresses are IPv4 and some IPv6: those hosts cannot reach each other by them.",
            "Use one family for all private addresses; put the other into a network of its own.",
            field="private_address",
        )


def _networks(layout: Layout) -> Iterator[Finding]:
    managers = layout.having(Part.MANAGER)
    for host in layout.hosts:
        for network in {DEFAULT_NETWORK, EXTERNAL_NETWORK} & set(host.networks):
            yield error(
                "network-name",
                f"The network {network} is made of the private and public addresses.",
                "Choose another name, or change those addresses.",
                host=host.name,
                field="networks",
            )
    for network in layout.networks:
        missing = [host.name for host in managers if network not in host.addresses]
        if missing and len(missing) < len(managers):
            yield warning(
                "partial-network",
                f"Not every manager is in the network {network}: {', '.join(missing)} cannot be reached there.",
                f"Give {'it' if len(missing) == 1 else 'them'} an address in {network}, or take the network out.",
                field="networks",
            )


def _one_of(choices: tuple[str, ...]) -> str:
    return f"Choose {' or '.join(choices)}."
