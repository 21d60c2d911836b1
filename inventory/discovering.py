"""Every tenant that a credential sees at one remote manager: which are exposed here already, and exposing those that are wanted."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Unpack

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Secret, Tenant, Visibility
from inventory import names
from inventory.connections import Target, address_for, opened, read_target
from inventory.connectors.address import Address, Timeouts
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.ladder import SUFFICIENT_ROLES
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import policy_from_settings
from inventory.connectors.replies import Whoami
from inventory.credentials import Parts, make_credential, read_parts
from inventory.exposing import Fields, kept_parts, probe_many
from inventory.label_rules import Pair, normalise_all
from inventory.making import find_site, make_environment
from inventory.models import Deployment, Environment, Site, SubManager
from inventory.reuse import note_sent
from inventory.sub_managers import find_or_make_manager, listed, with_known_trust
from runs.models import Run

USUAL_NAME = "{endpoint}-{tenant}"
PLACEHOLDERS = ("{tenant}", "{endpoint}")
MOST = 1000  # tenants exposed at once
_QUICK = Timeouts(connect=3.0, read=8.0)  # somebody waits


@dataclasses.dataclass(frozen=True)
class TenantThere:
    """One tenant of the remote manager, as the credential sees it."""

    name: str
    roles: tuple[str, ...]  # of ours there; empty as well where the manager does not tell
    environments: tuple[str, ...] = ()  # that are this tenant here already
    fault: str = ""  # why services could not be put there

    @property
    def is_free(self) -> bool:
        """It can be exposed, and is not yet."""
        return not self.environments and not self.fault


@dataclasses.dataclass(frozen=True)
class Discovery:
    """What was found at one endpoint."""

    target: Target
    username: str
    tenants: tuple[TenantThere, ...]


@dataclasses.dataclass(frozen=True)
class Exposed:
    """What became of the tenants that were asked for; `run` looks at what was made."""

    made: tuple[Environment, ...]
    skipped: tuple[str, ...]  # tenants that are environments here already
    run: Run | None


def discover_tenants(*, by: Actor, tenant: Tenant, **fields: Unpack[Fields]) -> Discovery:
    """Ask the manager; saves nothing. ValidationError by field, also for what the manager refuses.

    That a stored secret was sent there is in the audit trail.
    """
    target, parts = _read(by, tenant, fields)
    note_sent(by, [part for part in parts.values() if isinstance(part, Secret)], target)
    try:
        with ManagerClient(
            address_for(with_known_trust(tenant, target)), opened(**parts), policy_from_settings(), _QUICK
        ) as client:
            whoami = client.whoami()
            seen = _names_seen(client, whoami)
    except ManagerError as error:
        part = "token" if "token" in parts else "password"
        field = part if error.kind is ErrorKind.CREDENTIAL else "endpoint"
        raise ValidationError({field: error.message}) from None
    present = _present(tenant, target)
    found = tuple(_judged(name, whoami, tuple(present.get(name, ()))) for name in seen)
    return Discovery(target, whoami.username, found)


def expose_tenants(
    *,
    by: Actor,
    tenant: Tenant,
    remote_tenants: Sequence[str],
    name_template: str = USUAL_NAME,
    site: Site | str | None = None,
    labels: list[Pair] | None = None,
    visibility: str = Visibility.TENANT,
    **fields: Unpack[Fields],
) -> Exposed:
    """One environment per tenant asked for, all with the one credential; those that are exposed already are left alone.

    ValidationError by field; Conflict where names are taken. All are made or none.
    """
    _check_wanted(remote_tenants, name_template)
    pairs = normalise_all(labels or [])
    place = find_site(by, tenant, site)
    found = discover_tenants(by=by, tenant=tenant, **fields)
    _check_offered(found, remote_tenants)
    parts = read_parts(by, tenant, fields)
    skipped = _already(tenant, found.target, remote_tenants)
    if len(skipped) == len(set(remote_tenants)):
        return Exposed((), tuple(skipped), None)
    with kept_parts(by, tenant, found.target, parts, fields) as kept, transaction.atomic():
        manager = find_or_make_manager(by=by, tenant=tenant, target=found.target)
        SubManager.objects.select_for_update().get(pk=manager.pk)  # whoever does the same now waits, and finds these
        skipped = _already(tenant, found.target, remote_tenants)
        wanted = [name for name in dict.fromkeys(remote_tenants) if name not in skipped]
        named = _named(tenant, wanted, name_template, found.target)
        prefix = names.suggest_id(found.target.endpoint) or "manager"
        credential = make_credential(by=by, tenant=tenant, parts=kept, prefix=prefix) if named else None
        made = [
            make_environment(
                by=by, tenant=tenant, name=name, manager=manager, remote_tenant=remote_tenant, credential=credential,
                site=place, labels=pairs, visibility=visibility,
            )
            for remote_tenant, name in named.items()
        ]  # fmt: skip
    run = probe_many(by=by, tenant=tenant, environments=made) if made else None
    return Exposed(tuple(made), tuple(skipped), run)


def _read(by: Actor, tenant: Tenant, fields: Fields) -> tuple[Target, Parts]:
    """Where, and who we are there; the tenant that is entered is one that every manager has."""
    faults: dict[str, list[str]] = {}
    target, parts = None, Parts()
    try:
        target = read_target(Fields(**(fields | {"remote_tenant": Tenant.DEFAULT})))
    except ValidationError as error:
        faults |= error.message_dict
    try:
        parts = read_parts(by, tenant, fields)
    except ValidationError as error:
        faults |= error.message_dict
    if faults or target is None:
        raise ValidationError(faults)
    return target, parts


def _names_seen(client: ManagerClient, whoami: Whoami) -> list[str]:
    """What the manager lists, and where it says that we have a role; editions without a list of tenants tell the latter alone."""
    ours = set(whoami.roles or ())
    try:
        return sorted(ours | set(client.tenants()))
    except ManagerError as error:
        if not ours or error.kind in (ErrorKind.UNREACHABLE, ErrorKind.BUSY):
            raise
        return sorted(ours)


def _judged(name: str, whoami: Whoami, environments: tuple[str, ...]) -> TenantThere:
    roles = whoami.roles_in(name)
    shown = tuple(sorted((roles or frozenset()) - {"default"}))
    try:
        Address("localhost", tenant=name)
    except ValueError as error:
        return TenantThere(name, shown, environments, str(error))
    if roles is not None and not roles & SUFFICIENT_ROLES:
        fault = f"{', '.join(shown) or 'No role'} there: too little to deploy. Have it given the role user or manager."
        return TenantThere(name, shown, environments, fault)
    return TenantThere(name, shown, environments)


def _present(tenant: Tenant, target: Target) -> dict[str, list[str]]:
    """Remote tenant -> names of the environments of this tenant that are it."""
    rows = Environment.objects.filter(
        deployment__tenant=tenant,
        sub_manager__endpoint=target.endpoint,
        sub_manager__protocol=target.protocol,
        sub_manager__port=target.port,
    )
    found: dict[str, list[str]] = {}
    for remote_tenant, name in rows.order_by("deployment__wire_id").values_list("remote_tenant", "deployment__wire_id"):
        found.setdefault(remote_tenant, []).append(name)
    return found


def _already(tenant: Tenant, target: Target, remote_tenants: Sequence[str]) -> list[str]:
    return sorted(set(remote_tenants) & _present(tenant, target).keys())


def _check_wanted(remote_tenants: Sequence[str], name_template: str) -> None:
    faults: dict[str, str] = {}
    if not remote_tenants:
        faults["tenants"] = "Choose at least one tenant."
    elif len(remote_tenants) > MOST:
        faults["tenants"] = f"Expose at most {MOST} tenants at once."
    if "{tenant}" not in name_template:
        faults["name_template"] = (
            "The names must differ: write {tenant} where the tenant's name goes, as in plant-{tenant}."
        )
    if faults:
        raise ValidationError(faults)


def _check_offered(found: Discovery, remote_tenants: Sequence[str]) -> None:
    there = {each.name: each for each in found.tenants}
    missing = [name for name in remote_tenants if name not in there]
    if missing:
        raise ValidationError(
            {"tenants": f"{found.username} sees no tenant {listed(missing)} there. Look for tenants again."}
        )
    barred = [each for name in remote_tenants if (each := there[name]).fault and not each.environments]
    if barred:
        raise ValidationError({"tenants": [f"{each.name}: {each.fault}" for each in barred[:5]]})


def _named(tenant: Tenant, wanted: Sequence[str], template: str, target: Target) -> dict[str, str]:
    """Remote tenant -> the environment's name. ValidationError for a name that cannot be, Conflict for those that are taken."""
    endpoint = names.suggest_id(target.endpoint, begins_with_letter=False)
    named = {
        each: template.replace("{endpoint}", endpoint).replace(
            "{tenant}", names.suggest_id(each, begins_with_letter=False)
        )
        for each in wanted
    }
    for name in named.values():
        names.check_id(name, "name_template", begins_with_letter=False)
    twice = [name for name, count in Counter(named.values()).items() if count > 1]
    owned = Q(tenant=tenant) | Q(visibility=Visibility.GLOBAL)
    taken = Deployment.objects.filter(owned, wire_id__in=named.values()).values_list("wire_id", flat=True)
    in_the_way = sorted({*twice, *taken})
    if in_the_way:
        raise Conflict(
            f"Nothing was made: {listed(in_the_way)} exist{'s' if len(in_the_way) == 1 else ''} already in tenant "
            f"{tenant.name}, or would twice. Choose another pattern for the names."
        )
    return named
