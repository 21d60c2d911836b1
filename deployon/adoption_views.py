"""Pages: adopting what runs at sub-managers already, and removing there what has no record here; each after a preview."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.permissions import needs
from accounts.requests import TenantRequest
from deployon import adopting, adoption, clearing, sources
from deployon.adoption import Prospect, Wish


def wishes_of(request: TenantRequest) -> list[Wish]:
    """Of fields `stray` = "<environment>:<deployment>", with `service:<the same>` where a name was entered."""
    found = []
    for text in request.POST.getlist("stray"):
        key, _, deployment = text.partition(":")
        if key.isdigit() and len(key) < 19 and deployment:
            found.append(Wish(int(key), deployment, request.POST.get(f"service:{text}", "").strip()))
    return found


@require_POST
@needs("service.change")
def adopt(request: TenantRequest) -> HttpResponse:
    """The preview; with its digest the adoption itself, or the preview anew where the world changed."""
    by, tenant, wishes = actor_of(request), request.tenant, wishes_of(request)
    digest, changed = request.POST.get("digest", ""), ""
    try:
        if digest and request.POST.get("what") == "adopt":
            try:
                done = adopting.adopt(by=by, tenant=tenant, wishes=wishes, digest=digest)
                return shown(request, done, is_done=True)
            except Conflict as error:
                changed = str(error)
        found = adoption.prospects(by=by, tenant=tenant, wishes=wishes)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("orphans")
    return shown(request, found, changed=changed)


def shown(request: TenantRequest, found: list[Prospect], *, is_done: bool = False, changed: str = "") -> HttpResponse:
    """The page, before or after."""
    verdict = "adopted" if is_done else "adopt"
    page = {
        "rows": [(row, sources.shown_all(row.inputs)) for row in found],
        "count": sum(row.verdict == verdict for row in found),
        "digest": adoption.digest_of(found),
        "is_done": is_done,
        "changed": changed,
    }
    return render(request, "deployon/adopt.html", page, status=409 if changed else 200)


@require_POST
@needs("rollout.start")
def remove_there(request: TenantRequest) -> HttpResponse:
    """The preview of a removal; with its digest the run that removes."""
    by, tenant, wishes = actor_of(request), request.tenant, wishes_of(request)
    digest, changed = request.POST.get("digest", ""), ""
    try:
        if digest:
            try:
                run = clearing.start_clearing(by=by, tenant=tenant, wishes=wishes, digest=digest)
                return redirect("run", run.pk)
            except Conflict as error:
                changed = str(error)
        found = clearing.preview_clearing(by=by, tenant=tenant, wishes=wishes)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("orphans")
    page = {
        "rows": found,
        "doomed": [row for row in found if row.verdict == "remove"],
        "digest": clearing.digest_of(found),
        "changed": changed,
    }
    return render(request, "deployon/remove_there.html", page, status=409 if changed else 200)
