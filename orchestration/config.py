"""The configuration that v3.1 shows: limits of uploads, retries of workflows, and who may do what. It is read-only there."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from accounts.models import SystemRole, TenantRole
from accounts.roles import OPEN_ACTIONS, read_rights

# What workflows read: as genuine managers have it.
WORKFLOW = {
    "task_retries": 60,
    "task_retry_interval": 15,
    "subgraph_retries": 0,
    "max_workflow_threads": 8,
    "blueprint_folder_max_files": 10_000,
}


def items_of(scope: str | None = None) -> list[dict[str, Any]]:
    """[{"name", "value", "scope", ...}] of one scope, or of all."""
    rest = {
        "blueprint_folder_max_size_mb": settings.ARCHIVE_MAX_BYTES // 1_000_000,
        "blueprint_folder_max_files": WORKFLOW["blueprint_folder_max_files"],
        "default_page_size": 1000,
    }
    workflow = {name: value for name, value in WORKFLOW.items() if name != "blueprint_folder_max_files"}
    scopes = {"rest": rest, "workflow": workflow}
    return [
        {
            "name": name,
            "value": value,
            "schema": {"type": "integer"},
            "is_editable": False,
            "admin_only": False,
            "updated_at": None,
            "scope": one,
            "updater_name": None,
        }
        for one, values in scopes.items()
        if scope in (None, one)
        for name, value in values.items()
    ]


def authorization() -> dict[str, Any]:
    """{"roles": [...], "permissions": {action: [roles]}}: what decides everywhere, as it is now."""
    roles = [{"name": str(role.value), "type": "system_role", "description": str(role.label)} for role in SystemRole]
    roles += [{"name": str(role.value), "type": "tenant_role", "description": str(role.label)} for role in TenantRole]
    everybody = [role["name"] for role in roles]
    permissions = dict.fromkeys(sorted(OPEN_ACTIONS), everybody)
    for action, allowed in sorted(read_rights().items()):
        permissions[action] = [str(SystemRole.SYS_ADMIN.value), *sorted(str(role.value) for role in allowed)]
    return {"roles": roles, "permissions": permissions}
