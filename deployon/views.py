"""Pages: services and their versions; choose, preview, start and watch a rollout."""
from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.permissions import needs
from accounts.roles import may
from deployon import catalogue, reads, rollouts
from deployon.forms import ServiceForm, SourceForm
from deployon.models import Placement, Rollout, Service, ServiceVersion
from inventory.connectors.errors import ManagerError
from runs import reads as run_reads
from runs.models import Event, Run
from runs.states import FINAL_RUN_STATES

TAIL = 100  # events rendered with the page; the rest come through the websocket


@needs("service.view")
def service_list(request: HttpRequest) -> HttpResponse:
    """Services with their newest version and how many environments they stand on."""
    rows = reads.service_list(request.tenant.pk).order_by("name")  # type: ignore[attr-defined]
    page = Paginator(rows, 50).get_page(request.GET.get("page"))
    for service in page:
        service.newest = next(iter(service.versions.all()), None)
    return render(request, "deployon/services.html", {"page": page} | rights(request))


def rights(request: HttpRequest) -> dict[str, bool]:
    """What the person may do here, for the buttons."""
    tenant = request.tenant  # type: ignore[attr-defined]
    return {
        "may_change": may(request.user, "service.change", tenant),  # type: ignore[arg-type]
        "may_start": may(request.user, "rollout.start", tenant),  # type: ignore[arg-type]
    }


def source_of(form: SourceForm) -> catalogue.Source:
    """The catalogue's words for what the form holds."""
    data = form.cleaned_data
    if data["source"] == ServiceVersion.Source.PRESENT:
        return catalogue.Source(remote_blueprint=data["remote_blueprint"])
    archive = data["archive"]
    return catalogue.Source(content=archive.read(), file_name=archive.name, main_file=data["main_file"] or "blueprint.yaml")


@needs("service.change")
def service_add(request: HttpRequest) -> HttpResponse:
    """Register a service with its first version."""
    form = ServiceForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            version = catalogue.register_service(
                by=actor_of(request),
                tenant=request.tenant,  # type: ignore[attr-defined]
                name=data["name"],
                source=source_of(form),
                description=data["description"],
            )
            messages.success(request, f"Service {data['name']} is registered. A rollout puts it on environments.")
            return redirect("service", version.service_id)
        except (ValidationError, Conflict, ManagerError) as error:
            show_errors(form, error)
    return render(request, "deployon/service_add.html", {"form": form})


@needs("service.change")
def version_add(request: HttpRequest, service_id: int) -> HttpResponse:
    """New content for a service; the same content again is the same version."""
    service = get_object_or_404(Service, pk=service_id, tenant=request.tenant)  # type: ignore[attr-defined]
    form = SourceForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            version, is_new = catalogue.add_version(by=actor_of(request), service=service, source=source_of(form))
            said = "is new" if is_new else "has exactly this content already"
            messages.success(request, f"Version {version.number} {said}.")
            return redirect("service", service.pk)
        except (ValidationError, Conflict, ManagerError) as error:
            show_errors(form, error)
    return render(request, "deployon/service_add.html", {"form": form, "service": service})


def show_errors(form: SourceForm, error: ValidationError | Conflict | ManagerError) -> None:
    """Put what a service refused beside the fields it speaks of."""
    if not isinstance(error, ValidationError):
        form.add_error(None, str(error))
        return
    for field, errors in getattr(error, "message_dict", {"": error.messages}).items():
        form.add_error(field if field in form.fields else None, errors)


@needs("service.view")
def service_detail(request: HttpRequest, service_id: int) -> HttpResponse:
    """Versions with their inputs, and where the service stands."""
    service = get_object_or_404(Service.objects.prefetch_related("versions"), pk=service_id, tenant=request.tenant)  # type: ignore[attr-defined]
    placements = (
        Placement.objects.filter(service=service)
        .exclude(state=Placement.State.ABSENT)
        .select_related("environment__deployment__site", "desired_version")
        .order_by("environment__deployment__display_name")
    )
    page = Paginator(placements, 50).get_page(request.GET.get("page"))
    shown = {"service": service, "versions": service.versions.all(), "page": page}
    return render(request, "deployon/service.html", shown | rights(request))


@needs("rollout.view")
def rollout_list(request: HttpRequest) -> HttpResponse:
    """Rollouts, newest first."""
    rows = reads.rollout_list(request.tenant.pk)  # type: ignore[attr-defined]
    page = Paginator(rows, 50).get_page(request.GET.get("page"))
    return render(request, "deployon/rollouts.html", {"page": page} | rights(request))


# (word, cell of the wall, states that count, class of the bar or None)
LEGEND = (
    ("done", "succeeded", "succeeded", "ok"),
    ("left as is", "stays", "stays skipped differs", "ok hatch"),
    ("failed", "failed", "failed", "bad"),
    ("cancelled", "cancelled", "cancelled", "idle"),
    ("running", "running", "running waiting", "run hatch"),
    ("paused", "paused", "paused", None),
    ("waiting to start", "held", "held pending", None),
)
DONE = frozenset({"succeeded", "stays", "skipped", "differs", "failed", "cancelled"})


