"""Addresses of /api/v3.1, without a slash at the end as its clients write them."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver, path, re_path

from orchestration.wire import (
    blueprints,
    cluster,
    deployment_groups,
    deployments,
    events,
    execution_groups,
    executions,
    installation,
    nodes,
    people,
    schedules,
    secrets,
    sites,
    trail,
    updates,
    vocabulary,
    workflows,
)
from orchestration.wire.views import NotThere

PREMIUM = (
    "license",
    "users",
    "users/<path:rest>",
    "user-groups",
    "user-groups/<path:rest>",
    "secrets-providers",
    "secrets-providers/<path:rest>",
    "tenants/<path:rest>",
)


def wire(address: str, view: Any) -> URLPattern:
    """One address."""
    pattern: URLPattern = path(address, view.as_view())
    return pattern


urlpatterns: list[URLPattern | URLResolver] = [
    wire("ok", installation.Ok),
    wire("version", installation.Version),
    wire("status", installation.Status),
    wire("cluster-status", cluster.ClusterStatus),
    wire("config", installation.Config),
    wire("config/<str:name>", installation.Config),
    wire("maintenance", installation.Maintenance),
    wire("managers", cluster.Managers),
    wire("brokers", cluster.Brokers),
    wire("db-nodes", cluster.DbNodes),
    wire("provider/context", installation.ProviderContext),
    wire("user", people.WhoAmI),
    wire("tenants", people.Tenants),
    wire("tokens", people.Tokens),
    wire("tokens/<str:wire_id>", people.Token),
    wire("blueprints", blueprints.BlueprintList),
    wire("blueprints/<str:wire_id>", blueprints.BlueprintDetail),
    wire("blueprints/<str:wire_id>/validate", blueprints.BlueprintValidate),
    wire("blueprints/<str:wire_id>/archive", blueprints.BlueprintArchive),
    wire("blueprints/<str:wire_id>/set-visibility", blueprints.BlueprintVisibility),
    wire("searches/blueprints", blueprints.BlueprintSearch),
    wire("plugins", installation.Plugins),
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
    wire("secrets/<str:key>", secrets.SecretDetail),
    wire("secrets/<str:key>/set-visibility", secrets.SecretVisibility),
    wire("labels/<str:kind>", vocabulary.LabelKeys),
    wire("labels/<str:kind>/<str:key>", vocabulary.LabelValues),
    wire("filters/<str:kind>", vocabulary.FilterList),
    wire("filters/<str:kind>/<str:name>", vocabulary.FilterDetail),
    wire("deployment-groups", deployment_groups.GroupList),
    wire("deployment-groups/<str:wire_id>", deployment_groups.GroupDetail),
    wire("deployment-updates", updates.UpdateList),
    wire("deployment-updates/<str:wire_id>", updates.UpdateDetail),
    wire("deployment-updates/<str:wire_id>/update/initiate", updates.UpdateInitiate),
    wire("execution-groups", execution_groups.ExecutionGroupList),
    wire("execution-groups/<str:wire_id>", execution_groups.ExecutionGroupDetail),
    wire("execution-schedules", schedules.ScheduleList),
    wire("execution-schedules/<str:wire_id>", schedules.ScheduleDetail),
    wire("audit", trail.Audit),
    *(wire(address, installation.Premium) for address in PREMIUM),
    re_path(r"^.*$", NotThere.as_view()),
]
