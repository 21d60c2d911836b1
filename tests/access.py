"""The map of all addresses for the access test: what each serves, what it needs, and how to fill in what stands in it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from django.apps import apps
from django.db import models
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import Tenant
from tests.samples import sample

# What the part of an address before an argument speaks of.
NOUNS = {
    "users": "accounts.User",
    "groups": "accounts.Group",
    "user-groups": "accounts.Group",
    "tenants": "accounts.Tenant",
    "members": "accounts.Membership",
    "memberships": "accounts.Membership",
    "secrets": "accounts.Secret",
    "tokens": "accounts.ApiToken",
    "audit": "accounts.AuditEntry",
    "runs": "runs.Run",
    "sites": "inventory.Site",
    "environments": "inventory.Environment",
    "sub-managers": "inventory.SubManager",
    "filters": "inventory.Filter",
    "clusters": "inventory.Cluster",
    "hosts": "inventory.ClusterNode",
    "services": "deployon.Service",
    "versions": "deployon.ServiceVersion",
    "placements": "deployon.Placement",
    "rollouts": "deployon.Rollout",
    "targets": "deployon.Target",
    "blueprints": "orchestration.Blueprint",
    "deployments": "inventory.Deployment",
    "executions": "orchestration.Execution",
    "nodes": "orchestration.BlueprintNode",
    "node-instances": "orchestration.NodeInstance",
    "deployment-groups": "orchestration.DeploymentGroup",
    "execution-groups": "orchestration.ExecutionGroup",
    "updates": "orchestration.DeploymentUpdate",
    "deployment-modifications": "orchestration.Modification",
    "modifications": "orchestration.Modification",
    "deployment-updates": "orchestration.DeploymentUpdate",
    "schedules": "orchestration.ExecutionSchedule",
    "execution-schedules": "orchestration.ExecutionSchedule",
    "tasks_graphs": "orchestration.TaskGraph",
    "operations": "orchestration.StoredOperation",
}
# Arguments that name no row: (argument) -> what to put there.
WORDS = {"digest": "0" * 64, "key": "env", "rest": "nosuch", "path": "nosuch", "name": "nosuch", "scope": "rest"}
WORDS |= {"username": "nosuch", "role": "viewer"}
# On the wire these are known by name.
BY_NAME = {"inventory.Site", "inventory.Filter", "accounts.Secret", "accounts.Tenant", "accounts.Group"}
ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>((?:[^()]|\([^()]*\))*)\)")


@dataclasses.dataclass
class Route:
    """One address as the URL map has it."""

    pattern: str
    view: Any
    name: str
    namespace: str

    @property
    def view_class(self) -> Any:
        return getattr(self.view, "cls", None) or getattr(self.view, "view_class", None)

    @property
    def is_api(self) -> bool:
        return self.pattern.startswith("api/")

    @property
    def is_wire(self) -> bool:
        return self.pattern.startswith(("api/v3.1/", "api/version"))

    @property
    def is_admin(self) -> bool:
        return self.namespace == "admin"

    @property
    def needs(self) -> Any:
        """What the view says of itself; None: nothing."""
        found = getattr(self.view, "needs", None)
        return found if found is not None else getattr(self.view_class, "needs", None)

    @property
    def methods(self) -> list[str]:
        actions = getattr(self.view, "actions", None)
        if actions:
            return [method.upper() for method in actions if method != "head"]
        if self.is_api and self.view_class is not None:
            names = ("get", "post", "put", "patch", "delete")
            return [name.upper() for name in names if hasattr(self.view_class, name)]
        return ["GET", "POST"]

    def action(self, method: str) -> str | None:
        """The key of accounts.roles that the method needs; "" for none; None where the method is not served."""
        needed = self.needs
        if isinstance(needed, str):
            return needed
        keys = ((getattr(self.view, "actions", None) or {}).get(method.lower()), method, "*")
        return next((needed[key] for key in keys if key in needed), None)

    def noun_before(self, match: re.Match[str]) -> str:
        """The last fixed part of the address before an argument."""
        return ARGUMENT.sub("", self.pattern[: match.start()]).replace("^", "").strip("/").split("/")[-1]

    def address(self, tenant: Tenant) -> tuple[str, bool]:
        """(a real address whose rows belong to the tenant, whether it names any row)."""
        rows: dict[str, models.Model] = {}
        names_row = False

        def fill(match: re.Match[str]) -> str:
            nonlocal names_row
            name, choices = match[1] or match[2], match[3] or ""
            if re.fullmatch(r"[\w-]+(\|[\w-]+)+", choices):
                return choices.split("|")[0]
            noun = self.noun_before(match)
            if name == "kind":
                return "deployments"
            if noun in NOUNS:
                names_row = True
                label = NOUNS[noun]
                row = rows.setdefault(label, sample(apps.get_model(label), tenant))
                return identifier(row, label, on_wire=self.is_wire)
            if name in WORDS:
                return WORDS[name]
            raise AssertionError(
                f"{self.pattern}: the access test knows neither what {noun!r} speaks of nor the argument {name!r}. "
                "Add the one to NOUNS or the other to WORDS in tests/access.py."
            )

        filled = ARGUMENT.sub(fill, self.pattern)
        return "/" + filled.replace("^", "").replace("$", "").replace("\\.", ".").replace("/?", "/").replace(
            ".*", "nosuch"
        ), names_row


def identifier(row: models.Model, label: str, *, on_wire: bool) -> str:
    """How an address names the row."""
    if on_wire and hasattr(row, "wire_id"):
        return str(row.wire_id)
    if on_wire and label == "accounts.User":
        return str(row.username)
    if on_wire and label in BY_NAME:
        return str(row.name)
    return str(row.pk)


def routes() -> list[Route]:
    """Everything in the URL map, in its order."""
    return list(_walk(get_resolver(), "", ""))


def _walk(resolver: URLResolver, prefix: str, namespace: str) -> Any:
    for entry in resolver.url_patterns:
        pattern = prefix + str(entry.pattern).lstrip("^") if prefix else str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry, pattern, entry.namespace or namespace)
        elif isinstance(entry, URLPattern):
            yield Route(pattern, entry.callback, entry.name or "", namespace)
