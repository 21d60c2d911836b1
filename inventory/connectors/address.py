"""Where a remote manager is, how its certificate is trusted, and who we are there: plain values, no network, no models."""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

_HEADER_SAFE = re.compile(r"[\x20-\x7e]+")
_HOST = re.compile(
    r"(?=.{1,253}\.?$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?", re.I
)
_HEX64 = re.compile(r"[0-9a-f]{64}")


class TrustMode(StrEnum):
    """How the manager's certificate is judged."""

    SYSTEM = "system"
    BUNDLE = "ca_bundle"
    PINNED = "fingerprint"
    INSECURE = "insecure"


@dataclass(frozen=True)
class Trust:
    """How to know that the machine at the other end is the right one; build it by its four named constructors."""

    mode: TrustMode = TrustMode.SYSTEM
    ca_bundle: str = field(default="", repr=False)  # PEM text
    fingerprint: str = ""  # SHA-256 of the leaf certificate, 64 lower-case hex digits
    reason: str = ""  # why nothing is verified, in the words of whoever decided it

    @classmethod
    def system(cls) -> Trust:
        return cls(TrustMode.SYSTEM)

    @classmethod
    def bundle(cls, pem: str) -> Trust:
        """Raises ValueError where the text holds no certificate."""
        if "-----BEGIN CERTIFICATE-----" not in pem:
            raise ValueError(
                "The CA bundle holds no certificate. Paste PEM text that begins with -----BEGIN CERTIFICATE-----."
            )
        return cls(TrustMode.BUNDLE, ca_bundle=pem)

    @classmethod
    def pinned(cls, fingerprint: str) -> Trust:
        """Accepts hex with or without colons and blanks; raises ValueError otherwise."""
        text = re.sub(r"[\s:]", "", fingerprint).lower().removeprefix("sha256")
        if not _HEX64.fullmatch(text):
            raise ValueError(
                "A SHA-256 fingerprint has 64 hexadecimal digits. Copy it whole from the manager's certificate."
            )
        return cls(TrustMode.PINNED, fingerprint=text)

    @classmethod
    def insecure(cls, reason: str) -> Trust:
        if not reason.strip():
            raise ValueError("Say why the certificate of this manager is not verified.")
        return cls(TrustMode.INSECURE, reason=reason.strip())


@dataclass(frozen=True)
class Address:
    """One tenant of one remote manager. `endpoint` is a host name or IP alone; raises ValueError in words for anything else."""

    endpoint: str
    port: int = 443
    protocol: str = "https"
    tenant: str = "default_tenant"
    trust: Trust = field(default_factory=Trust)

    def __post_init__(self) -> None:
        object.__setattr__(self, "endpoint", _host(self.endpoint))
        if self.protocol not in ("http", "https"):
            raise ValueError("The protocol is http or https.")
        if not 1 <= self.port <= 65535:
            raise ValueError("The port is a number from 1 to 65535 (usually 443 for https, 80 for http).")
        if not self.tenant or not _HEADER_SAFE.fullmatch(self.tenant) or len(self.tenant) > 256:
            raise ValueError(
                "The tenant name has letters, digits, '-', '.' and '_'. Enter it as the manager spells it."
            )

    @property
    def is_tls(self) -> bool:
        return self.protocol == "https"

    @cached_property
    def where(self) -> str:
        """The address as people write it: https://host:port."""
        host = f"[{self.endpoint}]" if ":" in self.endpoint else self.endpoint
        return f"{self.protocol}://{host}:{self.port}"


def _host(text: str) -> str:
    host = text.strip()
    if "://" in host or "/" in host or "@" in host:
        raise ValueError("Enter the host name or IP address alone; protocol and port have their own fields.")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        ascii_host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        ascii_host = ""
    if not _HOST.fullmatch(ascii_host):
        raise ValueError("The endpoint is a host name such as manager.example.com, or an IP address.")
    return ascii_host.lower()


@dataclass(frozen=True)
class Credential:
    """Who we are at a manager: a token, or a user with a password. Printing one shows no value."""

    token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if bool(self.token) == bool(self.username):
            raise ValueError("A credential is either a token, or a user name with a password.")
        if self.token and not _HEADER_SAFE.fullmatch(self.token):
            raise ValueError(
                "The token holds characters that no token has (a line break, perhaps). Copy it again, whole."
            )
        if self.username and (":" in self.username or not self.password):
            raise ValueError("A user name has no colon in it, and needs its password.")

    @classmethod
    def by_token(cls, token: str) -> Credential:
        return cls(token=token)

    @classmethod
    def by_password(cls, username: str, password: str) -> Credential:
        return cls(username=username, password=password)

    @property
    def is_token(self) -> bool:
        return bool(self.token)

    @cached_property
    def header(self) -> tuple[str, str]:
        """The HTTP header that carries it, as (name, value)."""
        if self.token:
            return "Authentication-Token", self.token
        return "Authorization", "Basic " + self._basic

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must not come back in a message."""
        return (self.token,) if self.token else (self._basic, self.password)

    @property
    def _basic(self) -> str:
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True)
class Timeouts:
    """Limits in seconds: to connect, for a whole ordinary request, for a whole upload; and the largest reply in bytes."""

    connect: float = 5.0
    read: float = 30.0
    upload: float = 120.0
    max_reply_bytes: int = 32 * 1024 * 1024
