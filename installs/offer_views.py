"""Page: a built cluster becomes an environment with one click."""

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
