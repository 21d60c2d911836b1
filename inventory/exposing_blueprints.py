"""Exposing what a blueprint describes: a deployment whose capabilities say where a remote manager answers is an environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.models import Tenant
from inventory.capabilities import ENDPOINT, PORT, PROTOCOL, TENANT
from inventory.connections import ConnectionFields, Target, read_target
from inventory.credentials import CredentialFields, Parts, read_parts
from inventory.environment_words import told
from inventory.exposing import give_credential
from inventory.models import Deployment, Environment
from inventory.probing import probe
from inventory.sub_managers import find_or_make_manager, move_to

# Inputs or capabilities whose value is the name of a secret, as discovery and deploy-on blueprints call them.
NAMES = {
    "token": ("cloudify_secret_token", "cloudify_token_secret_name", "cloudify_manager_token_secret"),
    "username": ("cloudify_user_secret_name", "cloudify_username_secret_name", "cloudify_manager_username_secret"),
    "password": ("cloudify_password_secret_name", "cloudify_manager_password_secret"),
}
# Names that deploy-on blueprints take where none is given.
USUAL: tuple[CredentialFields, ...] = (
    {"token_secret": "admin_token"},
    {"token_secret": "cloudify_token"},
    {"username_secret": "cloudify_user", "password_secret": "cloudify_password"},
)


def describes_environment(capabilities: Mapping[str, Any]) -> bool:
    """Do these capabilities name a remote manager: endpoint, tenant, protocol and port?"""
    return all(name in capabilities for name in (ENDPOINT, TENANT, PORT, PROTOCOL))


def read_described(capabilities: Mapping[str, Any]) -> Target:
    """Where the capabilities say that the manager is; ValidationError under their names where that cannot be."""
    port = capabilities[PORT]
    if isinstance(port, bool) or not str(port).strip().isdecimal():
        raise ValidationError(
            {PORT: f"The port is a number such as 443 or 80, and {port!r} is none. Correct the input of the port."}
        )
    fields = ConnectionFields(
        endpoint=str(capabilities[ENDPOINT]),
        protocol=str(capabilities[PROTOCOL]).strip().lower(),
        port=int(str(port)),
        remote_tenant=str(capabilities[TENANT]),
    )
    try:
        return read_target(fields)
    except ValidationError as error:
        ours = {"endpoint": ENDPOINT, "protocol": PROTOCOL, "port": PORT, "remote_tenant": TENANT}
        raise ValidationError({ours.get(field, field): words for field, words in error.message_dict.items()}) from None


def expose_described(
    *, by: Actor, deployment: Deployment, capabilities: Mapping[str, Any], inputs: Mapping[str, Any], is_default: bool
) -> Environment:
    """Make a deployment the environment that it describes, or bring the environment that it is up to date; then look at it.

    The credential comes from the secrets that inputs or capabilities name, else from those of the usual names. `is_default`: the
    endpoint is the example of the blueprint's author, to whom no secret of a usual name is sent. Without any secret the
    environment is there and says what it lacks. ValidationError where the description cannot be.
    """
    target = read_described(capabilities)
    with transaction.atomic():
        environment = Environment.objects.select_for_update(of=("self",)).filter(deployment=deployment).first()
        if environment is None:
            environment = _create(by, deployment, target)
        else:
            move_to(by=by, environment=environment, target=target)
        if environment.credential is None:
            parts = find_parts(by, deployment.tenant, {**inputs, **capabilities}, may_guess=not is_default)
            if parts:
                give_credential(by=by, environment=environment, parts=parts)
    probe(environment)
    return environment


def _create(by: Actor, deployment: Deployment, target: Target) -> Environment:
    manager = find_or_make_manager(by=by, tenant=deployment.tenant, target=target)
    environment = Environment.objects.create(
        deployment=deployment, sub_manager=manager, remote_tenant=target.remote_tenant, credential=None
    )
    audit.record(by=by, action="environment.create", row=environment, tenant=deployment.tenant, after=told(environment))
    return environment


def find_parts(by: Actor, tenant: Tenant, values: Mapping[str, Any], *, may_guess: bool) -> Parts:
    """The stored secrets to log in with; {} where there are none. ValidationError where one is named that may not be used."""
    named: CredentialFields = {}
    for part, names in NAMES.items():
        chosen = next((str(values[name]) for name in names if values.get(name)), "")
        if chosen:
            named[f"{part}_secret"] = chosen  # type: ignore[literal-required]
    if named.get("token_secret"):  # a blueprint for either has all three
        named = {"token_secret": named["token_secret"]}
    if named:
        return read_parts(by, tenant, named)
    for usual in USUAL if may_guess else ():
        try:
            return read_parts(by, tenant, usual)
        except ValidationError:
            continue
    return {}
