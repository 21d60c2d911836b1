"""Pages of work on a cluster: preflight, the plan of an install, a check or an uninstall, and its start; runs are shown by `runs`."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.permissions import needs
from accounts.requests import TenantRequest
from installs import installing
from installs.asked import Kind
from installs.expected import expected_of
from installs.installing import Planned
from installs.preflight.starting import begin_preflight
from installs.views import rights, the_cluster, the_host
from inventory.models import Cluster, Environment
from runs.plans import Lane

LONGEST_KEY = 128
# What each kind of work does, under its title.
LEADS = {
    Kind.INSTALL: "Each step looks first and leaves alone what is as wanted already. Nothing has been touched yet.",
    Kind.VERIFY: "Every step looks whether its part is as wanted, and changes nothing.",
    Kind.UNINSTALL: "Everything that the cluster put on its hosts is taken away, on all of them at once.",
    Kind.REMOVE_HOST: "Its work goes to others first; then they let it go, and it is made clean. The cluster serves meanwhile.",
}
LOST_LEAD = "Nothing is asked of the lost host: the others forget it, and what it had is copied from those that remain."


@require_POST
@needs("cluster.change")
def preflight_start(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """Look at all hosts; where that is under way already, watch it instead."""
    cluster = the_cluster(request, cluster_id)
    try:
        found, is_new = begin_preflight(by=actor_of(request), cluster=cluster)
    except Conflict as error:
        messages.error(request, str(error))
        return redirect("cluster", cluster.pk)
    if not is_new:
        messages.info(request, "A preflight was under way already: this is it.")
    return redirect("run", found.run_id)


@require_POST
@needs("cluster.change")
def install_plan(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """Make what is missing of secrets and certificates, then show the plan of an install."""
    cluster = the_cluster(request, cluster_id)
    try:
        installing.plan_work(by=actor_of(request), cluster=cluster, kind=Kind.INSTALL)
    except (ValidationError, Conflict) as error:
        messages.error(request, f"Nothing was planned: {words_of(error)}")
        return redirect("cluster", cluster.pk)
    return redirect("cluster-work", cluster.pk, Kind.INSTALL)


@needs("cluster.view", POST="cluster.change")
def work(request: TenantRequest, cluster_id: int, kind: str) -> HttpResponse:
    """The plan of one kind of work; a POST starts what its digest names, and shows the new plan where that is another by now."""
    cluster = the_cluster(request, cluster_id)
    if request.method != "POST":
        return show_plan(request, cluster, kind)
    if kind == Kind.UNINSTALL and request.POST.get("name", "").strip() != cluster.name:
        wrong = f"Type {cluster.name} exactly as it is written here. Nothing was started."
        return show_plan(request, cluster, kind, wrong_name=wrong)
    digest, key = request.POST.get("digest", ""), request.POST.get("key", "")[:LONGEST_KEY]
    try:
        started = installing.start_work(
            by=actor_of(request),
            cluster=cluster,
            kind=kind,
            digest=digest,
            key=key,
            is_exposed=wants_environment(request),
        )
    except (ValidationError, Conflict) as error:
        return show_plan(request, cluster, kind, refused=refusal(error))
    return redirect("run", started.run_id)


@needs("cluster.view", POST="cluster.change")
def host_leave(request: TenantRequest, cluster_id: int, host_id: int) -> HttpResponse:
    """The plan of a host's removal, and its start; with `lost` as that of one that does not come back."""
    cluster, host = the_cluster(request, cluster_id), the_host(request, cluster_id, host_id).name
    is_lost = request.GET.get("lost") == "1"
    try:
        if request.method != "POST":
            return show_plan(request, cluster, Kind.REMOVE_HOST, host=host, is_lost=is_lost)
        digest, key = request.POST.get("digest", ""), request.POST.get("key", "")[:LONGEST_KEY]
        started = installing.start_work(
            by=actor_of(request),
            cluster=cluster,
            kind=Kind.REMOVE_HOST,
            digest=digest,
            key=key,
            host=host,
            is_lost=is_lost,
        )
    except (ValidationError, Conflict) as error:
        if isinstance(error, ValidationError) and "host" in error.message_dict:
            messages.error(request, words_of(error))
            return redirect("host-change", cluster.pk, host_id)
        return show_plan(request, cluster, Kind.REMOVE_HOST, refused=refusal(error), host=host, is_lost=is_lost)
    return redirect("run", started.run_id)


def show_plan(
    request: TenantRequest,
    cluster: Cluster,
    kind: str,
    *,
    refused: str = "",
    wrong_name: str = "",
    host: str = "",
    is_lost: bool = False,
) -> HttpResponse:
    """The page; `refused` says why nothing was started, `wrong_name` that the name of the cluster was not typed."""
    is_exposed = wants_environment(request)
    planned = installing.read_plan(cluster, kind, host, is_lost, is_exposed=is_exposed)
    expected = expected_of(cluster, planned)
    errors = sum(finding.is_error for finding in planned.findings)
    at_work = installing.active_run(cluster)
    shown = {
        "cluster": cluster,
        "planned": planned,
        "stages": [(stage, steps_of(stage["lanes"])) for stage in expected.marked(planned.stages)],
        "expected": expected,
        "counted": expected.count(planned.stages),
        "hosts": len(cluster.nodes.all()),
        "lead": LOST_LEAD if is_lost else LEADS[Kind(kind)],
        "errors": errors,
        "is_exposed": is_exposed,
        "may_be_exposed": kind == Kind.INSTALL and not Environment.objects.filter(cluster=cluster).exists(),
        "at_work": at_work,
        "may_start": not errors and not at_work and len(cluster.nodes.all()) > 0,
        "takes": takes(planned),
        "key": request.POST.get("key") or uuid.uuid4(),
        "refused": refused,
        "wrong_name": wrong_name,
    }
    status = 409 if refused else 400 if wrong_name else 200
    return render(request, "installs/plan.html", shown | rights(request), status=status)


def wants_environment(request: TenantRequest) -> bool:
    """Whether the install is to end with an environment."""
    return (request.POST if request.method == "POST" else request.GET).get("expose") == "1"


def steps_of(lanes: Sequence[Lane]) -> int:
    """How many steps a stage has."""
    return sum(len(lane["operations"]) for lane in lanes)


def refusal(error: ValidationError | Conflict) -> str:
    """Why nothing was started; what the page lists as findings anyway is not said twice."""
    if isinstance(error, ValidationError):
        return "Something keeps it from being started: see the findings."
    return str(error).replace(": look at it again, then start it.", ". Below is the new plan.")


def words_of(error: ValidationError | Conflict) -> str:
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)


def takes(planned: Planned) -> str:
    """How long it takes, in words, and what that rests on."""
    if planned.seconds is None:
        return "No estimate yet: no such step has run here before."
    left_out = f", without {planned.unknown} that never ran here" if planned.unknown else ""
    return f"About {spoken(planned.seconds)}, by what such steps took before{left_out}."


def spoken(seconds: float) -> str:
    """ "1 second", "40 seconds", "4 minutes", "1.5 hours"."""
    if seconds < 90:
        count, unit = max(1, math.ceil(seconds)), "second"
    elif seconds < 5400:
        count, unit = round(seconds / 60), "minute"
    else:
        return f"{seconds / 3600:.1f} hours"
    return f"{count} {unit}{'s' if count != 1 else ''}"
