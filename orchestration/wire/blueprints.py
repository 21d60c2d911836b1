"""Blueprints on the wire."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from inventory import label_rules
from orchestration import blueprints, executions
from orchestration.blueprint_rules import matching, read_rules
from orchestration.downloads import archive_of
from orchestration.errors import Refused, bad_parameters, not_found
from orchestration.fetching import FetchError
from orchestration.filter_models import BlueprintFilter
from orchestration.models import Blueprint, Execution
from orchestration.wire.blueprint_shape import BLUEPRINT
from orchestration.wire.execution_shape import EXECUTION
from orchestration.wire.listing import find, listed, one
from orchestration.wire.uploads import PARSERS, Upload, read_upload
from orchestration.wire.views import WireView

SYNC_SECONDS = 120.0
FAILED_WORDS = {
    Blueprint.State.INVALID: "is invalid",
    Blueprint.State.FAILED_UPLOADING: "has failed uploading",
    Blueprint.State.FAILED_EXTRACTING: "has failed extracting",
    Blueprint.State.FAILED_PARSING: "has failed parsing",
}


class BlueprintView(WireView):
    """What all addresses of blueprints share."""

    resource = "blueprint"

    def rows(self) -> QuerySet[Blueprint]:
        """What the caller may see; those that are being validated are hidden."""
        return self.visible(Blueprint.objects.filter(is_hidden=False))

    def found(self, wire_id: str) -> Blueprint:
        """The blueprint, to be changed; 404, and 403 for another tenant's global one."""
        row = find(self.rows().select_related("tenant"), "Blueprint", wire_id)
        return self.in_own_tenant(row, "Blueprint")  # type: ignore[no-any-return]

    def chosen(self, rules: list[dict[str, Any]] | None) -> Response:
        """The list, with the rules of a saved filter and those of a body."""
        query = self.request.query_params
        wanted = list(rules or [])
        if name := query.get("_filter_id"):
            # Of one name this tenant's own, before a global one.
            saved = self.visible(BlueprintFilter.objects.filter(name=name)).select_related("tenant")
            found = sorted(saved, key=lambda row: row.tenant != self.tenant)
            if not found:
                raise not_found("BlueprintsFilter", name)
            wanted += found[0].rules
        rows = self.rows()
        kept = matching(rows, wanted) if wanted else rows
        return listed(kept, query, BLUEPRINT, filtered=rows.count() - kept.count() if wanted else None)

    def shown(self, row: Blueprint, status: int = 200) -> Response:
        """One blueprint as it is now."""
        fresh = Blueprint.objects.select_related("tenant", "created_by").get(pk=row.pk)
        return Response(BLUEPRINT.render(fresh), status=status)


class BlueprintList(BlueprintView):
    """GET /blueprints."""

    needs = {"GET": "blueprint.view"}

    def get(self, request: Request) -> Response:
        return self.chosen(None)


class BlueprintSearch(BlueprintView):
    """POST /searches/blueprints."""

    needs = {"POST": "blueprint.view"}

    def said(self, method: str | None) -> str:
        return "blueprint_list"

    def post(self, request: Request) -> Response:
        return self.chosen(read_rules(self.body()))


