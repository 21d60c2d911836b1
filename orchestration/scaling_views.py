"""Pages: how many instances a deployment has of what; another number is previewed, then the workflow `scale` begins."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.roles import may
from orchestration import executions, scaling, scaling_ends
from orchestration.errors import Refused
from orchestration.models import LocalDeployment
from orchestration.page_reads import ancestors
from orchestration.runner_types import Row
from orchestration.scaling_forms import ScaleForm
from orchestration.scaling_models import Modification
from orchestration.supervisor import supervisor
from orchestration.views import the_local

WORKFLOW = "scale"
SHOWN = 50  # modifications, and ids of instances


@dataclasses.dataclass(frozen=True)
class Outlook:
    """What a change would do, in words of the page; `parameters` are those of the workflow that does it."""

    added: list[tuple[str, int]]
    removed: list[str]
    related: list[str]
    parameters: Row

    @property
    def digest(self) -> str:
        """Tells whether it is still what was looked at. New instances get their ids by chance: they do not count."""
        told = json.dumps([self.added, self.removed, self.related, self.parameters], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


def outlook_of(local: LocalDeployment, one: scaling.Scalable, asked: Row) -> Outlook:
    """Refused where it cannot be."""
    scaling.refuse_second(local)
    there = set(local.instances.values_list("wire_id", flat=True))
    groups = {group["id"] for groups in local.instances.values_list("scaling_groups", flat=True) for group in groups}
    if strangers := [key for key in (*asked["remove"], *asked["keep"]) if key not in there | groups]:
        raise Refused(400, "bad_parameters_error", f"{local.deployment} has no such instances: {', '.join(strangers)}")
    hints = dict(zip(scaling.HINTS, (asked["remove"], asked["keep"]), strict=True))
    wanted = {one.name: {"instances": asked["instances"], **hints}}
    _, found = scaling.outlook(local, supervisor.host, wanted)
    added = Counter(row["name"] for row in found["added_and_related"] if row.get("modification") == "added")
    gone = [row for row in found["removed_and_related"] if row.get("modification") == "removed"]
    # What the preview has shown is what goes.
    named = (
        {group["id"] for row in gone for group in row.get("scaling_groups") or [] if group["name"] == one.name}
        if one.is_group
        else {row["id"] for row in gone if row["name"] == one.name}
    )
    parameters = {"scalable_entity_name": one.name, "delta": asked["instances"] - one.current}
    if named:
        parameters["include_instances"] = sorted(named)
    around = [*found["added_and_related"], *found["removed_and_related"]]
    related = sorted({row["name"] for row in around if not row.get("modification")})
    return Outlook(sorted(added.items()), sorted(row["id"] for row in gone), related, parameters)


@needs("deployment.view", POST="execution.start")
def deployment_scale(request: TenantRequest, deployment_id: int) -> HttpResponse:
    """The numbers, the form of other ones, what that would do, and what was scaled before."""
    local = the_local(request, deployment_id)
    is_own = local.deployment.tenant_id == request.tenant.pk
    known = dict(sorted(scaling.scalables(local).items()))
    posted = request.POST if request.method == "POST" else None
    if posted is not None and not is_own:
        raise Http404
    form = ScaleForm(posted, known=known, initial={"entity": request.GET.get("entity", "")})
    outlook, has_changed = None, False
    if form.is_valid():
        try:
            outlook = outlook_of(local, known[form.cleaned_data["entity"]], form.cleaned_data)
            has_changed = form.data.get("what") == "start"
            if has_changed and form.data.get("shown") == outlook.digest:
                by, parameters = actor_of(request), outlook.parameters
                execution = executions.start(by=by, local=local, workflow=WORKFLOW, parameters=parameters)
                return redirect("execution", deployment_id, execution.pk)
        except Refused as refusal:
            form.add_error(None, refusal.message)
    rows = local.modifications.select_related("created_by", "execution").defer("node_instances")
    shown: dict[str, Any] = {
        "deployment": local.deployment,
        "crumbs": ancestors(local.deployment, request.user, request.tenant),
        "known": list(known.values()),
        "totals": Counter(local.instances.values_list("node__name", flat=True)),
        "form": form,
        "outlook": outlook,
        "has_changed": has_changed and not form.errors,
        "shown_ids": SHOWN,
        "modifications": list(rows[:SHOWN]),
        "is_open": local.modifications.filter(state=Modification.State.STARTED).exists(),
        "may_start": is_own and may(request.user, "execution.start", request.tenant),
    }
    return render(request, "orchestration/scale.html", shown, status=400 if form.errors else 200)


@require_POST
@needs("execution.start")
def modification_rollback(request: TenantRequest, deployment_id: int, modification_id: str) -> HttpResponse:
    """Give up what a `scale` has left open: the old numbers hold again."""
    local = the_local(request, deployment_id)
    if local.deployment.tenant_id != request.tenant.pk:
        raise Http404
    row = get_object_or_404(Modification.objects.filter(local=local), pk=modification_id)
    row.local = local
    try:
        scaling_ends.end_by(by=actor_of(request), row=row, verb="rollback")
        messages.success(request, "Rolled back: the old numbers hold again.")
    except Refused as refusal:
        messages.error(request, refusal.message)
    return redirect("deployment-scale", deployment_id)
