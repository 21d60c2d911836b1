"""Rules of services that somebody else runs: PostgreSQL and RabbitMQ outside of the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509

from installs.findings import Finding, error
from inventory.host_names import is_address, is_host_name
from inventory.layout import External, Layout, Part


def findings(layout: Layout) -> Iterator[Finding]:
    """Of both external services, where there are any."""
    if layout.external_database:
        yield from _clash(layout, Part.DATABASE, "PostgreSQL", "external_database")
        yield from _service(layout, layout.external_database, "PostgreSQL", "external_database")
    if layout.external_queue:
        yield from _clash(layout, Part.QUEUE, "RabbitMQ", "external_queue")
        yield from _service(layout, layout.external_queue, "RabbitMQ", "external_queue")
        if not 1 <= layout.external_queue.management_port <= 65535:
            yield error(
                "management-port",
                "The external RabbitMQ has no management port here: users and virtual hosts are made through it.",
                "Enable its management plugin with TLS and enter the port, 15671 as a rule.",
                field="external_queue",
            )


def _clash(layout: Layout, part: Part, name: str, field: str) -> Iterator[Finding]:
    for host in layout.having(part):
        yield error(
            "external-and-own",
            f"It has the part {part}, and {name} is external.",
            f"Take the part away, or leave the external {name} out.",
            host=host.name,
            field=field,
        )


def _service(layout: Layout, service: External, name: str, field: str) -> Iterator[Finding]:
    if not service.addresses:
        yield error("external-address", f"The external {name} has no address.", "Enter where it answers.", field=field)
    own = {value for host in layout.hosts for value in (host.name, *host.addresses.values())}
    for address in service.addresses:
        if not is_address(address) and not is_host_name(address):
            yield error(
                "external-address",
                f"{address!r} is neither a host name nor an address.",
                "Write it without a scheme and without the port.",
                field=field,
            )
        elif address in own:
            yield error(
                "external-is-own",
                f"{address} is a host of this cluster, so {name} there is not external.",
                "Enter the service's own address.",
                field=field,
            )
    if not 1 <= service.port <= 65535:
        yield error("external-port", f"There is no port {service.port}.", "Use 1 to 65535.", field=field)
    if service.user_suffix and not (service.user_suffix.startswith("@") and is_host_name(service.user_suffix[1:])):
        yield error(
            "user-suffix",
            f"{service.user_suffix!r} is no suffix of user names.",
            "Write it as @server, or leave it empty: newer offers use plain names.",
            field=field,
        )
    yield from _authority(service, name, field)


def _authority(service: External, name: str, field: str) -> Iterator[Finding]:
    """TLS is a must, hence the authority that signed its certificate."""
    if not service.ca_bundle.strip():
        yield error(
            "external-ca",
            f"The external {name} has no CA certificate: nobody could tell it from an impostor.",
            "Upload the provider's CA, or fetch it and compare its fingerprint.",
            field=field,
        )
        return
    if "PRIVATE KEY-----" in service.ca_bundle:
        yield error(
            "ca-with-key",
            f"The CA of the external {name} comes with a private key, which has no business here.",
            "Upload the certificates alone, and consider that key as known to others.",
            field=field,
        )
    try:
        certificates = x509.load_pem_x509_certificates(service.ca_bundle.encode())
    except ValueError:
        yield error(
            "external-ca",
            f"The CA of the external {name} is no certificate in PEM form.",
            "It has to begin with -----BEGIN CERTIFICATE-----.",
            field=field,
        )
        return
    for certificate in certificates:
        if not _is_authority(certificate):
            yield error(
                "not-a-ca",
                f"{certificate.subject.rfc4514_string()} signs nothing: it is no CA certificate.",
                f"Upload the certificate of the authority that signed that of {name}.",
                field=field,
            )


def _is_authority(certificate: x509.Certificate) -> bool:
    """A CA, or one that signed itself and is trusted as it is."""
    if certificate.issuer == certificate.subject:
        return True
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