class BlueprintDetail(BlueprintView):
    """One blueprint: read, upload, label, delete."""

    needs = {
        "GET": "blueprint.view",
        "PUT": "blueprint.change",
        "PATCH": "blueprint.change",
        "DELETE": "blueprint.change",
    }

    def get_parsers(self) -> list[Any]:
        return [parser() for parser in PARSERS] if self.request_method() == "PUT" else super().get_parsers()

    def request_method(self) -> str:
        """The method, also before the framework has wrapped the request."""
        return str(getattr(getattr(self, "request", None), "method", "") or "")

    def said(self, method: str | None) -> str:
        return "blueprint_upload" if method == "PUT" else super().said(method)

    def get(self, request: Request, wire_id: str) -> Response:
        return one(self.rows(), request.query_params, BLUEPRINT, wire_id)

    def put(self, request: Request, wire_id: str) -> Response:
        return self.upload(wire_id, is_validation=False)

    def upload(self, wire_id: str, *, is_validation: bool) -> Response:
        """Take the archive; wait for its end unless `async_upload` is set."""
        sent = read_upload(self.request)
        try:
            row, execution = self.take(sent, wire_id, is_validation=is_validation)
        except FetchError as error:
            if sent.is_async and not is_validation:  # told by the row, as everything that goes wrong later
                return self.shown(self.rows().get(tenant=self.tenant, wire_id=wire_id), status=201)
            words = FAILED_WORDS[Blueprint.State.FAILED_UPLOADING]
            raise Refused(400, "invalid_blueprint_error", f"Blueprint `{wire_id}` {words}. Error: {error}") from None
        if sent.is_async:
            return self.shown(row, status=201) if not is_validation else self.validated(row, execution)
        executions.wait_for(execution, SYNC_SECONDS)
        if execution.state not in Execution.FINAL:
            raise Refused(
                500,
                "internal_server_error",
                f"Blueprint `{wire_id}` is not parsed after {SYNC_SECONDS:.0f} s; it will be: look at GET /blueprints/{wire_id}.",
            )
        if is_validation:
            return self.validated(row, execution)
        row.refresh_from_db(fields=["state", "error"])
        if row.state != Blueprint.State.UPLOADED:
            words = FAILED_WORDS.get(Blueprint.State(row.state), f"is {row.state}")
            raise Refused(400, "invalid_blueprint_error", f"Blueprint `{wire_id}` {words}. Error: {row.error}")
        return self.shown(row, status=201)

    def take(self, sent: Upload, wire_id: str, *, is_validation: bool) -> tuple[Blueprint, Execution]:
        """Keep what was sent, or what is found at its URL."""
        return blueprints.upload(
            by=self.actor,
            tenant=self.tenant,
            wire_id=wire_id,
            content=sent.content,
            url=sent.url,
            file_name=sent.file_name,
            main_file=sent.main_file,
            visibility=self.allowed_visibility(sent.visibility),
            labels=sent.labels,
            is_validation=is_validation,
        )

    def validated(self, row: Blueprint, execution: Execution) -> Response:
        """The record of a validation; it is gone when the validation has ended, and its execution says how."""
        if execution.state == Execution.State.FAILED:
            raise Refused(
                400, "invalid_blueprint_error", f"Blueprint `{row.wire_id}` is invalid. Error: {execution.error}"
            )
        shown = BLUEPRINT.render(row, [name for name in BLUEPRINT.fields if name != "upload_execution"])
        latest = Execution.objects.select_related("tenant", "created_by").get(pk=execution.pk)
        return Response({**shown, "state": "validating", "upload_execution": EXECUTION.render(latest)}, status=201)

    def patch(self, request: Request, wire_id: str) -> Response:
        row = self.found(wire_id)
        body = self.body()
        unknown = sorted(set(body) - {"labels", "creator", "created_at"})
        if body.get("creator"):
            raise bad_parameters("A blueprint stays its creator's: upload it again as the user who is to own it.")
        if unknown or "labels" not in body:
            raise bad_parameters(
                f"Only labels of a blueprint can be changed; not: {', '.join(unknown)}"
                if unknown
                else "Missing labels in json request body"
            )
        blueprints.set_labels(by=self.actor, blueprint=row, labels=label_rules.pairs_from_wire(body["labels"]))
        return self.shown(row)

    def delete(self, request: Request, wire_id: str) -> Response:
        blueprints.delete(by=self.actor, blueprint=self.found(wire_id), force=self.flag("force"))
        return Response(status=204)


class BlueprintValidate(BlueprintDetail):
    """PUT /blueprints/ID/validate: parsed, told, forgotten."""

    needs = {"PUT": "blueprint.change"}
    http_method_names = ["put"]

    def put(self, request: Request, wire_id: str) -> Response:
        return self.upload(wire_id, is_validation=True)


class BlueprintVisibility(BlueprintView):
    """PATCH /blueprints/ID/set-visibility."""

    needs = {"PATCH": "blueprint.change"}

    def patch(self, request: Request, wire_id: str) -> Response:
        row = self.found(wire_id)
        blueprints.set_visibility(
            by=self.actor, blueprint=row, visibility=self.visibility(("tenant", "global"), default=None)
        )
        return self.shown(row)


class BlueprintArchive(BlueprintView):
    """GET /blueprints/ID/archive: the bytes as they were uploaded."""

    needs = {"GET": "blueprint.view"}

    def said(self, method: str | None) -> str:
        return "blueprint_download"

    def get(self, request: Request, wire_id: str) -> Any:
        row = find(self.rows().defer("plan"), "Blueprint", wire_id)
        reply = archive_of(row)
        if reply is None:
            raise not_found("Blueprint archive", wire_id)
        return reply
