"""Overview, and health for machines."""
from __future__ import annotations

from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from accounts.permissions import needs, public


@needs("deployment.view")
def overview(request: HttpRequest) -> HttpResponse:
    """What needs me now, what runs, the fleet in one strip."""
    return render(request, "portal/overview.html", {})


@public
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


@public
def readyz(request: HttpRequest) -> HttpResponse:
    """The process can do its work: the database answers and is migrated."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM accounts_tenant LIMIT 1")
    return JsonResponse({"status": "ready"})
