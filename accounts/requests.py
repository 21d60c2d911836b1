"""Requests as page views get them: somebody is signed in, and acts in a tenant; `permissions.needs` has made sure of it."""

from __future__ import annotations

from django.http import HttpRequest

from accounts.models import Tenant, User


class PersonRequest(HttpRequest):
    """A request of somebody who is signed in; `tenant` is None for a person without a role anywhere."""

    user: User  # never the anonymous one: `needs` sends that one to the sign-in page
    tenant: Tenant | None
    htmx: object  # truthy where the page asks for a fragment of itself
    csp_nonce: str


class TenantRequest(PersonRequest):
    """The same where the page needs an action in a tenant, so there is one."""

    tenant: Tenant
