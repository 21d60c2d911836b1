"""Reads of deployments, environments, sites and saved filters: who may see them, which match the rules of a filter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from django.apps import apps
from django.db import models
from django.db.models import Case, Exists, OuterRef, Q, Value, When

from accounts.models import Tenant, User, Visibility
from accounts.roles import may, roles_in
from inventory import patterns  # noqa: F401  (registers the lookups)
from inventory.filters import LABEL, Rule
from inventory.label_rules import ENVIRONMENT_TYPE, PARENT_KEY, TYPE_KEY

if TYPE_CHECKING:
    from inventory.models import Cluster, Deployment, Environment, Filter, Label, Site, SubManager  # noqa: F401  (names of types)

# Attribute of a rule -> path from a deployment. An empty blueprint name is none: an environment has no blueprint.
COLUMNS = {
    "id": "wire_id",
    "blueprint_id": "blueprint_name",
    "created_by": "created_by__username",
    "site_name": "site__name",
    "tenant_name": "tenant__name",
    "display_name": "display_name",
    "installation_status": "installation_status",
}
_LOOKUPS = {
    "contains": "holds_pattern",
    "not_contains": "holds_pattern",
    "starts_with": "begins_with_pattern",
    "ends_with": "ends_with_pattern",
}


def _labels() -> models.QuerySet[Label]:
    return apps.get_model("inventory", "Label")._default_manager.all()


def _foreign(field: str, tenant: Tenant) -> Case:
    """Sorts rows of the tenant before those of others."""
    return Case(When(**{field: tenant}, then=Value(0)), default=Value(1))


def visible(user: User | None, tenant: Tenant, prefix: str = "") -> Q:
    """What a user sees in a tenant: its rows, private ones only as creator or by `private.see`, and global rows.

    No user is the system itself, which sees what a system administrator sees. `prefix` leads from the row to its owner's columns.
    """
    here = Q(**{f"{prefix}tenant": tenant})
    if user is not None and not user.is_sys_admin:
        if not roles_in(user, tenant):
            return Q(pk__in=[])
        if not may(user, "private.see", tenant):
            here &= ~Q(**{f"{prefix}visibility": Visibility.PRIVATE}) | Q(**{f"{prefix}created_by": user})
    return here | Q(**{f"{prefix}visibility": Visibility.GLOBAL})


def condition(rule: Rule, prefix: str = "") -> Q:
    """One rule as a condition on deployments; `prefix` leads from the row to its deployment."""
    if rule.type == LABEL:
        return _label_condition(rule, prefix)
    if rule.key == "schedules":
        return Q(**{f"{prefix}has_schedules": True})
    path = prefix + COLUMNS[rule.key]
    # A row without a value never matches, not even a negative rule; blanks count as none.
    has_value = Q(**{f"{path}__isnull": False}) & ~Q(**{path: ""})
    if rule.operator == "is_not_empty":
        return has_value
    if not rule.values:  # only any_of is a condition without values; the genuine manager leaves the others out
        return Q(pk__in=[]) if rule.operator == "any_of" else Q()
    if rule.operator in ("any_of", "not_any_of"):
        fits = Q(**{f"{path}__in": rule.values})
    else:
        fits = Q()
        for value in rule.values:
            fits |= Q(**{f"{path}__{_LOOKUPS[rule.operator]}": value})
    return has_value & ~fits if rule.operator.startswith("not_") else fits


def _label_condition(rule: Rule, prefix: str) -> Q:
    labels = _labels().filter(key=rule.key)
    if rule.operator in ("any_of", "is_not"):
        labels = labels.filter(value__in=rule.values)
    elif rule.operator == "not_any_of":  # some value outside the list
        labels = labels.exclude(value__in=rule.values)
    among = Q(**{f"{prefix}pk__in": labels.values("deployment_id")})
    return ~among if rule.operator in ("is_null", "is_not") else among


class OwnedQuerySet(models.QuerySet[Any]):
    """Rows with a name, a tenant, a visibility and a creator."""

    def visible_to(self, user: User | None, tenant: Tenant) -> Self:
        """What the user may see from this tenant, global rows of other tenants included."""
        return self.filter(visible(user, tenant))

    def named(self, name: str, tenant: Tenant) -> Any:
        """The row of that name, this tenant's own before a global one; raises the model's DoesNotExist."""
        rows = list(self.filter(name=name).order_by(_foreign("tenant", tenant)))
        if not rows:
            raise self.model.DoesNotExist(
                f"There is no {self.model._meta.verbose_name} {name!r} here. Check the spelling."
            )
        return rows[0]


class SiteQuerySet(OwnedQuerySet, models.QuerySet["Site"]):
    """Sites."""


class FilterQuerySet(OwnedQuerySet, models.QuerySet["Filter"]):
    """Saved filters."""


class SubManagerQuerySet(models.QuerySet["SubManager"]):
    """Remote managers."""

    def with_counts(self) -> Self:
        """Adds `environment_count`."""
        return self.annotate(environment_count=models.Count("environments"))


class ClusterQuerySet(models.QuerySet["Cluster"]):
    """Clusters; everybody with a role in their tenant sees them."""

    def with_hosts(self) -> Self:
        """With hosts and their keys, so that a layout asks for nothing more."""
        return self.select_related("tenant", "site", "created_by").prefetch_related("nodes__host_keys")

    def named(self, name: str, tenant: Tenant) -> Cluster:
        """The cluster of that name; raises DoesNotExist."""
        found = self.filter(tenant=tenant, name=name).first()
        if found is None:
            raise self.model.DoesNotExist(f"There is no cluster {name!r} here. Check the spelling.")
        return found


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    """Deployments."""

    def visible_to(self, user: User | None, tenant: Tenant) -> Self:
        """What the user may see from this tenant, global rows of other tenants included."""
        return self.filter(visible(user, tenant))

    def matching(self, rules: Iterable[Rule]) -> Self:
        """Those for which every rule holds."""
        found = self
        for rule in rules:
            found = found.filter(condition(rule))
        return found

    def search(self, text: str) -> Self:
        """Those whose id or display name holds the text, in any case."""
        return self.filter(Q(wire_id__icontains=text) | Q(display_name__icontains=text)) if text else self

    def with_type(self) -> Self:
        """Adds `is_environment`: labelled csys-obj-type=environment; everything else is a service."""
        typed = _labels().filter(deployment=OuterRef("pk"), key=TYPE_KEY, value=ENVIRONMENT_TYPE)
        return self.annotate(is_environment=Exists(typed))

    def environments(self, wanted: bool = True) -> Self:
        """Those labelled csys-obj-type=environment, or all others."""
        typed = _labels().filter(deployment=OuterRef("pk"), key=TYPE_KEY, value=ENVIRONMENT_TYPE)
        return self.filter(Exists(typed)) if wanted else self.filter(~Exists(typed))

    def by_label(self, key: str) -> Self:
        """Adds `label_value`, the first value of that label, to sort by."""
        values = _labels().filter(deployment=OuterRef("pk"), key=key.lower()).order_by("value").values("value")[:1]
        return self.annotate(label_value=models.Subquery(values))

    def top_level(self) -> Self:
        """Those without a parent."""
        return self.exclude(pk__in=_labels().filter(key=PARENT_KEY).values("deployment_id"))


class EnvironmentQuerySet(models.QuerySet["Environment"]):
    """Environments."""

    def visible_to(self, user: User | None, tenant: Tenant) -> Self:
        """What the user may see from this tenant, global rows of other tenants included."""
        return self.filter(visible(user, tenant, "deployment__"))

    def matching(self, rules: Iterable[Rule]) -> Self:
        """Those for which every rule holds."""
        found = self
        for rule in rules:
            found = found.filter(condition(rule, "deployment__"))
        return found

    def search(self, text: str) -> Self:
        """Those whose name or endpoint holds the text, in any case."""
        if not text:
            return self
        fields = ("deployment__wire_id", "deployment__display_name", "sub_manager__endpoint")
        found = Q()
        for field in fields:
            found |= Q(**{f"{field}__icontains": text})
        return self.filter(found)

    def within(self, south: float, west: float, north: float, east: float) -> Self:
        """Those whose site lies in that part of the earth, in degrees; where west is greater than east it crosses 180°."""
        longitude = "deployment__site__longitude"
        after, before = Q(**{f"{longitude}__gte": west}), Q(**{f"{longitude}__lte": east})
        found = self.filter(deployment__site__latitude__range=(south, north))
        return found.filter(after & before if west <= east else after | before)

    def for_list(self) -> Self:
        """With all that a row of a list shows, labels in one query for the page."""
        return self.select_related(
            "deployment__tenant", "deployment__site", "deployment__created_by", "sub_manager", "credential"
        ).prefetch_related("deployment__labels")

    def for_connecting(self) -> Self:
        """With all that a client needs, so that connecting asks the database for nothing more."""
        return self.select_related("sub_manager", "credential__token", "credential__username", "credential__password")

    def for_describing(self) -> Self:
        """With all that a file tells of them, by name: a query, and one for the labels."""
        secrets = ("credential__token", "credential__username", "credential__password")
        return self.for_list().select_related(*secrets).order_by("deployment__wire_id")

    def named(self, name: str, tenant: Tenant) -> Environment:
        """The environment of that name (its id on the wire), this tenant's own before a global one; raises DoesNotExist."""
        found = self.select_related("deployment__tenant", "sub_manager", "credential").filter(deployment__wire_id=name)
        rows = list(found.order_by(_foreign("deployment__tenant", tenant)))
        if not rows:
            raise self.model.DoesNotExist(f"There is no environment {name!r} here. Check the spelling.")
        return rows[0]
