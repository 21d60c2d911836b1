"""What the management service needs in services that somebody else runs, made through a manager host by the administrator who was entered."""

from __future__ import annotations

import dataclasses

import psycopg

from installs.externals import postgresql, rabbitmq
from installs.externals.logins import DATABASE, QUEUE, USER, Login, login_of
from installs.steps import HostStep
from inventory.connectors.ssh import Host
from inventory.layout import External
from inventory.models import Cluster
from runs.operations import Context, Later, OperationError, operation


@dataclasses.dataclass(frozen=True)
class _External(HostStep):
    """A step at a service of others, by the manager host `host`."""

    def _login(self, context: Context, purpose: str, title: str) -> Login:
        login = login_of(Cluster.objects.get(pk=self.cluster), purpose)
        if login is None:
            raise OperationError(
                f"Nobody was named who may sign in to the external {title}. Enter an administrator there at the cluster, then resume.",
                cause="credential",
            )
        context.hide(login.password)
        return login


@operation("external.database")
@dataclasses.dataclass(frozen=True)
class MakeExternalDatabase(_External):
    """Have the role and the database of the management service in an external PostgreSQL."""

    def describe(self) -> str:
        return "Create the database of the management service in the external PostgreSQL"

    def look(self, context: Context, host: Host) -> bool | Later:
        service, password = self._wanted(context)
        address = service.addresses[0]
        with host.way(address, service.port) as port:
            return postgresql.is_made(service, address, port, Login(f"{USER}{service.user_suffix}", password))

    def act(self, context: Context, host: Host) -> Later | None:
        service, password = self._wanted(context)
        address, login = service.addresses[0], self._login(context, DATABASE, "PostgreSQL")
        try:
            with host.way(address, service.port) as port:
                if login.is_service:
                    _refuse([each.sentence for each in postgresql.findings(service, address, port, login)])
                else:
                    postgresql.make(service, address, port, login, password)
        except psycopg.Error as fault:
            said = " ".join(str(fault).replace(login.password, "…").split())[-300:]
            raise OperationError(
                f"PostgreSQL at {address}: {said} Put that right there, then resume.", cause="external"
            ) from None
        return None

    def _wanted(self, context: Context) -> tuple[External, str]:
        wanted = self.wanted(context)
        assert wanted.layout.external_database is not None
        return wanted.layout.external_database, wanted.passwords.database


@operation("external.queue")
@dataclasses.dataclass(frozen=True)
class MakeExternalQueue(_External):
    """Have the virtual host and the user of the management service in an external RabbitMQ."""

    def describe(self) -> str:
        return "Create the virtual host of the management service in the external RabbitMQ"

    def look(self, context: Context, host: Host) -> bool | Later:
        service, password = self._wanted(context)
        address = service.addresses[0]
        with host.way(address, service.management_port) as port:
            try:
                return rabbitmq.is_made(service, address, port, Login(f"{USER}{service.user_suffix}", password))
            except rabbitmq.Refused as fault:
                raise _failed(address, fault) from None

    def act(self, context: Context, host: Host) -> Later | None:
        service, password = self._wanted(context)
        address, login = service.addresses[0], self._login(context, QUEUE, "RabbitMQ")
        try:
            with host.way(address, service.management_port) as port:
                if login.is_service:
                    _refuse([each.sentence for each in rabbitmq.findings(service, address, port, login)])
                else:
                    rabbitmq.make(service, address, port, login, password)
        except rabbitmq.Refused as fault:
            raise _failed(address, fault) from None
        return None

    def _wanted(self, context: Context) -> tuple[External, str]:
        wanted = self.wanted(context)
        assert wanted.layout.external_queue is not None
        return wanted.layout.external_queue, wanted.passwords.queue


def _refuse(faults: list[str]) -> None:
    if faults:
        raise OperationError(f"{faults[0]} Then resume.", cause="external")


def _failed(address: str, fault: rabbitmq.Refused) -> OperationError:
    return OperationError(f"RabbitMQ at {address}: {fault} Put that right there, then resume.", cause="external")
