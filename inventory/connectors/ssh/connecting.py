"""Reaching a host: connects to the checked address, trusts one key, logs in. Nothing secret is sent before the key is proved."""

from __future__ import annotations

import io
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from inventory.connectors.errors import ManagerError
from inventory.connectors.policy import EndpointPolicy, policy_from_settings, resolve
from inventory.connectors.ssh.session import CHANNEL_SECONDS, Host
from inventory.connectors.ssh.values import (
    HostAddress,
    HostCredential,
    HostError,
    HostErrorKind,
    OfferedKey,
    fingerprint_of,
)

CONNECT_SECONDS, BANNER_SECONDS, HANDSHAKE_SECONDS, AUTH_SECONDS = 8.0, 10.0, 10.0, 15.0
KEEPALIVE_SECONDS = 10
SILENCE_MILLISECONDS = 15_000  # how long sent data may stay unacknowledged before the connection counts as lost
WEAK = {
    "keys": ["ssh-rsa", "ssh-dss"],
    "pubkeys": ["ssh-rsa", "ssh-dss"],
    "macs": ["hmac-sha1", "hmac-sha1-96", "hmac-md5", "hmac-md5-96"],
    "ciphers": ["3des-cbc", "aes128-cbc", "aes192-cbc", "aes256-cbc"],
}
KEY_ALGORITHMS = {"ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256"]}  # a key of this type proves itself by these
KEY_FORMS: tuple[tuple[type[Any], type[paramiko.PKey], serialization.PrivateFormat], ...] = (
    (ed25519.Ed25519PrivateKey, paramiko.Ed25519Key, serialization.PrivateFormat.OpenSSH),
    (ec.EllipticCurvePrivateKey, paramiko.ECDSAKey, serialization.PrivateFormat.TraditionalOpenSSL),
    (rsa.RSAPrivateKey, paramiko.RSAKey, serialization.PrivateFormat.TraditionalOpenSSL),
)

logging.getLogger("paramiko").setLevel(
    logging.CRITICAL
)  # what it has to tell comes as an exception, and is put in words


@contextmanager
def connect(
    address: HostAddress, credential: HostCredential, *, policy: EndpointPolicy | None = None
) -> Iterator[Host]:
    """A logged-in host for the length of the block. Raises HostError."""
    host = open_host(address, credential, policy=policy)
    try:
        yield host
    finally:
        host.close()


def open_host(address: HostAddress, credential: HostCredential, *, policy: EndpointPolicy | None = None) -> Host:
    """The same, to be closed by the caller. Nothing secret is sent before the host has proved its trusted key."""
    transport, shown = _handshake(address, policy)
    try:
        _check_key(address, shown)
        _log_in(transport, address, credential)
        transport.set_keepalive(KEEPALIVE_SECONDS)
    except BaseException:
        transport.close()
        raise
    return Host(transport, address, credential)


def offered_key(address: HostAddress, *, policy: EndpointPolicy | None = None) -> OfferedKey:
    """The key that the host shows now, for somebody to compare and trust; nobody logs in."""
    transport, shown = _handshake(address, policy)
    transport.close()
    return OfferedKey(shown)


def _handshake(address: HostAddress, policy: EndpointPolicy | None) -> tuple[paramiko.Transport, str]:
    """An encrypted connection to whoever answers there, and the line of the key that is shown, which nobody has checked yet."""
    connection = _dial(address, policy or policy_from_settings())
    try:
        transport = paramiko.Transport(connection, disabled_algorithms=WEAK)
        transport.banner_timeout, transport.handshake_timeout = BANNER_SECONDS, HANDSHAKE_SECONDS
        transport.auth_timeout, transport.channel_timeout = AUTH_SECONDS, CHANNEL_SECONDS
        if address.host_key:  # a host with keys of several types is asked for the one that is trusted
            trusted = address.host_key.split()[0]
            first = KEY_ALGORITHMS.get(trusted, [trusted])
            options = transport.get_security_options()
            known = [name for name in options.key_types if name not in WEAK["keys"]]
            options.key_types = [
                *(name for name in first if name in known),
                *(name for name in known if name not in first),
            ]
    except BaseException:
        connection.close()
        raise
    try:
        transport.start_client(timeout=BANNER_SECONDS + HANDSHAKE_SECONDS)  # returns silently when time is up
        key = transport.get_remote_server_key()
    except (paramiko.SSHException, EOFError, OSError) as error:
        transport.close()
        raise HostError(HostErrorKind.UNREACHABLE, _no_ssh(address, error)) from None
    return transport, f"{key.get_name()} {key.get_base64()}"


