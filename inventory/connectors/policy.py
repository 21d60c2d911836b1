"""Which network addresses this portal may call: names are resolved once, every address is checked, only checked ones are used."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from inventory.connectors.errors import ErrorKind, ManagerError

Ip: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254")
)
"""Addresses at which clouds hand credentials to whoever asks; some lie outside the link-local range."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")


@dataclass(frozen=True)
class Place:
    """One checked socket address."""

    family: socket.AddressFamily
    sockaddr: tuple[str, int] | tuple[str, int, int, int]

    @property
    def ip(self) -> str:
        return self.sockaddr[0]


@dataclass(frozen=True)
class EndpointPolicy:
    """The rule for addresses: ordinary ones pass, dangerous ones only where an administrator named their network."""

    allowed_networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, networks: Iterable[str]) -> EndpointPolicy:
        """Build from CIDR texts; raises ValueError that names the bad one."""
        return cls(tuple(ipaddress.ip_network(text.strip(), strict=False) for text in networks if text.strip()))

    def allows(self, ip: Ip) -> bool:
        """Whether this address may be called."""
        if any(ip in network for network in self.allowed_networks if network.version == ip.version):
            return True
        return not is_dangerous(ip)


def policy_from_settings() -> EndpointPolicy:
    """The policy of this installation: ENDPOINT_NETWORKS, a list of CIDR texts."""
    from django.conf import settings

    return EndpointPolicy.of(getattr(settings, "ENDPOINT_NETWORKS", ()))


def is_dangerous(ip: Ip) -> bool:
    """Whether an address leads to this machine, to the cloud's metadata, or to nowhere a manager can be.

    IPv6 forms that carry an IPv4 address are refused outright when mapped, and judged by what they carry otherwise.
    """
    if ip in METADATA:
        return True
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return True
        inner = ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None and is_dangerous(inner):
            return True
        if ip.is_site_local:
            return True
    elif ip in _THIS_NETWORK:
        return True
    is_reserved = ip.is_reserved and not (isinstance(ip, ipaddress.IPv6Address) and ip in _NAT64)
    return ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or is_reserved


def resolve(host: str, port: int, policy: EndpointPolicy) -> tuple[Place, ...]:
    """All addresses of a host, checked. Raises ManagerError where there is none, or where even one is not allowed.

    One bad address among good ones refuses the name: otherwise whoever runs that name server decides which is used.
    """
    places = _literal(host, port) or _look_up(host, port)
    for place in places:
        if not policy.allows(ipaddress.ip_address(place.ip.partition("%")[0])):
            raise ManagerError(
                ErrorKind.INPUT,
                f"{host} leads to an address that this portal must not call (this machine itself, a link-local, metadata, "
                "multicast or reserved address). Enter the manager's own address; if this one is meant, an administrator "
                "can allow its network in the setting ENDPOINT_NETWORKS.",
            )
    return places


def _literal(host: str, port: int) -> tuple[Place, ...]:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return ()
    if isinstance(ip, ipaddress.IPv4Address):
        return (Place(socket.AF_INET, (str(ip), port)),)
    return (Place(socket.AF_INET6, (str(ip), port, 0, 0)),) if ip.scope_id is None else ()


def _look_up(host: str, port: int) -> tuple[Place, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        is_passing = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        raise ManagerError(
            ErrorKind.UNREACHABLE,
            f"The name server did not answer for {host}. Try again; if it stays so, check the name server of this portal."
            if is_passing
            else f"The name {host} is not known. Check its spelling, or enter the manager's IP address.",
        ) from None
    places = []
    for family, _kind, _protocol, _canonical, sockaddr in found:
        place = Place(family, sockaddr)  # type: ignore[arg-type]
        if family in (socket.AF_INET, socket.AF_INET6) and place not in places:
            places.append(place)
    if not places:
        raise ManagerError(ErrorKind.UNREACHABLE, f"The name {host} has no IP address. Check its spelling.")
    return tuple(places)
