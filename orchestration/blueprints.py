"""Blueprints: uploaded, labelled, widened, removed; parsing one is an operation, what may be in an archive is in archives."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import audit
from accounts.actors import Actor
from accounts.models import Tenant, Visibility
from inventory.content import store as keep_archive
from inventory.deployments import check_visibility
from inventory.label_rules import Pair, normalise_all
from orchestration import executions
from orchestration.archives import ArchiveError
from orchestration.errors import Refused, bad_parameters, dependent_exists
from orchestration.fetching import FetchError, fetch_archive, readable
from orchestration.folders import unpack_bytes
from orchestration.identity import check_id
from orchestration.models import Blueprint, Execution

State = Blueprint.State
FAILED = frozenset({State.FAILED_UPLOADING, State.FAILED_EXTRACTING, State.FAILED_PARSING, State.INVALID})
BUSY = frozenset({State.PENDING, State.UPLOADING, State.EXTRACTING, State.PARSING})
DEFAULT_MAIN_FILE = "blueprint.yaml"


def upload(
    *,
    by: Actor,
    tenant: Tenant,
    wire_id: str,
    content: bytes = b"",
    url: str = "",
    file_name: str = "",
    main_file: str = "",
    visibility: str = Visibility.TENANT,
    labels: list[Pair] | None = None,
    is_validation: bool = False,
) -> tuple[Blueprint, Execution]:
    """Keep an archive and start the execution that parses it. A blueprint that failed is replaced; a good one is a conflict."""
    check_id(wire_id, "blueprint_id")
    check_visibility(by, visibility)
    if url and content:
        raise bad_parameters(
            "Can pass blueprint as only one of: URL via blueprint_archive_url, the request body, multi-form or chunked."
        )
    if not content and not url:
        raise bad_parameters(
            'Missing application archive in request body or "blueprint_archive_url" in query parameters'
        )
    pairs = normalise_all(labels or [])
    blueprint = Blueprint(
        tenant=tenant,
        wire_id=wire_id,
        main_file=main_file or DEFAULT_MAIN_FILE,
        state=State.UPLOADING,
        labels=stored_labels(pairs, by, []),
        visibility=visibility,
        is_hidden=is_validation,
        created_by=by.user,
    )
    content = usable(by, blueprint, content, url)
    with transaction.atomic():
        blueprint.archive = keep_archive(content, file_name or wire_id)
        save_new(by, blueprint)
        parameters = upload_parameters(blueprint, pairs, readable(url))
        execution = executions.start_upload(by=by, blueprint=blueprint, parameters=parameters)
        blueprint.upload_execution = str(execution.pk)
        blueprint.save(update_fields=["upload_execution"])
        audit.record(
            by=by,
            action="blueprint.upload",
            row=blueprint,
            tenant=tenant,
            after={"digest": blueprint.archive_id, "main_file": blueprint.main_file, "visibility": visibility}
            | ({"url": readable(url)} if url else {}),
        )
    return blueprint, execution


def usable(by: Actor, blueprint: Blueprint, content: bytes, url: str) -> bytes:
    """The archive, fetched where only its URL was sent; one that cannot be used leaves a row that says why."""
    try:
        if url:
            check_free(tenant=blueprint.tenant, wire_id=blueprint.wire_id, visibility=blueprint.visibility)
            content = fetch_archive(url)  # only now that its id is known to be free
        unpack_bytes(content)
    except FetchError as error:
        keep_refused(by, blueprint, str(error), readable(url))
        raise
    except ArchiveError as error:
        keep_refused(by, blueprint, str(error), readable(url))
        raise bad_parameters(str(error)) from None
    return content


def upload_parameters(blueprint: Blueprint, labels: list[Pair], url: str) -> dict[str, Any]:
    """What the upload execution shows that it was asked for."""
    return {
        "blueprint_id": blueprint.wire_id,
        "app_file_name": blueprint.main_file,
        "url": url or None,
        "validate_only": blueprint.is_hidden,
        "labels": [{"key": key, "value": value} for key, value in labels],
    }


def save_new(by: Actor, blueprint: Blueprint) -> None:
    """Insert the row; 409 where its id is taken."""
    for row in check_free(tenant=blueprint.tenant, wire_id=blueprint.wire_id, visibility=blueprint.visibility):
        row.delete()
    try:
        with transaction.atomic():
            blueprint.save(force_insert=True)
    except IntegrityError:
        raise taken(blueprint.wire_id, blueprint.tenant) from None


def keep_refused(by: Actor, blueprint: Blueprint, why: str, url: str) -> None:
    """A refused archive leaves a row that says why, and not its bytes; as genuine managers do."""
    if blueprint.is_hidden:
        return
    with transaction.atomic():
        blueprint.state, blueprint.error = State.FAILED_UPLOADING, why
        save_new(by, blueprint)
        execution = executions.keep_failed_upload(
            by=by, blueprint=blueprint, parameters=upload_parameters(blueprint, [], url), why=why
        )
        blueprint.upload_execution = str(execution.pk)
        blueprint.save(update_fields=["upload_execution"])
        audit.record(by=by, action="blueprint.upload", row=blueprint, tenant=blueprint.tenant, after={"refused": why})


def check_free(*, tenant: Tenant, wire_id: str, visibility: str) -> list[Blueprint]:
    """409 where the id is taken; otherwise what failed under it and may go."""
    rows = Blueprint.objects.filter(wire_id=wire_id)
    if visibility != Visibility.GLOBAL:
        rows = rows.filter(Q(tenant=tenant) | Q(visibility=Visibility.GLOBAL))
    found = list(rows.defer("plan"))
    if any(row.tenant_id != tenant.pk or row.state not in FAILED for row in found):
        raise taken(wire_id, tenant)
    return found


def taken(wire_id: str, tenant: Tenant) -> Refused:
    """409."""
    return Refused(
        409,
        "conflict_error",
        f"blueprint with id={wire_id} already exists on tenant {tenant.name} or with global visibility",
    )


def delete(*, by: Actor, blueprint: Blueprint, force: bool = False) -> None:
    """Remove a blueprint from which nothing is deployed; `force`: also one that is still being parsed."""
    with transaction.atomic():
        row = Blueprint.objects.select_for_update().defer("plan").get(pk=blueprint.pk)
        if row.state in BUSY and not force:
            raise Refused(
                400,
                "invalid_blueprint_error",
                f"Blueprint {row.wire_id} is still {row.state}: wait until it is uploaded or has failed.",
            )
        ids = list(row.deployments.order_by("pk").values_list("deployment__wire_id", flat=True)[:4])
        if ids:
            shown = ",".join(ids[:3]) + (",..." if len(ids) > 3 else "")
            raise dependent_exists(
                f"Can't delete blueprint {row.wire_id} - There exist deployments for this blueprint; Deployments ids: {shown}"
            )
        audit.record(by=by, action="blueprint.delete", row=row, tenant=row.tenant, before={"digest": row.archive_id})
        Execution.objects.filter(blueprint=row, local=None).delete()
        row.delete()


def set_labels(*, by: Actor, blueprint: Blueprint, labels: list[Pair]) -> None:
    """Replace all labels of a blueprint."""
    if blueprint.state != State.UPLOADED:
        raise Refused(
            409,
            "conflict_error",
            f"Blueprint {blueprint.wire_id} is {blueprint.state}: only an uploaded one takes labels.",
        )
    before = list(blueprint.labels)
    with transaction.atomic():
        blueprint.labels = stored_labels(normalise_all(labels), by, before)
        blueprint.updated_at = timezone.now()
        blueprint.save(update_fields=["labels", "updated_at"])
        audit.record(
            by=by,
            action="blueprint.set_labels",
            row=blueprint,
            tenant=blueprint.tenant,
            before={"labels": told(before)},
            after={"labels": told(blueprint.labels)},
        )


def describe(*, by: Actor, blueprint: Blueprint, description: str) -> None:
    """Give a blueprint other words for people."""
    before = {"description": blueprint.description}
    with transaction.atomic():
        blueprint.description = description
        blueprint.save(update_fields=["description"])
        audit.record(
            by=by,
            action="blueprint.describe",
            row=blueprint,
            tenant=blueprint.tenant,
            before=before,
            after={"description": description},
        )


def set_visibility(*, by: Actor, blueprint: Blueprint, visibility: str) -> None:
    """Widen who sees a blueprint."""
    check_visibility(by, visibility, blueprint.visibility)
    before = blueprint.visibility
    if (
        visibility == Visibility.GLOBAL
        and Blueprint.objects.filter(wire_id=blueprint.wire_id).exclude(pk=blueprint.pk).exists()
    ):
        raise Refused(
            409,
            "conflict_error",
            f"blueprint with id={blueprint.wire_id} exists on another tenant, and a global id must be the only one",
        )
    with transaction.atomic():
        blueprint.visibility = visibility
        blueprint.save(update_fields=["visibility"])
        audit.record(
            by=by,
            action="blueprint.set_visibility",
            row=blueprint,
            tenant=blueprint.tenant,
            before={"visibility": before},
            after={"visibility": visibility},
        )


def stored_labels(pairs: list[Pair], by: Actor, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Labels as the row keeps them; those that were there keep when and by whom they were set."""
    known = {(label["key"], label["value"]): label for label in before}
    now = timezone.now().isoformat()
    return [
        known.get(
            (key, value),
            {"key": key, "value": value, "created_at": now, "created_by": by.user.username if by.user else None},
        )
        for key, value in dict.fromkeys(pairs)
    ]


def told(labels: list[dict[str, Any]]) -> list[str]:
    """For the audit trail."""
    return [f"{label['key']}={label['value']}" for label in labels]
