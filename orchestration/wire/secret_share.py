"""Secrets written out and taken in on the wire, in the file format of existing managers."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Secret
from accounts.secret_files import export_secrets, import_secrets
from orchestration.wire.listing import equal, search
from orchestration.wire.secrets import IN_LISTS, SecretView


class SecretExport(SecretView):
    """GET /secrets/share/export: a JSON list, each value sealed by `_passphrase` if there is one."""

    needs = {"GET": "secret.view"}

    def said(self, method: str | None) -> str:
        return "secret_export"

    def get(self, request: Request) -> Response:
        query = request.query_params
        rows = search(equal(self.rows(), query, IN_LISTS), query, IN_LISTS)
        rows = rows.filter(purpose=Secret.Purpose.BLUEPRINT).select_related("tenant", "created_by").order_by("name")
        return Response(export_secrets(by=self.actor, secrets=rows, passphrase=query.get("_passphrase") or ""))


class SecretImport(SecretView):
    """POST /secrets/share/import: each entry for itself; what was wrong with which is in the reply."""

    needs = {"POST": "secret.change"}

    def said(self, method: str | None) -> str:
        return "secret_import"

    def post(self, request: Request) -> Response:
        entries = self.required("secrets_list", list)
        imported = import_secrets(
            by=self.actor,
            user=self.user,
            entries=entries,
            tenants=self.optional("tenant_map", dict),
            passphrase=self.optional("passphrase", default=""),
            overrides=self.boolean("override_collisions"),
        )
        return Response({"colliding_secrets": imported.colliding, "secrets_errors": imported.errors})
