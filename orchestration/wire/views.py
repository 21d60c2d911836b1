"""The base of all views of v3.1: who calls, in which tenant, whether it is allowed, and in what words it is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.views.decorators.gzip import gzip_page
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import Actor, actor_of
from accounts.models import Tenant, User
from accounts.roles import OPEN_ACTIONS, may, tenants_of
from inventory.querysets import visible
from orchestration.errors import Refused, bad_parameters, forbidden
from orchestration.wire import replies
from orchestration.wire.authentication import WireAuthentication
from orchestration.wire.plain import WireRenderer
from orchestration.wire.shapes import read_bool

VERBS = {"GET": "get", "HEAD": "get", "PUT": "create", "POST": "create", "PATCH": "update", "DELETE": "delete"}


class MayOnWire(BasePermission):
    """`needs` of the view as everywhere, refused in the words of v3.1."""

    def has_permission(self, request: Request, view: Any) -> bool:
        needed = view.needed(request.method)
        if needed is None or needed == "" or needed in OPEN_ACTIONS:
            return True
        tenants = view.tenants_to_look_in() or [None]  # None: what a person may without any tenant
        if not any(may(request.user, needed, tenant) for tenant in tenants):
            raise forbidden(
                f"User `{request.user}` is not permitted to perform the action "
                f"{view.said(request.method)} in the tenant `{view.chosen_tenant or ''}`"
            )
        return True


class WireView(APIView):
    """One address of v3.1. `needs`: {HTTP method: action of accounts.roles}; "" needs no login."""

    authentication_classes = [WireAuthentication]
    permission_classes = [MayOnWire]
    parser_classes = [JSONParser]
    renderer_classes = [WireRenderer]
    schema = None
    needs: ClassVar[dict[str, str]] = {}
    resource: ClassVar[str] = ""  # as in the names of genuine permissions: deployment_list
    has_tenant: ClassVar[bool] = True  # False: works without a `Tenant` header

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view: Any = gzip_page(super().as_view(**initkwargs))
        view.needs = cls.needs
        return view

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return replies.handle

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        renderer = self.get_renderers()[0]  # whatever the client says that it accepts
        return renderer, renderer.media_type

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.chosen_tenant: Tenant | None = None
        needed = self.needed(request.method)
        if needed is None:
            self.http_method_not_allowed(request)
        if needed == "":
            return
        if not isinstance(request.user, User):
            raise Refused(401, "unauthorized_error", "User unauthorized: No authentication info provided")
        name = request.headers.get("Tenant", "")
        if name:
            self.chosen_tenant = self.tenant_named(name)
        elif self.has_tenant and needed not in OPEN_ACTIONS:
            raise forbidden("Authorization failed: tenant not provided")
        super().initial(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        user = getattr(request, "_user", None)
        if isinstance(user, User):
            response["X-Cloudify-Audit-Username"] = user.username
            response["X-Cloudify-Audit-Auth-Method"] = "token" if request.auth else "basic"
        if tenant := getattr(self, "chosen_tenant", None):
            response["X-Cloudify-Audit-Tenant"] = tenant.name
        return response

    # --- what the methods of the subclasses use ---

    @classmethod
    def needed(cls, method: str | None) -> str | None:
        """The action that a method needs; None for a method that is not served."""
        method = "GET" if method == "HEAD" else method or "GET"
        return cls.needs.get(method) if method != "OPTIONS" else ""

    def said(self, method: str | None) -> str:
        """The genuine name of the permission, for messages: deployment_list."""
        is_list = method in ("GET", "HEAD") and not self.kwargs
        return f"{self.resource}_{'list' if is_list else VERBS.get(method or 'GET', 'get')}"

    def tenant_named(self, name: str) -> Tenant:
        """The tenant of the header; 403, as genuine, where there is none of this name."""
        tenant = Tenant.objects.filter(name=name).first()
        if tenant is None:
            raise forbidden(f"Authorization failed: Tried to authenticate with invalid tenant name: {name}")
        return tenant

    @property
    def tenant(self) -> Tenant:
        """The tenant of this request."""
        assert self.chosen_tenant is not None
        return self.chosen_tenant

    @property
    def user(self) -> User:
        """Who calls."""
        user = self.request.user
        assert isinstance(user, User)
        return user

    @property
    def actor(self) -> Actor:
        """Who calls and how, for services and the audit trail."""
        return actor_of(self.request, via="v3.1")

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean of the query."""
        text = self.request.query_params.get(name)
        return default if text in (None, "") else read_bool(str(text), name)

    def tenants_to_look_in(self) -> list[Tenant]:
        """The tenant of the request; with `_all_tenants=true` all tenants in which the user may do this."""
        if not hasattr(self, "_tenants"):
            if self.request.method in ("GET", "POST") and self.flag("_all_tenants"):
                needed = self.needed(self.request.method) or "installation.view"
                self._tenants = [tenant for tenant in tenants_of(self.user) if may(self.user, needed, tenant)]
            else:
                self._tenants = [self.chosen_tenant] if self.chosen_tenant else []
        return self._tenants

    def visible(self, rows: QuerySet[Any], prefix: str = "", owner: str = "") -> QuerySet[Any]:
        """The rows of these tenants that the user may see, and global ones of all tenants.

        `prefix`: the way from the row to the one that has tenant, visibility and creator; `owner`: the way to another who sees it too.
        """
        found = Q(pk__in=[])
        for tenant in self.tenants_to_look_in():
            found |= visible(self.user, tenant, prefix)
            if owner:  # whose deployment it is sees what others started on it
                found |= Q(**{f"{prefix}tenant": tenant, owner: self.user})
        return rows.filter(found)

    def body(self) -> dict[str, Any]:
        """The JSON object of the request; 400 for any other JSON."""
        if self.request.content_type and not self.request.content_type.startswith("application/json"):
            raise Refused(415, "unsupported_content_type_error", "Content type must be application/json")
        data = self.request.data
        if not isinstance(data, dict):
            raise bad_parameters("The request's body must be a JSON object")
        return data

    def required(self, name: str, kind: type | tuple[type, ...] = str) -> Any:
        """A key of the body that must be there."""
        body = self.body()
        if name not in body or body[name] is None:
            raise bad_parameters(f"Missing {name} in json request body")
        return self.typed(body[name], name, kind)

    def optional(self, name: str, kind: type | tuple[type, ...] = str, default: Any = None) -> Any:
        """A key of the body that may be missing or null."""
        value = self.body().get(name)
        return default if value is None else self.typed(value, name, kind)

    def boolean(self, name: str, default: bool = False) -> bool:
        """A boolean of the body; the words true and false do too."""
        value = self.body().get(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise bad_parameters(
            f"{name} parameter is expected to be of type boolean but is of type {type(value).__name__}"
        )

    @staticmethod
    def typed(value: Any, name: str, kind: type | tuple[type, ...]) -> Any:
        """The value, if it has the type; 400 otherwise."""
        if not isinstance(value, kind) or (isinstance(value, bool) and kind in (int, float)):
            wanted = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
            raise bad_parameters(
                f"{name} parameter is expected to be of type {wanted} but is of type {type(value).__name__}"
            )
        return value

    def visibility(
        self, valid: tuple[str, ...] = ("private", "tenant", "global"), default: str | None = "tenant"
    ) -> str:
        """`visibility` of the body; 403 for a global one by somebody who may not."""
        value = self.optional("visibility", default=default)
        if value is None:
            raise bad_parameters("Missing visibility in json request body")
        return self.allowed_visibility(value, valid)

    def allowed_visibility(self, value: str, valid: tuple[str, ...] = ("private", "tenant", "global")) -> str:
        """The same for a value that is at hand."""
        if value not in valid:
            raise bad_parameters(f"Invalid visibility: `{value}`. Valid visibility's values are: {list(valid)}")
        if value == "global" and not may(self.user, "global.create", self.tenant):
            raise forbidden(
                f"User `{self.user}` is not permitted to perform the action create_global_resource "
                f"in the tenant `{self.tenant}`"
            )
        return value

    def in_own_tenant(self, row: Any, kind: str) -> Any:
        """The row; 403 where it is a global one of another tenant, which only its own tenant changes."""
        if row.tenant_id != self.tenant.pk:
            raise forbidden(
                f"{kind} `{row}` belongs to the tenant `{row.tenant}` and can be changed there only: send `Tenant: {row.tenant}`"
            )
        return row


class NotThere(WireView):
    """Whatever v3.1 has no address for."""

    needs = dict.fromkeys(("GET", "PUT", "POST", "PATCH", "DELETE"), "")
    has_tenant = False

    def refuse(self, request: Request, **kwargs: Any) -> Response:
        """404, as JSON where genuine managers answer HTML."""
        shown = re.sub(r"[^\x20-\x7e]", "?", request.path)
        raise Refused(
            404, "not_found_error", f"This manager has no `{shown}`. See docs/compatibility.md for what it serves."
        )

    get = put = post = patch = delete = refuse