def _no_ssh(address: HostAddress, error: Exception) -> str:
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
        return (
            f"The SSH server of {address.host} speaks only outdated algorithms (SHA-1, CBC). Update it, or remove what "
            "limits its algorithms from /etc/ssh/sshd_config."
        )
    words = (
        f"{address.host} answers on port {address.port}, but not as an SSH server does, or not in time. Check the port, and "
        "the load of that host."
    )
    if "banner" in str(error):  # it hung up before it said what it is
        words += (
            " After refused sign-ins OpenSSH 9.8 and later hangs up on their address for up to 10 minutes (PerSourcePenalties):"
            " then wait, and try again."
        )
    return words


def _dial(address: HostAddress, policy: EndpointPolicy) -> socket.socket:
    try:
        places = resolve(address.host, address.port, policy)
    except ManagerError as error:
        message = error.message.replace("the manager's own address", "the host's own address")
        raise HostError(HostErrorKind.UNREACHABLE, message.replace("the manager's IP", "the host's IP")) from None
    why: OSError = OSError()
    for place in places:
        connection = socket.socket(place.family, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(place.sockaddr)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_MILLISECONDS)
            return connection
        except OSError as error:
            connection.close()
            why = error
    raise HostError(HostErrorKind.UNREACHABLE, _no_answer(address, why))


def _no_answer(address: HostAddress, error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"{address.host} refuses port {address.port}: nothing listens there. Start its SSH server, or correct the port."
    if isinstance(error, TimeoutError):
        return (
            f"{address.host} does not answer on port {address.port}. Check that the host runs, its address, and the firewall "
            "between it and this portal."
        )
    return f"{address.host} cannot be reached: {error.strerror or error}. Check its address and the network."


def _check_key(address: HostAddress, shown: str) -> None:
    if not address.host_key:
        raise HostError(
            HostErrorKind.HOST_KEY,
            f"The host key of {address.host} is not trusted yet. It shows {fingerprint_of(shown)} ({shown.split()[0]}). Compare "
            "that with `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` on the host itself, then trust it.",
            key=shown,
        )
    if shown.split()[:2] != address.host_key.split()[:2]:
        raise HostError(
            HostErrorKind.HOST_KEY,
            f"{address.host} shows another host key than the one that is trusted: {fingerprint_of(shown)} "
            f"({shown.split()[0]}), trusted is {fingerprint_of(address.host_key)}. Either the host was installed anew, or "
            "somebody stands in between. Find out which; trust the new key only if it is the host's own.",
            key=shown,
        )


def _log_in(transport: paramiko.Transport, address: HostAddress, credential: HostCredential) -> None:
    ways: list[tuple[str, Callable[[], object]]] = []
    if credential.private_key:
        key = _read_key(address, credential.private_key)
        ways.append(("key", lambda: transport.auth_publickey(address.user, key)))
    if credential.password:
        ways.append(("password", lambda: transport.auth_password(address.user, credential.password)))
    if not ways:
        raise HostError(HostErrorKind.CREDENTIAL, f"No key and no password is stored for {address}. Store one of them.")
    refused = []
    for what, show in ways:
        try:
            show()
        except paramiko.BadAuthenticationType as error:
            refused.append(f"{what} (the host takes only {', '.join(error.allowed_types) or 'nothing'})")
        except paramiko.AuthenticationException:
            refused.append(what)
        except (paramiko.SSHException, EOFError, OSError):
            raise HostError(
                HostErrorKind.UNREACHABLE,
                f"{address.host} ended the connection during the login, or took too long. It is tried again.",
            ) from None
        if transport.is_authenticated():
            return
    raise HostError(
        HostErrorKind.CREDENTIAL,
        f"{address.host} does not let {address.user} in: refused was the {' and the '.join(refused)}. Correct the user, the "
        "password or the key; for a key, its public half belongs into ~/.ssh/authorized_keys of that user.",
    )


def _read_key(address: HostAddress, text: str) -> paramiko.PKey:
    """Read by `cryptography`, which knows all forms, and handed over in the one that paramiko reads of each type."""
    content = text.strip().encode() + b"\n"
    try:
        try:
            key: object = serialization.load_ssh_private_key(content, None)
        except ValueError:
            key = serialization.load_pem_private_key(content, None)
        for known, kind, form in KEY_FORMS:
            if isinstance(key, known):
                plain = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
                return kind.from_private_key(io.StringIO(plain.decode()))
    except (ValueError, TypeError, UnsupportedAlgorithm, paramiko.SSHException):
        pass  # no key at all, or one that asks for a passphrase
    raise HostError(
        HostErrorKind.CREDENTIAL,
        f"The private key stored for {address} cannot be read. Store an Ed25519, ECDSA or RSA key in OpenSSH or PEM form, "
        "without passphrase.",
    )
