"""The administrator of a built cluster: given another password there, which is then kept here in place of the old one."""

from __future__ import annotations

import contextlib

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts import audit, secrets
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import User
from installs.entrance import ADMINISTRATOR, PATIENCE, password_of, where_of, words_of
from inventory.cluster_secrets import keep_secret
from inventory.connections import address_for, opened, read_target
from inventory.connectors.address import Address
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import policy_from_settings
from inventory.connectors.portal import PortalClient
from inventory.models import Cluster

LONGEST = 256
_SERVES = (Cluster.State.READY, Cluster.State.DEGRADED)


def set_administrator_password(*, by: Actor, cluster: Cluster, password: str) -> None:
    """Change the password of `admin` at the cluster and keep it. A password that holds there already is just kept.

    ValidationError for one that is too weak; Conflict, with what to do, where the cluster does not take it.
    """
    _check(password)
    if cluster.state not in _SERVES:
        raise Conflict(
            f"{cluster} is {cluster.get_state_display().lower()}: its administrator can be given a password once it serves."
        )
    secret = password_of(cluster)
    address = address_for(read_target(where_of(cluster)))
    audit.record(by=by, action="secret.send", row=secret, tenant=secret.tenant, after={"to": address.where})
    try:
        _change_there(address, secrets.reveal(secret), password)
    except ManagerError as error:
        if not (error.is_unknown or error.status == 401) or not _opens(address, password):
            raise Conflict(f"The password is as it was. {words_of(error, address.where)}") from None
    keep_secret(by=by, cluster=cluster, purpose=ADMINISTRATOR, value=password)
    audit.record(by=by, action="cluster.set_password", row=cluster, tenant=cluster.tenant)


def _check(password: str) -> None:
    """By the rules that it will meet there."""
    try:
        validate_password(password, User(username=ADMINISTRATOR))
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from None
    if len(password) > LONGEST:
        raise ValidationError({"password": f"Use at most {LONGEST} characters."})


def _change_there(address: Address, old: str, new: str) -> None:
    """By a token of a minute, which is all that its API takes."""
    policy = policy_from_settings()
    credential = opened(username=ADMINISTRATOR, password=old)
    with ManagerClient(address, credential, policy, PATIENCE) as client:
        token = client.mint_token("DeployOn: a new password", "+1 min")
    with PortalClient(address, token.value, policy, PATIENCE) as portal:
        portal.change_password(old, new)
    with contextlib.suppress(ManagerError):  # it ends by itself
        with ManagerClient(address, opened(username=ADMINISTRATOR, password=new), policy, PATIENCE) as client:
            client.revoke_token(token.id)


def _opens(address: Address, password: str) -> bool:
    """Does it hold there already? So it does where the answer to the change was lost, or somebody changed it there."""
    credential = opened(username=ADMINISTRATOR, password=password)
    try:
        with ManagerClient(address, credential, policy_from_settings(), PATIENCE) as client:
            client.whoami()
    except ManagerError as error:
        if error.kind == ErrorKind.CREDENTIAL:
            return False
        raise Conflict(
            f"Nobody knows whether {address.where} took the password: it does not answer now. Set the same again later."
        ) from None
    return True
