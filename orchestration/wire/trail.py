"""The audit trail on the wire, in the shape of the audit service of genuine managers."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import AuditEntry
from accounts.reads import visible_audit
from orchestration.errors import bad_parameters
from orchestration.wire.elsewhere import Kept
from orchestration.wire.times import read_time

OPERATIONS = {"create": "create", "upload": "create", "start": "create", "delete": "delete", "revoke": "delete"}
SORTS = {"created_at": "at", "id": "id", "ref_table": "object_type", "operation": "action", "creator_name": "actor"}


class Audit(Kept):
    """GET /audit: who changed what, for the tenant's managers and system administrators."""

    needs = {"GET": "audit.view", "DELETE": "audit.view"}
    subject = "audit"
    resource = "audit_log"

    def get(self, request: Request) -> Response:
        query = request.query_params
        rows: QuerySet[AuditEntry] = visible_audit(self.user, self.tenant)
        if name := query.get("creator_name"):
            rows = rows.filter(actor=name)
        if text := query.get("since"):
            rows = rows.filter(at__gte=read_time(text, "since"))
        if text := query.get("before"):
            rows = rows.filter(at__lte=read_time(text, "before"))
        order = query.get("order_by") or "created_at"
        if order not in SORTS:
            raise bad_parameters(f"order_by must be one of: {', '.join(SORTS)}")
        rows = rows.order_by(f"{'-' if self.flag('desc') else ''}{SORTS[order]}", "id")
        size, offset = self.number("size", 1000), self.number("offset", 0)
        items = [told(row) for row in rows[offset : offset + size]]
        return Response(
            {"items": items, "metadata": {"pagination": {"offset": offset, "size": size, "total": rows.count()}}}
        )

    def number(self, name: str, default: int) -> int:
        """`size` and `offset` have no underscore here."""
        text = self.request.query_params.get(name) or str(default)
        if not text.isdigit():
            raise bad_parameters(f"{name}: `{text}` is not a whole number")
        return int(text)


def told(row: AuditEntry) -> dict[str, object]:
    """One entry."""
    return {
        "id": row.pk,
        "ref_table": row.object_type,
        "ref_id": row.object_id,
        "ref_identifier": {"id": row.object_name, "tenant_name": row.chain or None},
        "operation": OPERATIONS.get(row.action.rpartition(".")[2], "update"),
        "creator_name": row.actor,
        "execution_id": None,
        "created_at": row.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{row.at.microsecond // 1000:03d}",
    }
