"""Overview, and health for machines."""

from __future__ import annotations

import logging
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse

from accounts.models import AuditEntry, Tenant
from accounts.permissions import needs, public
from accounts.requests import PersonRequest
from accounts.roles import may
from deployon.models import Rollout
from inventory.choosing import STATES_WORST_FIRST
from inventory.models import Environment
from inventory.querysets import EnvironmentQuerySet
from runs import reads
from runs.states import ACTIVE_RUN_STATES, RunState

LOOKED_AT = 500  # environments in trouble, before those with one cause become one line
logger = logging.getLogger(__name__)
SHOWN = 8  # things that need somebody, before "and more"


@needs("account.manage_own")
def overview(request: PersonRequest) -> HttpResponse:
    """What needs me now, what runs, the fleet in one strip."""
    tenant, user = request.tenant, request.user
    if tenant is None or not may(user, "deployment.view", tenant):
        return render(request, "portal/overview.html", {"tenant": None})
    sees_rollouts = may(user, "rollout.view", tenant)
    seen = Environment.objects.visible_to(user, tenant)
    if not may(user, "environment.view", tenant):
        seen = seen.none()
    counted = dict(seen.order_by().values_list("state").annotate(Count("pk")))
    sees_audit = may(user, "audit.view", tenant)
    needed = (failed_rollouts(tenant) if sees_rollouts else []) + troubled(seen)
    shown = {
        "needs": needed[:SHOWN],
        "needs_more": len(needed[SHOWN:]),
        "needs_total": len(needed),
        "running": running(tenant) if sees_rollouts else [],
        "counts": [(state, counted.get(state, 0)) for state in STATES_WORST_FIRST],
        "total": sum(counted.values()),
        "checked_at": seen.aggregate(latest=Max("last_probe_at"))["latest"],
        "changes": AuditEntry.objects.filter(chain=tenant.name)[:8] if sees_audit else [],
        "may_audit": sees_audit,
        "may_change": may(user, "environment.change", tenant),
        "may_start": may(user, "rollout.start", tenant),
    }
    return render(request, "portal/overview.html", shown)


def failed_rollouts(tenant: Tenant) -> list[dict[str, Any]]:
    """The latest rollout of each service, where it failed."""
    latest = (
        Rollout.objects.filter(tenant=tenant).values("version__service").annotate(latest=Max("pk")).values("latest")
    )
    rows = (
        Rollout.objects.filter(pk__in=latest, run__state=RunState.FAILED)
        .select_related("version__service", "run")
        .defer("preview", "version__inputs_schema")
    )
    found = []
    for rollout in rows.order_by("-pk")[:SHOWN]:
        assert rollout.run is not None
        causes = reads.causes(rollout.run)
        count = sum(cause["count"] for cause in causes)
        text = "; ".join(f"{cause['count']}: {cause['message'].rstrip('.')}" for cause in causes[:2]) or rollout.run.why
        title = f"R-{rollout.pk} {rollout.version} failed on {count} environment{'' if count == 1 else 's'}"
        url = reverse("rollout", args=[rollout.pk])
        found.append(
            {
                "look": "bad",
                "title": title,
                "text": text,
                "since": rollout.run.ended_at,
                "url": url,
                "act": f"Open R-{rollout.pk}",
            }
        )
    return found


def troubled(seen: EnvironmentQuerySet) -> list[dict[str, Any]]:
    """Environments that do not work, those with one cause at one site as one line. `seen`: what the person may see."""
    rows = seen.filter(state__in=[Environment.State.UNREACHABLE, Environment.State.DEGRADED]).select_related(
        "deployment__site"
    )
    groups: dict[tuple[str, str, str], list[Environment]] = {}
    for row in rows.order_by("-state", "state_since")[:LOOKED_AT]:
        site = row.deployment.site.name if row.deployment.site else ""
        groups.setdefault((row.state, site, row.why), []).append(row)
    found = []
    for (state, site, why), some in groups.items():
        first, word, is_one = some[0], Environment.State(state).label.lower(), len(some) == 1
        where = QueryDict(mutable=True)
        where.update({"state": state, **({"site": site} if site else {})})
        found.append(
            {
                "look": "bad" if state == Environment.State.UNREACHABLE else "warn",
                "title": f"{first} is {word}"
                if is_one
                else f"{len(some)} environments{f' at {site}' if site else ''} are {word}",
                "text": why,
                "since": first.state_since,
                "url": reverse("environment", args=[first.pk])
                if is_one
                else f"{reverse('environments')}?{where.urlencode()}",
                "act": "See why",
            }
        )
    return sorted(found, key=lambda need: need["look"] != "bad")


def running(tenant: Tenant) -> list[dict[str, Any]]:
    """Rollouts at work with their shares."""
    rows = (
        Rollout.objects.filter(tenant=tenant, run__state__in=ACTIVE_RUN_STATES)
        .select_related("version__service", "run")
        .defer("preview", "version__inputs_schema")
    )
    found = []
    for rollout in rows.order_by("-pk")[:5]:
        assert rollout.run is not None
        progress = reads.progress(rollout.run)
        total, good, bad = max(1, progress["total"]), progress["succeeded"], progress["failed"]
        done = good + bad + progress.get("cancelled", 0)
        found.append(
            {
                "rollout": rollout,
                "total": progress["total"],
                "succeeded": good,
                "failed": bad,
                "percent": round(100 * done / total),
                "ok_width": f"{100 * good / total:.2f}%",
                "bad_width": f"{100 * bad / total:.2f}%",
            }
        )
    return found


@public
def favicon(request: HttpRequest) -> HttpResponse:
    """Where browsers look for an icon on pages that name none, such as the admin's."""
    return redirect(static("logo.svg"))


@public
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@public
def readyz(request: HttpRequest) -> HttpResponse:
    """The process can do its work: the database answers and is migrated; else 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM accounts_tenant LIMIT 1")
    except DatabaseError as error:
        logger.warning("Not ready, the database does not answer: %s", error)
        return JsonResponse(
            {"status": "unavailable", "detail": "The database does not answer, or is not migrated."}, status=503
        )
    return JsonResponse({"status": "ready"})
