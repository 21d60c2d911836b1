"""Exposing a remote manager's tenant as an environment, changing and removing it; one form, saved and looked at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Unpack

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Secret, Tenant, Visibility
from inventory import names, probing, reuse
from inventory.connections import (
    ConnectionFields,
    Target,
    address_for,
    address_of,
    client_for,
    credential_of,
    opened,
    read_target,
)
from inventory.connectors.errors import ManagerError
from inventory.connectors.rungs import Climb
from inventory.credentials import (
    CredentialFields,
    Parts,
    change_credential,
    is_given,
    make_credential,
    read_parts,
)
from inventory.deployments import check_is_free, set_site
from inventory.editable import check_environment
from inventory.environment_words import told
from inventory.hiding import hide
from inventory.label_rules import Pair, normalise_all
from inventory.labels import set_labels
from inventory.making import find_site, make_environment
from inventory.minting import token_instead
from inventory.models import Cluster, Deployment, Environment, Site
from inventory.operations import ProbeEnvironment
from inventory.probing import probe
from inventory.reuse import note_sent
from inventory.sub_managers import find_or_make_manager, move_to, with_known_trust
from runs.engine import Child, add_children, advance, start_parent
from runs.models import Run

__all__ = [
    "address_of", "check_connection", "client_for", "credential_of", "expose", "hide", "probe", "probe_many",
    "test_connection", "update_environment",
]  # fmt: skip

MOST_AT_ONCE = 1000  # environments in one run of checks
SIDE_BY_SIDE = 64


class Fields(ConnectionFields, CredentialFields, total=False):
    """All that says where an environment is and who we are there."""


def expose(
    *,
    by: Actor,
    tenant: Tenant,
    name: str,
    display_name: str = "",
    site: Site | str | None = None,
    labels: list[Pair] | None = None,
    visibility: str = Visibility.TENANT,
    cluster: Cluster | None = None,
    is_looked_at: bool = True,
    **fields: Unpack[Fields],
) -> Environment:
    """Make a remote manager's tenant an environment, and look at it once. ValidationError by field; Conflict for a name in use.

    What cannot be reached is saved all the same, with its state and why. `cluster` is the one built here that answers there;
    `is_looked_at` is False where the caller sees to the first look.
    """
    target, parts = _check(by, tenant, name, fields, labels or [])
    place = find_site(by, tenant, site)
    with kept_parts(by, tenant, target, parts, fields) as kept, transaction.atomic():
        if Deployment.objects.filter(tenant=tenant, wire_id=name).exists():
            raise Conflict(
                f"{name} exists already in tenant {tenant.name}. Change that environment, or choose another name."
            )
        check_is_free(tenant, name, visibility)
        manager = find_or_make_manager(by=by, tenant=tenant, target=target)
        credential = make_credential(by=by, tenant=tenant, parts=kept, prefix=name)
        environment = make_environment(
            by=by, tenant=tenant, name=name, display_name=display_name, site=place, labels=labels or [],
            visibility=visibility, manager=manager, remote_tenant=target.remote_tenant, credential=credential,
            cluster=cluster,
        )  # fmt: skip
    if is_looked_at:
        probe(environment)
    return environment


def update_environment(
    *,
    by: Actor,
    environment: Environment,
    display_name: str | None = None,
    site: Site | str | None = None,
    is_site_given: bool = False,
    labels: list[Pair] | None = None,
    is_looked_at: bool = True,
    seen: str = "",
    **fields: Unpack[Fields],
) -> Environment:
    """Change what is named and look again; the rest stays. Other trust holds for every environment of that sub-manager.

    `seen` is the revision that was edited (accounts.revisions): Changed where it is another one by now.
    """
    tenant, manager = environment.deployment.tenant, environment.sub_manager
    known: dict[str, Any] = {
        name: getattr(manager, name)
        for name in ("endpoint", "protocol", "port", "trust", "ca_bundle", "fingerprint", "insecure_reason")
    }
    if "protocol" in fields and fields["protocol"] != manager.protocol and "port" not in fields:
        known["port"] = None  # that of the other protocol
    target = read_target(ConnectionFields(**(known | {"remote_tenant": environment.remote_tenant} | fields)))  # type: ignore[typeddict-item]
    given = read_parts(by, tenant, fields) if is_given(fields) else None
    with kept_parts(by, tenant, target, given or {}, fields) as kept, transaction.atomic():
        parts = kept or None
        check_environment(environment, seen, tenant)
        before = told(environment)
        move_to(by=by, environment=environment, target=target)
        if parts is not None:
            give_credential(by=by, environment=environment, parts=parts)
        if display_name is not None:
            environment.deployment.display_name = names.check_title(display_name, "display_name")
            environment.deployment.save(update_fields=["display_name"])
        after = told(environment)
        if before != after or parts is not None:
            after |= {"credential_changed": parts is not None}
            audit.record(by=by, action="environment.change", row=environment, tenant=tenant, before=before, after=after)
        if is_site_given or site is not None:
            set_site(by=by, deployment=environment.deployment, site=find_site(by, tenant, site))
        if labels is not None:
            set_labels(by=by, deployment=environment.deployment, labels=labels)
    if is_looked_at:
        probe(environment)
    return environment


def give_credential(*, by: Actor, environment: Environment, parts: Parts) -> None:
    """Its first credential, or other parts for the one it has."""
    prefix = environment.deployment.wire_id
    if environment.credential is not None:
        change_credential(by=by, credential=environment.credential, parts=parts, prefix=prefix)
        return
    made = make_credential(by=by, tenant=environment.deployment.tenant, parts=parts, prefix=prefix)
    environment.credential = made
    environment.save(update_fields=["credential"])


def check_connection(
    *, by: Actor, tenant: Tenant, environment: Environment | None = None, **fields: Unpack[Fields]
) -> Climb:
    """Climb the ladder with what a form holds; saves nothing. `environment` lends its credential where none is entered.

    That a stored secret was sent somewhere is in the audit trail.
    """
    target = read_target(fields)
    if environment is not None and not is_given(fields):
        note_sent(by, reuse.secrets_of(environment), target)
        credential = credential_of(environment)
    else:
        parts = read_parts(by, tenant, fields)
        note_sent(by, [part for part in parts.values() if isinstance(part, Secret)], target)
        try:
            credential = opened(**parts)
        except ManagerError as error:
            return probing.cannot_begin("credential", error.kind, error.message)
    return probing.climb_within(address_for(with_known_trust(tenant, target)), credential)


@contextmanager
def kept_parts(by: Actor, tenant: Tenant, target: Target, parts: Parts, fields: Fields) -> Iterator[Parts]:
    """What is kept of a credential: as it was entered, or the token that was made from it."""
    if not fields.get("mint_token"):
        yield parts
        return
    note_sent(by, [part for part in parts.values() if isinstance(part, Secret)], target)
    with token_instead(tenant, target, parts) as kept:
        yield kept


def test_connection(
    *, by: Actor, tenant: Tenant, environment: Environment | None = None, **fields: Unpack[Fields]
) -> list[dict[str, Any]]:
    """The rungs of the same climb, as a page shows them."""
    return probing.as_json(check_connection(by=by, tenant=tenant, environment=environment, **fields))


def probe_many(*, by: Actor, tenant: Tenant, environments: Sequence[Environment]) -> Run:
    """Look at many, side by side, as a run that can be watched; a child is failed where an environment cannot be worked on."""
    if not environments:
        raise ValidationError({"environments": "Choose at least one environment."})
    if len(environments) > MOST_AT_ONCE:
        raise ValidationError({"environments": f"Check at most {MOST_AT_ONCE} environments at once."})
    since = timezone.now().isoformat()
    title = f"Check {len(environments)} environment{'' if len(environments) == 1 else 's'}"
    children: list[Child] = [
        ([ProbeEnvironment(environment_id=each.pk, name=str(each), since=since)], f"Check {each}", "")
        for each in environments
    ]
    with transaction.atomic():
        run = start_parent(title=title, tenant=tenant, started_by=by.user, max_parallel=SIDE_BY_SIDE)
        add_children(run, children)
        asked = {"environments": [str(each) for each in environments]}
        audit.record(by=by, action="environment.probe", row=run, tenant=tenant, after=asked)
        advance(run)
    return run


def _check(by: Actor, tenant: Tenant, name: str, fields: Fields, labels: list[Pair]) -> tuple[Target, Parts]:
    """All that can be said about what was entered, at once."""
    faults: dict[str, list[str]] = {}
    target: Target | None = None
    parts: Parts = {}
    try:
        names.check_id(name, "name", begins_with_letter=False)
    except ValidationError as error:
        faults |= error.message_dict
    try:
        target = read_target(fields)
    except ValidationError as error:
        faults |= error.message_dict
    try:
        parts = read_parts(by, tenant, fields)
    except ValidationError as error:
        faults |= error.message_dict
    try:
        normalise_all(labels)
    except ValidationError as error:
        faults |= error.message_dict
    if faults or target is None:
        raise ValidationError(faults)
    return target, parts
