"""Sites on the wire."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import Conflict
from inventory.models import Site
from inventory.sites import create_site, delete_site, parse_location, update_site
from orchestration.errors import bad_parameters, exists
from orchestration.wire.listing import find, listed, one
from orchestration.wire.shapes import Field, Shape, column, owned, time
from orchestration.wire.views import WireView

SITE = Shape(
    "Site",
    {
        "created_at": time("created_at"),
        "visibility": column("visibility"),
        "name": column("name"),
        "latitude": Field(lambda row: row.latitude, "latitude"),
        "longitude": Field(lambda row: row.longitude, "longitude"),
        **owned(),
        "location": Field(lambda row: row.location or None),
    },
    search=("name",),
)


class SiteView(WireView):
    """What both addresses share."""

    resource = "site"

    def rows(self) -> QuerySet[Site]:
        """What the caller may see."""
        return self.visible(Site.objects.all())


class SiteList(SiteView):
    """GET /sites."""

    needs = {"GET": "site.view"}

    def get(self, request: Request) -> Response:
        return listed(self.rows(), request.query_params, SITE)


class SiteDetail(SiteView):
    """One site."""

    needs = {"GET": "site.view", "PUT": "site.change", "POST": "site.change", "DELETE": "site.change"}

    def said(self, method: str | None) -> str:
        return "site_update" if method == "POST" else super().said(method)

    def found(self, name: str) -> Site:
        """The site, to be changed."""
        return self.in_own_tenant(find(self.rows().select_related("tenant"), "Site", name, name="name"), "Site")  # type: ignore[no-any-return]

    def get(self, request: Request, name: str) -> Response:
        return one(self.rows(), request.query_params, SITE, name, name="name")

    def put(self, request: Request, name: str) -> Response:
        latitude, longitude = parse_location(self.optional("location", default=""))
        try:
            site = create_site(
                by=self.actor,
                tenant=self.tenant,
                name=name,
                latitude=latitude,
                longitude=longitude,
                visibility=self.visibility(),
            )
        except Conflict:
            raise exists("Site", name, self.tenant.name) from None
        return Response(SITE.render(site))

    def post(self, request: Request, name: str) -> Response:
        site = self.found(name)
        changes: dict[str, Any] = {}
        if "location" in self.body():
            changes["latitude"], changes["longitude"] = parse_location(self.optional("location", default=""))
        if new_name := self.optional("new_name"):
            changes["name"] = new_name
        if "visibility" in self.body():
            changes["visibility"] = self.visibility()
        if not changes:
            raise bad_parameters("Must provide a change for the site update: location, new_name or visibility")
        try:
            update_site(by=self.actor, site=site, **changes)
        except Conflict:
            raise exists("Site", str(new_name), self.tenant.name) from None
        return Response(SITE.render(site))

    def delete(self, request: Request, name: str) -> Response:
        delete_site(by=self.actor, site=self.found(name))
        return Response(status=204)
