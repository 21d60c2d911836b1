"""Pages: a built cluster becomes an environment with one click; its administrator gets another password."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.permissions import needs
from accounts.requests import TenantRequest
from installs.administering import set_administrator_password
from installs.offering import expose_cluster
from installs.views import the_cluster
from inventory.views import tell_outcome


@require_POST
@needs("cluster.change")
def cluster_expose(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """Expose it, and go on to the environment; what keeps it from that is said on the page of the cluster."""
    cluster = the_cluster(request, cluster_id)
    try:
        environment = expose_cluster(by=actor_of(request), cluster=cluster, name=request.POST.get("name", "").strip())
    except Conflict as error:
        messages.error(request, str(error))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        environment.refresh_from_db()
        tell_outcome(request, environment)
        return redirect("environment", environment.pk)
    return redirect("cluster", cluster_id)


@require_POST
@needs("cluster.change")
def cluster_password(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """Give its administrator another password, typed twice; it is never shown again."""
    cluster, password = the_cluster(request, cluster_id), request.POST.get("password", "")
    if password != request.POST.get("again", ""):
        messages.error(request, "Nothing was changed: the two passwords differ. Type the same twice.")
        return redirect("cluster", cluster_id)
    try:
        set_administrator_password(by=actor_of(request), cluster=cluster, password=password)
        messages.success(request, f"The administrator of {cluster} has the new password; it is sealed here, too.")
    except Conflict as error:
        messages.error(request, str(error))
    except ValidationError as error:
        messages.error(request, f"Nothing was changed: {' '.join(error.messages)}")
    return redirect("cluster", cluster_id)
