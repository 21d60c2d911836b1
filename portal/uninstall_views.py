"""Page: the uninstall of many deployments and of services on environments, after a look at what stands where and who placed it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.actors import actor_of
from accounts.permissions import needs
from accounts.requests import TenantRequest
from deployon.forms import PaceForm as RolloutPaceForm
from deployon.rollouts import Pace
from orchestration import bulk_runs
from orchestration.bulk_forms import PaceForm
from orchestration.bulk_views import refused_choice, surroundings, the_group, the_rows
from orchestration.errors import Refused
from orchestration.exposed import UNINSTALL
from orchestration.value_fields import ValuesForm
from portal import uninstalling
from portal.uninstalling import Begun, Changed, Wanted


@needs("execution.start")
def deployments_uninstall(request: TenantRequest) -> HttpResponse:
    """What would be uninstalled by its workflow here, what by rollouts, what is left alone and why; then the start of it all."""
    rows = the_rows(request)
    if refusal := refused_choice(request, rows):
        return refusal
    offer = next((one for one in bulk_runs.offers(rows) if one.name == UNINSTALL), None)
    posted = request.POST if request.method == "POST" else None
    values = ValuesForm(offer.parameters if offer else {}, posted)
    pace = PaceForm(posted if posted is not None else {"concurrency": PaceForm.base_fields["concurrency"].initial})
    rollout_pace = RolloutPaceForm(posted if posted is not None else {})
    is_right = all([posted is None or values.is_valid(), pace.is_valid(), rollout_pace.is_valid()])
    whole, has_changed, by, survey = None, False, actor_of(request), bool(posted and posted.get("survey"))
    if is_right:
        wanted = Wanted(
            values.values(),
            pace.cleaned_data["concurrency"],
            pace.cleaned_data["force"],
            Pace(rollout_pace.cleaned_data["max_parallel"], rollout_pace.cleaned_data["failure_budget"]),
            survey,
        )
        asked: dict[str, Any] = {"by": by, "tenant": request.tenant, "rows": rows, "wanted": wanted}
        if posted is not None and posted.get("what") == "start":
            try:
                begun = uninstalling.start(**asked, digest=posted.get("shown", ""), group=the_group(request))
                return go_to(request, begun)
            except Changed as changed:
                whole, has_changed = changed.whole, True
            except Refused as refusal_:
                pace.add_error(None, refusal_.message)
            except ValidationError as error:
                pace.add_error(None, " ".join(error.messages))
        whole = whole or uninstalling.preview(**asked)
    shown = surroundings(request, rows, whole.here if whole else None) | {
        "whole": whole,
        "digest": whole.digest if whole else "",
        "offer": offer,
        "values": values,
        "form": pace,
        "rollout_pace": rollout_pace,
        "survey": survey,
        "has_changed": has_changed,
    }
    return render(request, "portal/uninstall.html", shown, status=200 if is_right and not pace.errors else 400)


def go_to(request: TenantRequest, begun: Begun) -> HttpResponse:
    """The page of what was begun; the list of rollouts where it is several, with the rest in words."""
    addresses = [reverse("rollout", args=[one.pk]) for one in begun.rollouts]
    if begun.group is not None:
        addresses.append(reverse("execution-group", args=[begun.group.pk]))
    if len(addresses) > 1:
        many = len(begun.rollouts)
        said = f"{many} rollout{'' if many == 1 else 's'} began: {', '.join(str(one) for one in begun.rollouts)}."
        if begun.group is not None:
            said += " Deployments made here are uninstalled by the execution group shown."
        messages.success(request, said)
    if begun.group is None and len(addresses) > 1:
        return redirect("rollouts")
    return redirect(addresses[-1])
