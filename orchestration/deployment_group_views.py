"""Pages: deployment groups, their members, and what is done with all of them; made from a choice of the list."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.models import Visibility
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.roles import may
from inventory.models import Deployment
from inventory.querysets import visible
from orchestration import group_members, groups
from orchestration.bulk_forms import GroupForm
from orchestration.bulk_views import refused_choice, surroundings, the_rows
from orchestration.errors import Refused
from orchestration.group_models import DeploymentGroup
from orchestration.group_reads import groups_seen, progress_of
from orchestration.page_reads import address_of

PER_PAGE = 50
LATEST = 10  # execution groups on the page of a group


def seen(request: TenantRequest) -> QuerySet[DeploymentGroup]:
    """Groups that the person may see."""
    rows = DeploymentGroup.objects.filter(visible(request.user, request.tenant))
    return rows.select_related("tenant", "created_by", "default_blueprint").defer("default_blueprint__plan")


@needs("deployment.view")
def deployment_group_list(request: TenantRequest) -> HttpResponse:
    """All of them by name."""
    search = request.GET.get("q", "").strip()
    rows = seen(request).filter(wire_id__icontains=search) if search else seen(request)
    page = Paginator(rows.annotate(size=Count("members")).order_by("wire_id"), PER_PAGE).get_page(
        request.GET.get("page")
    )
    return render(request, "orchestration/deployment_groups.html", {"page": page, "search": search})


@needs("deployment.view")
def deployment_group_detail(request: TenantRequest, group_id: int) -> HttpResponse:
    """Its members, as far as the person sees them, and what ran on it."""
    group = get_object_or_404(seen(request), pk=group_id)
    user, tenant = request.user, request.tenant
    members = Deployment.objects.visible_to(user, tenant).filter(deployment_groups=group)
    rows = members.select_related("environment", "placement", "site").order_by("display_name", "pk")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    for row in page:
        row.address = address_of(row)  # type: ignore[attr-defined]
    ran = list(groups_seen(user, tenant).filter(deployment_group=group)[:LATEST])
    progress = progress_of(ran, user, tenant)
    is_own = group.tenant_id == tenant.pk
    shown = {
        "group": group,
        "page": page,
        "ran": [(one, progress[str(one.pk)]) for one in ran],
        "labels": group.labels,
        "may_start": is_own and may(user, "execution.start", tenant),
        "may_change": is_own and may(user, "deployment.change", tenant),
    }
    return render(request, "orchestration/deployment_group.html", shown)


@needs("deployment.change")
def deployments_group(request: TenantRequest) -> HttpResponse:
    """Put what was chosen into a group, a new one or one that is there."""
    rows = the_rows(request)
    if refusal := refused_choice(request, rows):
        return refusal
    own = [row for row in rows if row.tenant_id == request.tenant.pk]
    form = GroupForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        name, by = form.cleaned_data["name"], actor_of(request)
        there = DeploymentGroup.objects.filter(tenant=request.tenant, wire_id=name).first()
        try:
            if there is not None and not seen(request).filter(pk=there.pk).exists():
                raise Refused(409, "conflict_error", f"The id {name} is taken. Choose another one.")
            with transaction.atomic():
                group = groups.find_or_make(by=by, tenant=request.tenant, wire_id=name, visibility=Visibility.TENANT)
                group_members.add(by=by, group=group, rows=own)
            messages.success(request, f"{len(own):,} deployment{'' if len(own) == 1 else 's'} in group {name}.")
            return redirect("deployment-group", group.pk)
        except Refused as refused:
            form.add_error("name", refused.message)
        except ValidationError as error:
            form.add_error("name", error)
    shown = surroundings(request, rows, None) | {
        "form": form,
        "others": len(rows) - len(own),
        "known": seen(request)
        .filter(tenant=request.tenant)
        .order_by("wire_id")
        .values_list("wire_id", flat=True)[:100],
    }
    return render(request, "orchestration/bulk_group.html", shown, status=400 if form.errors else 200)


@require_POST
@needs("deployment.change")
def deployment_group_act(request: TenantRequest, group_id: int, verb: str) -> HttpResponse:
    """Take ticked members out of it, or remove the group; deployments stay."""
    group = get_object_or_404(seen(request), pk=group_id)
    if group.tenant_id != request.tenant.pk or verb not in ("shrink", "delete"):
        raise Http404
    if verb == "delete":
        groups.delete(by=actor_of(request), group=group)
        messages.success(request, f"Group {group} is removed. Its deployments stay as they are.")
        return redirect("deployment-groups")
    picked = [int(pk) for pk in request.POST.getlist("selected") if pk.isdigit() and len(pk) < 19]
    rows = list(
        Deployment.objects.visible_to(request.user, request.tenant).filter(pk__in=picked, deployment_groups=group)
    )
    if rows:
        with transaction.atomic():
            groups.lock(group)
            group_members.remove(by=actor_of(request), group=group, rows=rows)
        messages.success(request, f"{len(rows):,} taken out of {group}. Labels that they got by it stay with them.")
    else:
        messages.error(request, "Nothing was done: tick the members first.")
    return redirect("deployment-group", group_id)
