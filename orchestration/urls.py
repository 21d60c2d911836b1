"""Addresses of /api/v3.1, without a slash at the end as its clients write them."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver, path, re_path

from orchestration.wire import (
    blueprints,
    deployments,
    elsewhere,
    events,
    executions,
    graphs,
    installation,
    nodes,
    secret_share,
    secrets,
    sites,
    tenants,
    tokens,
    trail,
    user_groups,
    users,
    vocabulary,
    workflows,
)
from orchestration.wire.views import NotThere


def wire(address: str, view: Any) -> URLPattern:
    """One address."""
    pattern: URLPattern = path(address, view.as_view())
    return pattern


# Addresses of which nothing is served but, in some, an empty list.
REFUSED = [
    *(wire(name, elsewhere.refused(name, lists=True)) for name in elsewhere.LISTS),
    *(wire(f"{name}/<path:rest>", elsewhere.refused(name)) for name in elsewhere.BELOW),
    wire("permissions/<str:role>/<str:name>", elsewhere.refused("permissions")),
    wire("contacts", elsewhere.refused("contacts")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    wire("ok", installation.Ok),
    wire("version", installation.Version),
    wire("status", installation.Status),
    wire("cluster-status", installation.ClusterStatus),
    wire("config", installation.Config),
    wire("config/<str:name>", installation.Config),
    wire("maintenance", installation.Maintenance),
    wire("managers", installation.Nodes),
    wire("brokers", installation.Nodes),
    wire("db-nodes", installation.Nodes),
    wire("provider/context", installation.ProviderContext),
    wire("user", users.WhoAmI),
    wire("users", users.Users),
    wire("users/active/<str:username>", users.UserActive),
    wire("users/unlock/<str:username>", users.UserUnlock),
    wire("users/<str:username>", users.UserDetail),
    wire("user-groups", user_groups.Groups),
    wire("user-groups/users", user_groups.GroupUsers),
    wire("user-groups/<str:name>", user_groups.GroupDetail),
    wire("tenants", tenants.Tenants),
    wire("tenants/users", tenants.TenantUsers),
    wire("tenants/user-groups", tenants.TenantGroups),
    wire("tenants/<str:name>", tenants.TenantDetail),
    wire("tokens", tokens.Tokens),
    wire("tokens/<str:wire_id>", tokens.Token),
    wire("permissions", elsewhere.Permissions),
    wire("permissions/<str:role>", elsewhere.Permissions),
    wire("blueprints", blueprints.BlueprintList),
    wire("blueprints/<str:wire_id>", blueprints.BlueprintDetail),
    wire("blueprints/<str:wire_id>/validate", blueprints.BlueprintValidate),
    wire("blueprints/<str:wire_id>/archive", blueprints.BlueprintArchive),
    wire("blueprints/<str:wire_id>/set-visibility", blueprints.BlueprintVisibility),
    wire("searches/blueprints", blueprints.BlueprintSearch),
    wire("deployments", deployments.DeploymentList),
    wire("deployments/<str:wire_id>", deployments.DeploymentDetail),
    wire("deployments/<str:wire_id>/capabilities", deployments.DeploymentCapabilities),
    wire("deployments/<str:wire_id>/outputs", deployments.DeploymentOutputs),
    wire("deployments/<str:wire_id>/set-site", deployments.DeploymentSite),
    wire("deployments/<str:wire_id>/set-visibility", deployments.DeploymentVisibility),
    wire("searches/deployments", deployments.DeploymentSearch),
    wire("workflows", workflows.Workflows),
    wire("searches/workflows", workflows.Workflows),
    wire("summary/<str:kind>", workflows.Summary),
    wire("executions", executions.ExecutionList),
    wire("executions/<str:wire_id>", executions.ExecutionDetail),
    wire("events", events.Events),
    wire("nodes", nodes.Nodes),
    wire("node-instances", nodes.NodeInstances),
    wire("node-instances/<str:wire_id>", nodes.NodeInstanceDetail),
    wire("sites", sites.SiteList),
    wire("sites/<str:name>", sites.SiteDetail),
    wire("secrets", secrets.SecretList),
    wire("searches/secrets", secrets.SecretSearch),
    wire("secrets/share/export", secret_share.SecretExport),
    wire("secrets/share/import", secret_share.SecretImport),
    wire("secrets/<str:key>", secrets.SecretDetail),
    wire("secrets/<str:key>/set-visibility", secrets.SecretVisibility),
    wire("labels/<str:kind>", vocabulary.LabelKeys),
    wire("labels/<str:kind>/<str:key>", vocabulary.LabelValues),
    wire("filters/<str:kind>", vocabulary.FilterList),
    wire("filters/<str:kind>/<str:name>", vocabulary.FilterDetail),
    wire("deployment-groups", installation.NoGroups),
    wire("execution-groups", installation.NoGroups),
    wire("execution-schedules", installation.NoGroups),
    wire("audit", trail.Audit),
    wire("tasks_graphs", graphs.TaskGraphs),
    wire("operations", graphs.Operations),
    wire("operations/<str:wire_id>", graphs.OperationDetail),
    wire("license-check", elsewhere.LicenseCheck),
    wire("snapshot-status", elsewhere.SnapshotStatus),
    wire("idp", elsewhere.IdentityProvider),
    wire("ldap", elsewhere.Ldap),
    *REFUSED,
    re_path(r"^.*$", NotThere.as_view()),
]
