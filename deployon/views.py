"""Pages: services and their versions. Rollouts are in planning, reviewing and rollout_views."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.forms import show_errors
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.roles import may
from deployon import catalogue, reads
from deployon.forms import ServiceForm, SourceForm
from deployon.models import Placement, Service, ServiceVersion
from inventory.connectors.errors import ManagerError

PER_PAGE = 50


def rights(request: TenantRequest) -> dict[str, bool]:
    """What the person may do here, for the buttons."""
    return {
        "may_change": may(request.user, "service.change", request.tenant),
        "may_start": may(request.user, "rollout.start", request.tenant),
    }


@needs("service.view")
def service_list(request: TenantRequest) -> HttpResponse:
    """Services with their newest version and how many environments they stand on."""
    rows = reads.service_list(request.tenant.pk).order_by("name")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    for service in page:
        service.newest = next(iter(service.versions.all()), None)  # type: ignore[attr-defined]
    return render(request, "deployon/services.html", {"page": page} | rights(request))


def source_of(form: SourceForm) -> catalogue.Source:
    """The catalogue's words for what the form holds."""
    data = form.cleaned_data
    if data["source"] == ServiceVersion.Source.PRESENT:
        return catalogue.Source(remote_blueprint=data["remote_blueprint"])
    archive = data["archive"]
    main_file = data["main_file"] or ServiceVersion.USUAL_MAIN_FILE
    return catalogue.Source(content=archive.read(), file_name=archive.name, main_file=main_file)


@needs("service.change")
def service_add(request: TenantRequest) -> HttpResponse:
    """Register a service with its first version."""
    form = ServiceForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            version = catalogue.register_service(
                by=actor_of(request),
                tenant=request.tenant,
                name=data["name"],
                source=source_of(form),
                description=data["description"],
            )
            messages.success(request, f"Service {data['name']} is registered. A rollout puts it on environments.")
            return redirect("service", version.service_id)
        except (ValidationError, Conflict, ManagerError) as error:
            show_errors(form, error)
    return render(request, "deployon/service_add.html", {"form": form}, status=400 if form.errors else 200)


@needs("service.change")
def version_add(request: TenantRequest, service_id: int) -> HttpResponse:
    """New content for a service; the same content again is the same version."""
    service = get_object_or_404(Service, pk=service_id, tenant=request.tenant)
    form = SourceForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            version, is_new = catalogue.add_version(by=actor_of(request), service=service, source=source_of(form))
            said = "is new" if is_new else "has exactly this content already"
            messages.success(request, f"Version {version.number} {said}.")
            return redirect("service", service.pk)
        except (ValidationError, Conflict, ManagerError) as error:
            show_errors(form, error)
    shown = {"form": form, "service": service}
    return render(request, "deployon/service_add.html", shown, status=400 if form.errors else 200)


@needs("service.view")
def service_detail(request: TenantRequest, service_id: int) -> HttpResponse:
    """Versions with their inputs, and where the service stands."""
    rows = Service.objects.prefetch_related("versions")
    service = get_object_or_404(rows, pk=service_id, tenant=request.tenant)
    placements = (
        Placement.objects.filter(service=service)
        .exclude(state=Placement.State.ABSENT)
        .select_related("environment__deployment__site", "desired_version")
        .order_by("environment__deployment__display_name")
    )
    page = Paginator(placements, PER_PAGE).get_page(request.GET.get("page"))
    shown = {"service": service, "versions": service.versions.all(), "page": page}
    return render(request, "deployon/service.html", shown | rights(request))
