"""Rows of the inventory for tests, made without the services' checks."""

from __future__ import annotations

import itertools
from typing import Any

from accounts.models import Secret, Tenant, User
from inventory.models import Credential, Deployment, Environment, Label, Site, SubManager

_numbers = itertools.count(1)


def site(tenant: Tenant, name: str = "London", **more: Any) -> Site:
    return Site.objects.get_or_create(tenant=tenant, name=name, defaults=more)[0]


def deployment(
    tenant: Tenant, wire_id: str = "", labels: list[tuple[str, str]] | None = None, **more: Any
) -> Deployment:
    wire_id = wire_id or f"deployment{next(_numbers)}"
    row = Deployment.objects.create(
        **{"tenant": tenant, "wire_id": wire_id, "display_name": wire_id, "kind": Deployment.Kind.LOCAL} | more
    )
    Label.objects.bulk_create(Label(deployment=row, key=key, value=value) for key, value in labels or [])
    return row


def credential(tenant: Tenant) -> Credential:
    """A token that cannot be opened: for rows that nobody connects with."""
    secret = Secret.objects.create(tenant=tenant, name=f"token{next(_numbers)}", ciphertext=b"", key_id="none")
    return Credential.objects.create(tenant=tenant, kind=Credential.Kind.TOKEN, token=secret)


def environment(
    tenant: Tenant, name: str = "", labels: list[tuple[str, str]] | None = None, **more: Any
) -> Environment:
    """An environment at an address of its own where nobody listens; `more` goes to the Environment, `deployment` to its row."""
    number = next(_numbers)
    labels = [("csys-obj-type", "environment"), *(labels or [])]
    row = deployment(
        tenant,
        name or f"environment{number}",
        labels,
        **{"kind": Deployment.Kind.ENVIRONMENT} | more.pop("deployment", {}),
    )
    manager = more.pop("sub_manager", None) or SubManager.objects.create(
        tenant=tenant, endpoint=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    )
    return Environment.objects.create(
        deployment=row, sub_manager=manager, credential=more.pop("credential", None) or credential(tenant), **more
    )


def genuine_population(rows: list[dict[str, Any]]) -> Tenant:
    """The deployments on which the genuine manager was asked, as they were there."""
    tenant = Tenant.objects.create(name=rows[0]["tenant_name"])
    people = {name: User.objects.create(username=name) for name in {row["created_by"] for row in rows}}
    for row in rows:
        deployment(
            tenant,
            row["id"],
            [tuple(label) for label in row["labels"]],
            display_name=row["display_name"],
            blueprint_name=row["blueprint_id"],
            site=site(tenant, row["site_name"]) if row["site_name"] else None,
            created_by=people[row["created_by"]],
            installation_status=row["installation_status"],
            deployment_status=row["deployment_status"],
            visibility=row["visibility"],
        )
    return tenant
