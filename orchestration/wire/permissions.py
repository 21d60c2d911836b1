"""Permissions on v3.1: this portal's own actions and the roles that may; system administrators change that."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import rights
from accounts.roles import ACTIONS, OPEN_ACTIONS
from orchestration.config import authorization
from orchestration.errors import Refused
from orchestration.wire.installation import OpenView
from orchestration.wire.listing import envelope, read_page
from orchestration.wire.views import WireView


class Permissions(OpenView):
    """GET /permissions and /permissions/ROLE."""

    def get(self, request: Request, role: str = "") -> Response:
        table = authorization()
        known = [one["name"] for one in table["roles"]]
        if role and role not in known:
            raise Refused(404, "not_found_error", f"There is no role `{role}`. Roles: {', '.join(known)}")
        rows = [
            {"role": name, "permission": action}
            for action in sorted({*ACTIONS, *OPEN_ACTIONS})
            for name in table["permissions"][action]
            if role in ("", name)
        ]
        page = read_page(request.GET)
        return envelope(page.cut(rows), len(rows), page)


class Permission(WireView):
    """PUT and DELETE /permissions/ROLE/PERMISSION: allow and disallow, from now on, in every process."""

    needs = dict.fromkeys(("PUT", "DELETE"), "permission.manage")
    has_tenant = False
    resource = "permission"

    def put(self, request: Request, role: str, name: str) -> Response:
        """Allow; once more changes nothing."""
        self.change(role, name, is_allowed=True)
        return Response({"role": role, "permission": name})

    def delete(self, request: Request, role: str, name: str) -> Response:
        """Disallow; once more changes nothing."""
        self.change(role, name, is_allowed=False)
        return Response(status=204)

    def change(self, role: str, name: str, *, is_allowed: bool) -> None:
        """One answer; 404 for what is not there, 400 with the reason for what stays as it is."""
        try:
            cell = rights.read_cell(role, name)
        except ValidationError as error:
            words = " ".join(error.messages)
            if words.startswith("There is no"):
                raise Refused(404, "not_found_error", words) from None
            raise Refused(400, "illegal_action_error", words) from None
        rights.change_rights(by=self.actor, wanted={cell: is_allowed})
