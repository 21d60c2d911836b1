"""One lab's network: a bridge with the machine at .1, a cable to each host, and cuts between hosts."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from collections.abc import Iterable

from tests.lab.machine import LabError, run

LONGEST = 15  # characters of a link's name, says the kernel


def links() -> dict[str, set[str]]:
    """{name: its flags} of every link of the machine."""
    return {link["ifname"]: set(link["flags"]) for link in json.loads(run("ip", "-json", "link", "show"))}


def taken_subnets() -> dict[str, ipaddress.IPv4Network]:
    """{link: subnet} of what the machine has on its links, to keep two labs apart."""
    found = {}
    for link in json.loads(run("ip", "-json", "-4", "addr", "show")):
        for address in link.get("addr_info", []):
            interface = ipaddress.ip_interface(f"{address['local']}/{address['prefixlen']}")
            found[link["ifname"]] = ipaddress.IPv4Network(interface.network)
    return found


def free_subnet(prefix: str) -> tuple[str, socket.socket]:
    """The first of 10.77.0.0/24, 10.77.1.0/24, ... that no other lab and nothing else has.

    It is this lab's until the socket is closed, which the end of the process does too: its bridge comes later, and meanwhile
    another process may look for one.
    """
    others = [subnet for link, subnet in taken_subnets().items() if link != f"{prefix}br0"]
    for third in range(256):
        subnet = ipaddress.ip_network(f"10.77.{third}.0/24")
        if any(subnet.overlaps(other) for other in others):
            continue
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0lab {subnet}")  # of the machine's own name space: no file is left behind
        except OSError:
            mark.close()
            continue
        return str(subnet), mark
    raise LabError("No subnet 10.77.x.0/24 is free; name one in LAB_SUBNET.")


class Network:
    """Names and addresses of one lab's network, and its state in the kernel. Every method can be repeated."""

    def __init__(self, prefix: str, subnet: str) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]{1,5}", prefix):
            raise LabError(f"LAB_PREFIX is {prefix!r}: it must have 2 to 6 small letters and digits, a letter first.")
        try:
            self.subnet = ipaddress.IPv4Network(subnet)
        except ValueError as error:
            raise LabError(f"LAB_SUBNET is {subnet!r}, no subnet such as 10.77.0.0/24: {error}") from None
        if self.subnet.prefixlen > 27:
            raise LabError(f"LAB_SUBNET {subnet} is too small: at least a /27, hosts begin at the eleventh address.")
        self.prefix, self.bridge = prefix, f"{prefix}br0"

    @property
    def portal(self) -> str:
        """The machine's address on the bridge: where the portal is, for the hosts."""
        return str(self.subnet[1])

    def link_of(self, name: str) -> str:
        """Name of a host's network namespace, and of the cable's end at the machine."""
        link = f"{self.prefix}-{name}"
        if len(link) > LONGEST or not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", name):
            most = LONGEST - len(self.prefix) - 1
            raise LabError(f"{name!r} cannot be a host here: small letters, digits, hyphens, at most {most} of them.")
        return link

    def open(self) -> None:
        """The bridge and the table of cuts."""
        present = links()
        if self.bridge not in present:
            for link, other in taken_subnets().items():
                if other.overlaps(self.subnet):
                    raise LabError(
                        f"{self.subnet} overlaps {other} at {link}. Name another subnet in LAB_SUBNET, such as 10.78.0.0/24; "
                        "a second lab also needs its own LAB_PREFIX."
                    )
            run("ip", "link", "add", self.bridge, "type", "bridge", "forward_delay", "0")
        run("ip", "addr", "replace", f"{self.portal}/{self.subnet.prefixlen}", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")
        # Pairs of cables that do not reach each other. Only what is forwarded: the machine's own SSH is not.
        run(
            *("nft", "-f", "-"),
            given=f"add table bridge {self.prefix}\n"
            f"add set bridge {self.prefix} cut {{ type ifname . ifname; }}\n"
            f"add chain bridge {self.prefix} between {{ type filter hook forward priority 0; }}\n"
            f"flush chain bridge {self.prefix} between\n"
            f"add rule bridge {self.prefix} between iifname . oifname @cut drop\n",
        )

    def plug_in(self, name: str, address: str) -> None:
        """A fresh network namespace, cabled to the bridge. No default route: hosts see the bridge and nothing beyond."""
        link = self.link_of(name)
        number = int(ipaddress.IPv4Address(address)) & 0xFFFF
        mac = f"02:77:00:00:{number >> 8:02x}:{number & 255:02x}"
        self.pull_out(name)
        run("ip", "netns", "add", link)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "address", mac, "netns", link)
        run("ip", "link", "set", link, "master", self.bridge, "up")
        run("ip", "-n", link, "link", "set", "lo", "up")
        run("ip", "-n", link, "addr", "add", f"{address}/{self.subnet.prefixlen}", "dev", "eth0")
        run("ip", "-n", link, "link", "set", "eth0", "up")

    def pull_out(self, name: str) -> None:
        """Takes namespace and cable away, and with them what TCP still wanted to say."""
        link = self.link_of(name)
        run("ip", "netns", "del", link, check=False)
        run("ip", "link", "del", link, check=False)

    def set_cable(self, name: str, state: str) -> None:
        """`down` silences the host for everybody, the machine included."""
        run("ip", "link", "set", self.link_of(name), state)

    def cut(self, pairs: Iterable[tuple[str, str]]) -> None:
        if elements := self.elements(pairs):
            run("nft", "add", "element", "bridge", self.prefix, "cut", f"{{ {elements} }}")

    def join(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Takes back what of these pairs is cut."""
        present = set(self.cuts())
        if elements := self.elements(pair for pair in pairs if pair in present or pair[::-1] in present):
            run("nft", "delete", "element", "bridge", self.prefix, "cut", f"{{ {elements} }}")

    def elements(self, pairs: Iterable[tuple[str, str]]) -> str:
        both = {pair for one, other in pairs for pair in ((one, other), (other, one))}
        return ", ".join(f'"{self.link_of(one)}" . "{self.link_of(other)}"' for one, other in sorted(both))

    def cuts(self) -> list[tuple[str, str]]:
        """The pairs of hosts that are cut from each other, both ways round."""
        listed = run("nft", "-j", "list", "set", "bridge", self.prefix, "cut", check=False)
        start = len(self.prefix) + 1
        return [
            (element["concat"][0][start:], element["concat"][1][start:])
            for item in (json.loads(listed)["nftables"] if listed else [])
            for element in item.get("set", {}).get("elem", [])
        ]

    def close(self) -> None:
        for line in run("ip", "netns", "list").splitlines():
            if line.split() and line.split()[0].startswith(f"{self.prefix}-"):
                run("ip", "netns", "del", line.split()[0])
        for link in links():
            if link.startswith(f"{self.prefix}-") or link == self.bridge:
                run("ip", "link", "del", link, check=False)
        run("nft", "delete", "table", "bridge", self.prefix, check=False)

    def remains(self) -> list[str]:
        """What of this lab's network is still in the kernel."""
        spaces = [line.split()[0] for line in run("ip", "netns", "list").splitlines() if line.split()]
        found = [f"network namespace {space}" for space in spaces if space.startswith(f"{self.prefix}-")]
        found += [f"link {link}" for link in links() if link.startswith(f"{self.prefix}-") or link == self.bridge]
        if f"table bridge {self.prefix}\n" in run("nft", "list", "tables"):
            found.append(f"nftables table bridge {self.prefix}")
        return found
