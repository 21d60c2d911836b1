"""The certificates that a service shows, for a person to compare and trust: read in a handshake of its own, in which nothing is sent."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Sequence
from typing import Any

from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.policy import EndpointPolicy, policy_from_settings, resolve
from inventory.connectors.sockets import dial, explain_no_connection
from inventory.connectors.tls import unverified_context

SECONDS = 8.0
_POSTGRESQL_TLS = struct.pack("!ii", 8, 80877103)  # SSLRequest of PostgreSQL's protocol: TLS begins after an "S"


def shown_certificates(
    host: str, port: int, *, is_postgresql: bool = False, policy: EndpointPolicy | None = None
) -> list[str]:
    """What the service shows, PEM, its own certificate first; ManagerError with a remedy where it shows none."""
    where = f"{host}:{port}"
    places = resolve(host, port, policy or policy_from_settings())
    try:
        with dial(places, SECONDS) as plain:
            plain.settimeout(SECONDS)
            if is_postgresql:
                _ask_for_tls(plain, where)
            with unverified_context().wrap_socket(plain, server_hostname=host) as connection:
                return [ssl.DER_cert_to_PEM_cert(der) for der in _chain(connection)]
    except ssl.SSLError as error:
        text = f"{where} does not speak TLS ({error.reason or 'no handshake'}). Check the port; TLS is a must there."
        raise ManagerError(ErrorKind.UNREACHABLE, text) from None
    except TimeoutError:
        text = f"{where} does not answer the TLS handshake within {SECONDS:.0f} s. Check address, port and firewall."
        raise ManagerError(ErrorKind.UNREACHABLE, text) from None
    except OSError as error:
        raise ManagerError(ErrorKind.UNREACHABLE, explain_no_connection(error, where)) from None


def _ask_for_tls(plain: socket.socket, where: str) -> None:
    plain.sendall(_POSTGRESQL_TLS)
    if plain.recv(1) != b"S":
        text = f"{where} is no PostgreSQL, or one without TLS. Check the port, and switch ssl on there."
        raise ManagerError(ErrorKind.UNREACHABLE, text)


def _chain(connection: ssl.SSLSocket) -> Sequence[bytes]:
    """DER of all certificates that were shown. Python has a public way to them only from 3.13 on."""
    public: Any = getattr(connection, "get_unverified_chain", None)
    if public is not None:
        return list(public())
    shown = connection._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
    return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in shown or ()]