@needs("rollout.view")
def rollout_detail(request: HttpRequest, rollout_id: int) -> HttpResponse:
    """The live page: the whole in one bar, a cell and a row an environment, failures by cause, events."""
    rollout = the_rollout(request, rollout_id)
    run = rollout.run
    rows = [shown_row(row) for row in reads.rollout_rows(rollout)]
    counts = Counter(row["state"] for row in rows)

    def count(states: str) -> int:
        return sum(counts[state] for state in states.split())

    done = sum(counts[state] for state in DONE)
    legend = [{"word": word, "cell": cell, "states": states, "count": count(states)} for word, cell, states, _ in LEGEND]
    bar = [
        {"look": look, "states": states, "width": f"{100 * count(states) / max(1, len(rows)):.2f}%"}
        for _, _, states, look in LEGEND
        if look
    ]
    events = list(Event.objects.filter(top=run).order_by("-id")[:TAIL]) if run else []
    shown = {
        "rollout": rollout,
        "run": run,
        "rows": rows,
        "legend": legend,
        "bar": bar,
        "done": done,
        "percent": f"{100 * done / max(1, len(rows)):.0f}",
        "events": events,
        "cursor": events[0].pk if events else 0,
        "names": {row["run"]: row["name"] for row in rows if row["run"]},
    }
    return render(request, "deployon/rollout.html", shown | why_of(run) | causes_of(rollout) | acts_of(request, rollout))


def shown_row(row: reads.TargetRow) -> dict[str, Any]:
    """A target as the wall and the table show it; one that has no run is what the plan said of it."""
    state = row.state
    finished, total = row.finished, row.total
    width = 100 if state in DONE else round(100 * finished / total) if total else 0
    return {
        "key": f"t{row.target}",
        "environment": row.environment,
        "name": row.name,
        "site": row.site,
        "state": state,
        "why": row.why,
        "run": row.run,
        "finished": finished,
        "total": total,
        "width": f"{width}%",
        "seconds": row.seconds,
        "capabilities": row.capabilities,
    }


def the_rollout(request: HttpRequest, rollout_id: int) -> Rollout:
    """A rollout of the current tenant, or 404."""
    rows = Rollout.objects.select_related("version__service", "run", "created_by", "tenant")
    return get_object_or_404(rows, pk=rollout_id, tenant=request.tenant)  # type: ignore[attr-defined]


def why_of(run: Run | None) -> dict[str, Any]:
    """Variables of deployon/why.html."""
    return {"run": run, "why": run_reads.why_waiting(run) if run and run.state not in FINAL_RUN_STATES else ""}


def causes_of(rollout: Rollout) -> dict[str, Any]:
    """Variables of deployon/causes.html."""
    causes = reads.failures_by_cause(rollout)
    is_final = rollout.run is not None and rollout.run.state in FINAL_RUN_STATES
    return {"causes": causes, "failed": sum(cause["count"] for cause in causes), "is_final": is_final}


def acts_of(request: HttpRequest, rollout: Rollout) -> dict[str, Any]:
    """Variables of deployon/acts.html: what can be done next, and to how many."""
    run = rollout.run
    is_final = run is not None and run.state in FINAL_RUN_STATES
    return {
        "rollout": rollout,
        "is_final": is_final,
        "is_paused": run is not None and (run.state == "paused" or run.is_pause_requested),
        "to_retry": rollouts.unfinished(rollout).count() if is_final else 0,
        "to_undo": rollout.targets.filter(placement__state=Placement.State.DEPLOYED, intent="create").count() if is_final else 0,
    } | rights(request)


@needs("rollout.view")
def rollout_why(request: HttpRequest, rollout_id: int) -> HttpResponse:
    """Fragment: why it waits."""
    return render(request, "deployon/why.html", why_of(the_rollout(request, rollout_id).run))


@needs("rollout.view")
def rollout_causes(request: HttpRequest, rollout_id: int) -> HttpResponse:
    """Fragment: failures by cause."""
    return render(request, "deployon/causes.html", causes_of(the_rollout(request, rollout_id)))


@needs("rollout.view")
def rollout_acts(request: HttpRequest, rollout_id: int) -> HttpResponse:
    """Fragment: the buttons."""
    return render(request, "deployon/acts.html", acts_of(request, the_rollout(request, rollout_id)))


@require_POST
@needs("rollout.start")
def rollout_act(request: HttpRequest, rollout_id: int, verb: str) -> HttpResponse:
    """Pause, go on with, cancel or retry a rollout."""
    rollout = the_rollout(request, rollout_id)
    by = actor_of(request)
    try:
        if verb == "retry":
            rollouts.retry_rollout(by=by, rollout=rollout, key=rollouts.Key(str(uuid.uuid4()), "page"))
            messages.success(request, "Trying again what failed or never started.")
        else:
            act = {"pause": rollouts.pause_rollout, "resume": rollouts.resume_rollout, "cancel": rollouts.cancel_rollout}[verb]
            act(by=by, rollout=rollout)
            messages.success(request, {"pause": "Pausing: what runs finishes first.", "resume": "Goes on.", "cancel": "Cancelling: the managers are told to stop."}[verb])
    except (Conflict, ValidationError) as error:
        messages.error(request, "; ".join(error.messages) if isinstance(error, ValidationError) else str(error))
    return redirect("rollout", rollout_id)
