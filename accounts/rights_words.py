"""The actions of accounts.roles as people read them, in groups."""

from __future__ import annotations

WORDS: dict[str, dict[str, str]] = {
    "Environments": {
        "environment.view": "See environments and their probes",
        "environment.change": "Expose, change and remove environments",
        "environment.probe": "Probe them now",
        "site.view": "See sites",
        "site.change": "Make, change and remove sites",
        "filter.view": "See saved filters",
        "filter.change": "Save, change and remove filters",
    },
    "Services": {
        "service.view": "See services and their versions",
        "service.change": "Add services and versions, remove them",
        "rollout.view": "See rollouts",
        "rollout.start": "Start, pause and cancel rollouts",
        "run.view": "See runs, steps and events",
        "run.control": "Pause, resume and cancel runs",
    },
    "Deployments": {
        "deployment.view": "See deployments, groups and schedules",
        "deployment.change": "Create, label, update and delete deployments",
        "blueprint.view": "See and download blueprints",
        "blueprint.change": "Upload, label and delete blueprints",
        "execution.view": "See executions, events and logs",
        "execution.start": "Start, cancel and resume workflows",
    },
    "Clusters": {
        "cluster.view": "See clusters and their health",
        "cluster.change": "Build, change and remove clusters",
    },
    "Secrets": {
        "secret.view": "See that secrets exist, never their values",
        "secret.change": "Store, replace and delete secrets",
        "secret.read_value": "Read values of blueprint secrets of others",
        "secret.see_hidden": "Read values that are hidden",
    },
    "Tenant": {
        "private.see": "See and change what others marked private",
        "membership.view": "See who has which role in the tenant",
        "audit.view": "See who changed what in the tenant",
    },
    "System administrators only": {
        "membership.change": "Give and take roles",
        "user.manage": "Manage users and groups",
        "tenant.manage": "Manage tenants",
        "permission.manage": "Change what roles may do",
        "global.create": "Make resources that every tenant sees",
        "installation.manage": "Manage this installation",
    },
}
