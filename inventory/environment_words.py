"""What the audit trail keeps of an environment."""

from __future__ import annotations

from typing import Any

from inventory.models import Environment


def told(environment: Environment) -> dict[str, Any]:
    """Where it is and what it is called; nothing of its credential."""
    return {
        "name": environment.deployment.wire_id,
        "display_name": environment.deployment.display_name,
        "sub_manager": str(environment.sub_manager),
        "remote_tenant": environment.remote_tenant,
        "site": environment.deployment.site.name if environment.deployment.site else None,
        "visibility": environment.deployment.visibility,
    }
