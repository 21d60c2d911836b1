"""Services, and environments that stand on a double of a remote manager."""

from __future__ import annotations

import io
import itertools
import zipfile
from typing import Any

from accounts.models import Tenant, User
from deployon import previews, rollouts
from deployon.models import Preview, Rollout, Service, ServiceVersion
from inventory.content import store
from inventory.doubles import Account, ManagerDouble
from inventory.models import Credential, Environment, SubManager
from tests import factories
from tests.inventory import factories as inventory

_numbers = itertools.count(1)


def archive(text: str = "") -> bytes:
    """A zip that differs with its text."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as pack:
        pack.writestr(zipfile.ZipInfo("app/blueprint.yaml"), f"# {text}")
    return content.getvalue()


def version(tenant: Tenant, name: str = "hello", content: str = "1", **more: Any) -> ServiceVersion:
    """A version of a service, as the catalogue would store it."""
    service, _ = Service.objects.get_or_create(tenant=tenant, name=name)
    number = service.versions.count() + 1
    if "remote_blueprint" in more:
        return ServiceVersion.objects.create(
            service=service, number=number, source="present", digest=f"{number:064d}", **more
        )
    stored = store(archive(content), "app.zip")
    return ServiceVersion.objects.create(
        service=service, number=number, source="pushed", digest=stored.digest, archive=stored, **more
    )


def token_of(number: int) -> str:
    """The token of the environment made as number so and so in this process, from 1 on."""
    return f"ctok-t{number:09d}-{'0' * 24}"


def environment(double: ManagerDouble, tenant: Tenant, name: str = "", **more: Any) -> Environment:
    """An environment that is a tenant of the double by itself, reached with a token of its own."""
    number = next(_numbers)
    name = name or f"edge{number}"
    remote = more.pop("remote_tenant", f"tenant-of-{name}-{number}")
    token = token_of(number)
    double.add_account(Account(f"user-of-{name}-{number}", "password", {remote: more.pop("role", "user")}, token=token))
    where = {"tenant": tenant, "endpoint": "127.0.0.1", "protocol": "http", "port": double.port}
    manager, _ = SubManager.objects.get_or_create(**where)
    credential = Credential.objects.create(
        tenant=tenant, kind=Credential.Kind.TOKEN, token=factories.secret(tenant, f"token-of-{name}-{number}", token)
    )
    values = {"labels": [("env", "prod")], "state": Environment.State.READY} | more
    return inventory.environment(
        tenant, name, remote_tenant=remote, sub_manager=manager, credential=credential, **values
    )


def preview(by: User, of: ServiceVersion, environments: list[Environment] | None = None, **more: Any) -> Preview:
    """On these environments, or on all that are labelled env=prod."""
    rules = [{"type": "label", "key": "env", "operator": "any_of", "values": ["prod"]}]
    where = (
        previews.Where(rules=rules)
        if environments is None
        else previews.Where(environments=[each.pk for each in environments])
    )
    return previews.preview_rollout(by=factories.actor(by), tenant=of.service.tenant, version=of, where=where, **more)


def rollout(by: User, of: ServiceVersion, environments: list[Environment] | None = None, **more: Any) -> Rollout:
    """Previewed and started."""
    pace = rollouts.Pace(more.pop("max_parallel", 10), more.pop("failure_budget", None))
    shown = preview(by, of, environments, **more)
    return rollouts.start_rollout(by=factories.actor(by), tenant=of.service.tenant, digest=shown.digest, pace=pace)
