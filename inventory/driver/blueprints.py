"""The blueprint of a service at a target: push it under an id that carries its digest, or find it present."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import BinaryIO

from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.resources import Blueprint
from inventory.driver.results import Done, NotYet
from inventory.driver.waiting import poll_delay, unknown

SEND_FIRST_BYTES = 256 * 1024
"""Up to this size it is cheaper to send an archive that is there already than to ask first each time."""


def remote_blueprint_id(name: str, digest: str) -> str:
    """`<name>-<digest12>`: the same id for the same content everywhere, another for any other content."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "service"
    if not safe[0].isalpha():
        safe = "s-" + safe  # the wire wants a letter first
    return f"{safe[:200]}-{digest[:12]}"


def ensure_blueprint(
    client: ManagerClient,
    name: str,
    digest: str,
    archive_opener: Callable[[], BinaryIO],
    main_file: str,
    *,
    looks: int = 0,
) -> Done | NotYet:
    """Bring the archive there. `looks` counts the earlier looks of this attempt: the first sends, the others ask.

    Requests: 1 a look; 2 where the first finds the id taken. Raises `input` with the manager's words where it does not parse.
    """
    return push_blueprint(client, remote_blueprint_id(name, digest), archive_opener, main_file, looks=looks)


def push_blueprint(
    client: ManagerClient,
    blueprint_id: str,
    archive_opener: Callable[[], BinaryIO],
    main_file: str,
    *,
    looks: int = 0,
) -> Done | NotYet:
    """The same under an id of the caller's; what is there under it already is taken as it is, and the answer is not `is_new`."""
    try:
        with archive_opener() as archive:
            if looks or archive.seek(0, os.SEEK_END) > SEND_FIRST_BYTES:
                found = _find(client, blueprint_id)
                if found is not None and not (found.has_failed and not looks):
                    return _judge(found, looks)
            return _judge(client.upload_blueprint(blueprint_id, archive, main_file), looks, is_ours=True)
    except ManagerError as error:
        if error.is_unknown:
            return unknown("the blueprint", error, looks)
        if error.kind is not ErrorKind.CONFLICT:
            raise
    return _judge(client.blueprint(blueprint_id), looks)


def check_blueprint(client: ManagerClient, blueprint_id: str) -> Done | NotYet:
    """The blueprint must be there already: nothing is sent. Raises `gone` where it is missing. 1 request."""
    found = _find(client, blueprint_id)
    if found is None:
        raise ManagerError(
            ErrorKind.GONE,
            f"The blueprint {blueprint_id} is not present at {client.address.where} in tenant {client.address.tenant}, and this "
            "service does not push one. Upload it there, or let the service push its archive.",
        )
    return _judge(found, 0)


def _find(client: ManagerClient, blueprint_id: str) -> Blueprint | None:
    try:
        return client.blueprint(blueprint_id)
    except ManagerError as error:
        if error.kind is ErrorKind.GONE:
            return None
        raise


def _judge(found: Blueprint, looks: int, *, is_ours: bool = False) -> Done | NotYet:
    if found.is_uploaded:
        return Done(found.id, is_new=is_ours)
    if found.has_failed:
        raise ManagerError(
            ErrorKind.INPUT,
            f"The manager does not accept the blueprint ({found.state}): {found.error or 'no reason given'}. Correct the "
            "blueprint, and upload it to the service as a new version.",
        )
    return NotYet(f"The manager is unpacking the blueprint ({found.state}).", poll_delay(looks), status=found.state)
