"""Sub-managers: found by their address or made, trusted alike for all their environments, dropped with the last one."""

from __future__ import annotations

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant
from inventory.connections import Target
from inventory.models import Environment, SubManager


def with_known_trust(tenant: Tenant, target: Target) -> Target:
    """Where nothing was said of trust, that of the sub-manager as it is known counts."""
    if target.trust:
        return target
    known = _manager_at(tenant, target)
    if known is None:
        return target
    return Target(
        target.endpoint, target.protocol, target.port, target.remote_tenant, known.trust, known.ca_bundle, known.fingerprint,
        known.insecure_reason,
    )  # fmt: skip


def _manager_at(tenant: Tenant, target: Target) -> SubManager | None:
    return SubManager.objects.filter(
        tenant=tenant, endpoint=target.endpoint, protocol=target.protocol, port=target.port
    ).first()


def find_or_make_manager(*, by: Actor, tenant: Tenant, target: Target) -> SubManager:
    """The sub-manager at that address. Conflict where it is trusted otherwise and serves environments that count on that."""
    manager = _manager_at(tenant, target)
    if manager is None:
        manager = SubManager.objects.create(
            tenant=tenant, endpoint=target.endpoint, protocol=target.protocol, port=target.port, **target.trust_fields
        )
        audit.record(by=by, action="sub_manager.create", row=manager, tenant=tenant, after=audit.snapshot(manager))
    elif target.trust and not _is_trusted_so(manager, target):
        users = [str(each) for each in manager.environments.select_related("deployment")]
        if users:
            raise Conflict(
                f"{manager} is known here already, with trust “{manager.get_trust_display()}”, as {listed(users)}. "
                "Choose the same trust, or change it at that environment first."
            )
        _set_trust(by, manager, target)
    return manager


def move_to(*, by: Actor, environment: Environment, target: Target) -> None:
    """Bring an environment to this address, trust and remote tenant."""
    manager = environment.sub_manager
    if (target.endpoint, target.protocol, target.port) != (manager.endpoint, manager.protocol, manager.port):
        environment.sub_manager = find_or_make_manager(by=by, tenant=environment.deployment.tenant, target=target)
        environment.remote_tenant = target.remote_tenant
        environment.cluster = None  # what answers elsewhere is not that cluster's entrance
        environment.save(update_fields=["sub_manager", "remote_tenant", "cluster"])
        forget_unused(by=by, manager=manager)
        return
    if target.trust and not _is_trusted_so(manager, target):
        _set_trust(by, manager, target)
    if environment.remote_tenant != target.remote_tenant:
        environment.remote_tenant = target.remote_tenant
        environment.save(update_fields=["remote_tenant"])


def _is_trusted_so(manager: SubManager, target: Target) -> bool:
    return all(getattr(manager, field) == value for field, value in target.trust_fields.items())


def _set_trust(by: Actor, manager: SubManager, target: Target) -> None:
    before = audit.snapshot(manager)
    for field, value in target.trust_fields.items():
        setattr(manager, field, value)
    manager.save(update_fields=list(target.trust_fields))
    audit.record(
        by=by,
        action="sub_manager.change",
        row=manager,
        tenant=manager.tenant,
        before=before,
        after=audit.snapshot(manager),
    )


def forget_unused(*, by: Actor, manager: SubManager) -> None:
    """Drop a sub-manager of which nothing is exposed any more."""
    if not manager.environments.exists():
        audit.record(
            by=by, action="sub_manager.delete", row=manager, tenant=manager.tenant, before=audit.snapshot(manager)
        )
        manager.delete()


def set_limit(*, by: Actor, manager: SubManager, max_parallel: int) -> None:
    """How many targets may be worked on at once at this sub-manager; 0: no limit."""
    before = audit.snapshot(manager)
    manager.max_parallel = max_parallel
    manager.save(update_fields=["max_parallel"])
    audit.record(
        by=by,
        action="sub_manager.change",
        row=manager,
        tenant=manager.tenant,
        before=before,
        after=audit.snapshot(manager),
    )


def listed(names: list[str]) -> str:
    """Up to three names, and how many more."""
    return ", ".join(sorted(names)[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
