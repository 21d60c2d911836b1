"""What preflight finds of external services, looked at from a manager host, as the management service will reach them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from installs.externals import postgresql, rabbitmq
from installs.externals.logins import DATABASE, QUEUE, Login
from installs.findings import Finding, error
from inventory.connectors.ssh import Host, HostError
from inventory.layout import External, Layout


def look(host: Host, name: str, layout: Layout, logins: Mapping[str, Login]) -> Iterator[Finding]:
    """Reads only. `host` is the manager called `name`."""
    for purpose, service, title in (
        (DATABASE, layout.external_database, "PostgreSQL"),
        (QUEUE, layout.external_queue, "RabbitMQ"),
    ):
        if service is None:
            continue
        if purpose not in logins:
            yield error(
                "externals.login", f"Nobody was named who may sign in to the external {title}.",
                "Enter user and password of an administrator there, or of the user deployon that was made for this cluster.",
                field=purpose,
            )  # fmt: skip
            continue
        for address in service.addresses:
            try:
                yield from _look_at(host, purpose, service, address, logins[purpose])
            except HostError as fault:
                remedy = "The managers must reach it, on the management port, too, where it is RabbitMQ."
                yield error("externals.reach", fault.message, remedy, host=name, field=purpose)


def _look_at(host: Host, purpose: str, service: External, address: str, login: Login) -> Iterator[Finding]:
    with host.way(address, service.port) as port:
        if purpose == DATABASE:
            yield from postgresql.findings(service, address, port, login)
            return
        yield from rabbitmq.tls_findings(service, address, port)
    with host.way(address, service.management_port) as port:
        yield from rabbitmq.findings(service, address, port, login)
