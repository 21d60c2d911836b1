"""What every page shows around its content: navigation, tenant, the rollout at work."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from accounts.models import Tenant, User
from accounts.roles import may, tenants_of
from deployon.models import Rollout
from runs.states import ACTIVE_RUN_STATES

# (label, icon, name of the address, first part of addresses that belong to it)
NAVIGATION = (
    ("Overview", "layout-dashboard", "overview", ""),
    ("Environments", "server-2", "environments", "environments"),
    ("Rollouts", "rocket", "rollouts", "rollouts"),
    ("Services", "box", "services", "services"),
    ("Deployments", "list", "deployments", "deployments"),
    ("Runs", "player-play", "runs", "runs"),
    ("Clusters", "topology-star-3", "clusters", "clusters"),
)
GOVERN = (
    ("Secrets", "lock", "secrets", "secrets"),
    ("Sites", "map-pin", "sites", "sites"),
    ("Filters", "filter", "filters", "filters"),
    ("Audit", "history", "audit", "audit"),
    ("Tenants", "building", "tenants", "tenants"),
    ("Permissions", "shield-check", "permissions", "permissions"),
    ("Admin", "settings", "admin:index", "admin"),
)
ADMIN_ONLY = {"tenants", "permissions", "admin"}
PLACES = {  # pages that belong to an entry of another name
    "users": "tenants",
    "blueprints": "deployments",
    "deployment-groups": "deployments",
    "execution-groups": "deployments",
    "schedules": "deployments",
}
OWN_LOOK = ("/admin/", "/api/")  # they have surroundings of their own


def shell(request: HttpRequest) -> dict[str, Any]:
    """Variables of templates/base.html; nothing is asked of the database for a visitor, a fragment, or Django's admin."""
    tenant: Tenant | None = getattr(request, "tenant", None)
    shown: dict[str, Any] = {"tenant": tenant, "csp_nonce": getattr(request, "csp_nonce", "")}
    user = getattr(request, "user", None)
    if not isinstance(user, User) or getattr(request, "htmx", False) or request.path.startswith(OWN_LOOK):
        return shown
    place = PLACES.get(request.path.strip("/").split("/")[0], request.path.strip("/").split("/")[0])
    is_admin = user.is_sys_admin
    sees_audit = may(user, "audit.view", tenant)
    rollout = None
    if tenant is not None and may(user, "rollout.view", tenant):
        at_work = Rollout.objects.filter(tenant=tenant, run__state__in=ACTIVE_RUN_STATES)
        rollout = at_work.select_related("version__service").only("version__service__name").order_by("-id").first()
    return shown | {
        "navigation": [item(place, *row) for row in NAVIGATION],
        "govern": [
            item(place, *row)
            for row in GOVERN
            if is_admin or (row[3] not in ADMIN_ONLY and (sees_audit or row[3] != "audit"))
        ],
        "tenants": tenants_of(user),
        "installation": f"{settings.NODE_NAME}, {settings.DEPLOYON_MODE}",
        "running_rollout": rollout
        and {"url": reverse("rollout", args=[rollout.pk]), "title": f"R-{rollout.pk} {rollout.version.service.name}"},
    }


def item(place: str, label: str, icon: str, name: str, first: str) -> dict[str, Any]:
    """One entry of the rail."""
    return {"label": label, "icon": icon, "url": reverse(name), "is_current": place == first}
