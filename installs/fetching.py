"""Fetching the CA of a service that somebody else runs, for a person to compare with what its provider says."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import ValidationError

from accounts.errors import Conflict
from installs.pki.reading import Certificate, read_certificates
from inventory.connectors.authority import shown_certificates
from inventory.connectors.errors import ManagerError
from inventory.host_names import is_address, is_host_name


@dataclass(frozen=True)
class Fetched:
    """The certificates that would be trusted, PEM, and what they are."""

    ca_bundle: str
    certificates: tuple[Certificate, ...]


def fetch_authority(service: str, address: str, port: int) -> Fetched:
    """The CA that "external_database" or "external_queue" shows with its certificate; it counts once somebody confirms it.

    Conflict where the service cannot be reached, or keeps its CA to itself, as many do.
    """
    if not is_address(address) and not is_host_name(address):
        raise ValidationError(
            {"address": f"{address!r} is neither a host name nor an address. Leave out scheme and port."}
        )
    try:
        shown = shown_certificates(address, port, is_postgresql=service == "external_database")
    except ManagerError as error:
        raise Conflict(error.message) from None
    chain = read_certificates("".join(shown)) if shown else []
    authorities = [
        (pem, read)
        for pem, read in zip(shown, chain, strict=True)
        if read.is_self_signed or (read is not chain[0] and read.is_authority)
    ]
    if not authorities:
        issuer = chain[0].issuer if chain else "nobody"
        raise Conflict(
            f"{address}:{port} shows its own certificate alone, signed by {issuer}. Ask its provider for that CA and upload it."
        )
    return Fetched("".join(pem for pem, _ in authorities), tuple(read for _, read in authorities))
