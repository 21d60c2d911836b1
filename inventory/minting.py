"""From a user and a password to a token of that user at the remote manager: what is kept then opens less, and can be revoked there alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings
from django.core.exceptions import ValidationError

from accounts.models import Tenant
from inventory.connections import Target, address_for, opened
from inventory.connectors.address import Address, Credential, Timeouts
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import policy_from_settings
from inventory.credentials import Parts
from inventory.sub_managers import with_known_trust


@contextmanager
def minted(address: Address, credential: Credential, timeouts: Timeouts | None = None) -> Iterator[str]:
    """A new token there, revoked again where what it was made for fails. ManagerError where none can be made."""
    with ManagerClient(address, credential, policy_from_settings(), timeouts) as client:
        token = client.mint_token(f"DeployOn {settings.PUBLIC_URL}")
        try:
            yield token.value
        except BaseException:
            with suppress(ManagerError):
                client.revoke_token(token.id)
            raise


@contextmanager
def token_instead(tenant: Tenant, target: Target, parts: Parts) -> Iterator[Parts]:
    """These parts with a token in place of user and password; ValidationError in words where the manager gives none."""
    if "password" not in parts:
        raise ValidationError(
            {"mint_token": "A token is made from a user and a password. Enter both, or leave this out."}
        )
    made = False
    try:
        with minted(address_for(with_known_trust(tenant, target)), opened(**parts)) as value:
            made = True
            yield {"token": value}
    except ManagerError as error:
        if made:
            raise
        field = "password" if error.kind is ErrorKind.CREDENTIAL else "mint_token"
        raise ValidationError(
            {field: f"No token could be made there, and nothing was saved. {error.message} Or keep user and password."}
        ) from None
