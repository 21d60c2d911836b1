"""What the parser asks the portal while a deployment is prepared: which secrets may be used, which values of an input fit."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Secret, Tenant, User
from accounts.reads import visible_secrets
from inventory.models import Deployment
from inventory.querysets import visible
from orchestration.models import Blueprint, NodeInstance
from orchestration.runner_types import Row

MATCHES_AT_MOST = 1000


def usable_secrets(user: User | None, tenant: Tenant) -> QuerySet[Secret]:
    """Secrets that a blueprint may use when this user runs it: those for blueprints that the user sees; never a credential."""
    rows = Secret.objects.filter(tenant=tenant) if user is None else visible_secrets(user, tenant)
    return rows.filter(purpose=Secret.Purpose.BLUEPRINT)


def usable_secret(user: User | None, tenant: Tenant, name: str) -> Secret:
    """The one of this name, the tenant's own before a global one; LookupError otherwise."""
    found = sorted(usable_secrets(user, tenant).filter(name=name), key=lambda secret: secret.tenant_id != tenant.pk)
    if not found:
        raise LookupError(
            f"Secret '{name}' is not there for blueprints in tenant {tenant.name}: create it, with purpose blueprint."
        )
    return found[0]


class PlanAsker:
    """Answers for the person who creates a deployment."""

    def __init__(self, tenant: Tenant, user: User | None) -> None:
        self.tenant = tenant
        self.user = user

    def secret_exists(self, name: str) -> bool:
        """May this person's deployment use the secret?"""
        return usable_secrets(self.user, self.tenant).filter(name=name).exists()

    def matching_values(self, data_type: str, value: Any, constraints: Row) -> list[Any]:
        """Values of a data type such as deployment_id that are there and match; [] for types that are not kept here."""
        found = self.candidates(data_type, constraints)
        if value is not None:
            found = [one for one in found if one == value]
        pattern = constraints.get("name_pattern")
        return [one for one in found if matches(one, pattern)][:MATCHES_AT_MOST]

    def candidates(self, data_type: str, constraints: Row) -> list[str]:
        """All ids of the type that the person sees."""
        seen: Q = visible(self.user, self.tenant)
        if data_type == "deployment_id":
            rows = Deployment.objects.filter(seen)
            for labels in constraints.get("labels") or []:
                for key, wanted in labels.items():
                    values = wanted if isinstance(wanted, list) else [wanted]
                    rows = rows.filter(labels__key=str(key).lower(), labels__value__in=[str(one) for one in values])
            return list(rows.values_list("wire_id", flat=True).distinct())
        if data_type == "blueprint_id":
            return list(Blueprint.objects.filter(seen, is_hidden=False).values_list("wire_id", flat=True))
        if data_type == "secret_key":
            return list(usable_secrets(self.user, self.tenant).values_list("name", flat=True))
        if data_type == "node_instance":
            seen_deployment = visible(self.user, self.tenant, "local__deployment__")
            rows_of = NodeInstance.objects.filter(seen_deployment)
            if wanted := constraints.get("deployment_id"):
                rows_of = rows_of.filter(local__deployment__wire_id=wanted)
            return list(rows_of.values_list("wire_id", flat=True))
        return []


def matches(value: str, pattern: Any) -> bool:
    """Constraint name_pattern: {"contains" | "starts_with" | "ends_with" | "equals_to": text or texts}."""
    if not isinstance(pattern, dict):
        return True
    tests = {
        "contains": str.__contains__,
        "starts_with": str.startswith,
        "ends_with": str.endswith,
        "equals_to": str.__eq__,
    }
    for name, wanted in pattern.items():
        texts = wanted if isinstance(wanted, list) else [wanted]
        test = tests.get(re.sub(r"-", "_", name))
        if test is not None and not any(test(value, str(text)) for text in texts):
            return False
    return True
