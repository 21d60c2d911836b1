"""Which deployments the address of a page means: the list by its filters, or those that were ticked, or those on environments."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable

from django.db.models import QuerySet
from django.http import QueryDict

from accounts.models import Tenant, User
from inventory import choosing
from inventory.filters import InvalidRule, parse
from inventory.models import Deployment, Environment, Filter
from inventory.querysets import DeploymentQuerySet, EnvironmentQuerySet, visible
from orchestration.group_models import DeploymentGroup, ExecutionGroup
from orchestration.models import Execution, NodeInstance

KINDS = {"": "Everything", "environments": "Environments", "services": "Services"}
PARTS = {"below": "What stands on them", "self": "The environments themselves"}
Status = Deployment.DeploymentStatus


@dataclasses.dataclass
class Choice:
    """What the list is asked for; `problem` says in words why it cannot be answered."""

    parent: Deployment | None = None
    kind: str = ""
    search: str = ""
    status: str = ""
    saved: str = ""
    blueprint: str = ""
    is_drifted: bool = False
    is_every_level: bool = False
    problem: str = ""

    @property
    def is_filtered(self) -> bool:
        return bool(self.kind or self.search or self.status or self.saved or self.blueprint or self.is_drifted)

    @property
    def is_deep(self) -> bool:
        """Is it about every level, not about one?"""
        return self.is_every_level or bool(self.search or self.saved or self.blueprint or self.is_drifted)


def number(text: str) -> int:
    """A key in an address; 0, which no row has, where it is none."""
    return int(text) if text.isdigit() and len(text) < 19 else 0


def numbers(text: str) -> list[int]:
    """Keys with commas between them."""
    return [number(part) for part in text.split(",")]


def read_choice(query: QueryDict, user: User, tenant: Tenant) -> Choice:
    """The choice in an address of the list. Deployment.DoesNotExist where the parent cannot be seen."""
    kind, status = query.get("kind", ""), query.get("status", "")
    choice = Choice(
        kind=kind if kind in KINDS else "",
        search=query.get("q", "").strip(),
        status=status if status in Status.values else "",
        saved=query.get("filter", ""),
        blueprint=query.get("blueprint", "").strip(),
        is_drifted=bool(query.get("drifted")),
        is_every_level=bool(query.get("every")),
    )
    if query.get("below"):
        seen = Deployment.objects.visible_to(user, tenant).select_related("environment")
        choice.parent = seen.get(pk=number(query.get("below", "")))
    return choice


def chosen(choice: Choice, user: User, tenant: Tenant, *, in_every_status: bool = False) -> DeploymentQuerySet:
    """The deployments that are meant and that the user may see; those at the top where nothing is searched."""
    rows = Deployment.objects.visible_to(user, tenant).with_type()
    if choice.parent is not None:
        rows = rows.filter(parent=choice.parent)
    elif not choice.is_deep:
        rows = rows.filter(parent__isnull=True)
    if choice.kind:
        rows = rows.environments(choice.kind == "environments")
    if choice.saved:
        found = Filter.objects.visible_to(user, tenant).filter(name=choice.saved).first()
        try:
            rows = rows.matching(parse(found.rules, are_titles_free=True)) if found else rows.none()
        except InvalidRule as error:
            choice.problem, rows = f"This filter does not work: {error.reason}. Choose another one.", rows.none()
        if found is None:
            choice.problem = f"There is no saved filter {choice.saved}. Clear it, or choose another one."
    if choice.blueprint:
        rows = rows.filter(blueprint_name=choice.blueprint)
    if choice.is_drifted:
        rows = rows.filter(local__in=NodeInstance.objects.filter(has_drift=True).values("local"))
    rows = rows.search(choice.search)
    return rows.filter(deployment_status=choice.status) if choice.status and not in_every_status else rows


def meant(query: QueryDict, user: User, tenant: Tenant) -> DeploymentQuerySet:
    """What a bulk page is about: `deployments=1,2`, those of an execution group, of a group, of environments, or a choice of the list."""
    seen = Deployment.objects.visible_to(user, tenant)
    if "deployments" in query:
        return seen.filter(pk__in=numbers(query.get("deployments", "")))
    if "executions" in query:
        return seen.filter(pk__in=of_executions(query, user, tenant).values("local__deployment"))
    if "group" in query:
        groups = DeploymentGroup.objects.filter(visible(user, tenant), pk=number(query.get("group", "")))
        return seen.filter(deployment_groups__in=groups)
    if "environments" in query or query.get("of") == "environments":
        environments = environments_meant(query, user, tenant)
        keys = list(environments.order_by().values_list("deployment_id", flat=True))
        return seen.filter(pk__in=keys if query.get("part") == "self" else below(keys))
    return chosen(read_choice(query, user, tenant), user, tenant)


def of_executions(query: QueryDict, user: User, tenant: Tenant) -> QuerySet[Execution]:
    """The executions of a group that was named, in one state where that is named too."""
    try:
        group = uuid.UUID(query.get("executions", ""))
    except ValueError:
        return Execution.objects.none()
    groups = ExecutionGroup.objects.filter(visible(user, tenant), pk=group)
    rows = Execution.objects.filter(visible(user, tenant), group__in=groups)
    return rows.filter(state=query["state"]) if query.get("state") else rows


def environments_meant(query: QueryDict, user: User, tenant: Tenant) -> EnvironmentQuerySet:
    """Environments by their keys, or by the address of their list."""
    if "environments" in query:
        keys = numbers(query.get("environments", ""))
        return Environment.objects.visible_to(user, tenant).filter(pk__in=keys)
    return choosing.chosen(choosing.read_choice(query, user, tenant), user, tenant)


def below(keys: Iterable[int]) -> set[int]:
    """All deployments below these, at any depth; a query for each level."""
    level, found = set(keys), set[int]()
    while level:
        level = set(Deployment.objects.filter(parent__in=level).values_list("pk", flat=True)) - found
        found |= level
    return found
