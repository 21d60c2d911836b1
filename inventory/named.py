"""What the view sets of named rows have in common: who asks, where, and finding a row by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import mixins, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.actors import Actor, actor_of
from accounts.models import Tenant, User
from accounts.revisions import tag_of

NAME = OpenApiParameter("name", OpenApiTypes.STR, OpenApiParameter.PATH, description="Name (or id)")
IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The ETag of the reply that was read before: 412 with `changes` where somebody changed it since.",
)


def asker(request: Request) -> Actor:
    """Who asks."""
    return actor_of(request, via="api")


def place(request: Request) -> tuple[User, Tenant]:
    """Who asks, and in which tenant; permissions have seen to both."""
    return cast(User, request.user), cast(Tenant, request.tenant)  # type: ignore[attr-defined]


class Named(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """Rows with a name that is unique in their tenant: `/<name>/`; a number that is no name is an id.

    Global rows of other tenants are seen, and changed only from the tenant that owns them.
    """

    lookup_field = "name"
    lookup_value_regex = "[^/]+"
    filter_backends = ()
    reads = frozenset({"list", "retrieve"})

    def get_object(self) -> Any:
        name, (_, tenant) = self.kwargs["name"], place(self.request)
        rows: Any = self.get_queryset()
        try:
            found = rows.named(name, tenant)
        except rows.model.DoesNotExist as error:
            found = rows.filter(pk=name).first() if re.fullmatch(r"[0-9]{1,18}", name) else None
            if found is None:
                raise NotFound(str(error)) from None
        self.check_object_permissions(self.request, found)
        return found

    def written(self, given_to: type, *, partial: bool = False) -> dict[str, Any]:
        """The request's body, read by a serializer."""
        given = given_to(data=self.request.data, partial=partial)
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    def told(self, row: Any, code: int = status.HTTP_200_OK) -> Response:
        editable = self.editable_of(row)
        headers = {"ETag": tag_of(editable)} if editable else None
        return Response(self.get_serializer(row).data, status=code, headers=headers)

    def editable_of(self, row: Any) -> Mapping[str, Any]:
        """What the ETag of a row is made of; nothing: it has none."""
        return {}

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One of them, by its name; its ETag goes with a later change as If-Match."""
        return self.told(self.get_object())
