"""Fills an installation for a measure, in its environment: a tenant, somebody with a token, environments at the stand-in, a service.

python -m bench.seed < {"targets": [{"tenant", "token", "port"}], "ca": PEM or ""}      prints {"token", "version", "user"}
"""

from __future__ import annotations

import json
import sys
from typing import Any

PASSWORD = "not-a-secret-of-anybody"


def fill(targets: list[dict[str, Any]], ca: str) -> dict[str, Any]:
    """Rows as `expose` would make them, each with its own sub-manager and credential, without looking at each."""
    from django.db import transaction

    from accounts import secrets
    from accounts.actors import SYSTEM
    from accounts.services import create_tenant, create_user, set_membership
    from accounts.tokens import mint_token
    from inventory.models import Credential, Deployment, Environment, Label, SubManager
    from tests.deployon import factories

    with transaction.atomic():
        tenant = create_tenant(by=SYSTEM, name="bench")
        user = create_user(by=SYSTEM, username="bench", password=PASSWORD)
        set_membership(by=SYSTEM, tenant=tenant, user=user, role="manager")
        trust = {"protocol": "https", "trust": "ca_bundle", "ca_bundle": ca} if ca else {"protocol": "http"}
        managers = SubManager.objects.bulk_create(
            SubManager(tenant=tenant, endpoint="127.0.0.1", port=each["port"], **trust) for each in targets
        )
        kept = [
            secrets.create_secret(
                by=SYSTEM, tenant=tenant, name=f"{each['tenant']}-token", value=each["token"], purpose="credential"
            )
            for each in targets
        ]
        credentials = Credential.objects.bulk_create(
            Credential(tenant=tenant, kind="token", token=secret) for secret in kept
        )
        rows = Deployment.objects.bulk_create(
            Deployment(
                tenant=tenant,
                wire_id=f"edge-{each['tenant']}",
                display_name=f"Edge {each['tenant']}",
                kind="environment",
                created_by=user,
            )
            for each in targets
        )
        Label.objects.bulk_create(
            Label(deployment=row, key=key, value=value, created_by=user)
            for row in rows
            for key, value in (("csys-obj-type", "environment"), ("env", "prod"))
        )
        Environment.objects.bulk_create(
            Environment(
                deployment=row, sub_manager=manager, remote_tenant=each["tenant"], credential=credential, state="ready"
            )
            for row, manager, credential, each in zip(rows, managers, credentials, targets, strict=True)
        )
        version = factories.version(tenant)
    return {"token": mint_token(by=SYSTEM, user=user)[1], "version": version.pk, "user": user.username}


def main() -> int:
    import django

    django.setup()
    given = json.loads(sys.stdin.read())
    print(json.dumps(fill(given["targets"], given["ca"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
