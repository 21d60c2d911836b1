"""Pages of a new rollout: look at the frozen plan, then start it by its digest."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.permissions import needs
from accounts.requests import TenantRequest
from deployon import previews, rollouts, sources
from deployon.estimates import estimate
from deployon.forms import PaceForm
from deployon.models import Preview, Rollout
from deployon.sources import Sources
from deployon.verdicts import ACTING
from deployon.workflows import Workflow

# (kind in the plan, sign, title, what it means)
PARTS = (
    ("create", "+", "Create", "It is not there yet"),
    ("update", "↑", "Update", "It is there in another way"),
    ("run", "▸", "Run", "The workflow runs there"),
    ("remove", "−", "Remove", "It is taken away"),
    ("differs", "≠", "Differs", "Left alone, with the reason"),
    ("stays", "=", "Left as is", "Nothing to do there"),
    ("excluded", "⊘", "Excluded", "Left out, with the reason"),
)
DOES = {  # the parts that an action may have besides those that are left alone
    Rollout.Action.DEPLOY: ("create",),
    Rollout.Action.UPDATE: ("create", "update"),
    Rollout.Action.WORKFLOW: ("run",),
    Rollout.Action.UNINSTALL: ("remove",),
}
MOST_ROWS = 200  # of environments whose own inputs or steps are listed


def by_reason(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """[{"why", "rows"}] of a plan's rows, the most frequent reason first."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["why"], []).append(row)
    return [{"why": why, "rows": some} for why, some in sorted(groups.items(), key=lambda pair: -len(pair[1]))]


def common_of(preview: Preview) -> list[dict[str, Any]]:
    """Inputs that are the same everywhere, each with where it comes from."""
    given, own = set(preview.content.get("given", [])), Sources.stored(preview.sources).names
    schema = preview.version.inputs_schema
    rows = []
    for name, value in preview.inputs.items():
        is_default = name not in given or value == schema.get(name, {}).get("default")
        origin = "default of the blueprint" if is_default else "entered for all"
        rest = "; environments below have their own" if name in own else ""
        rows.append({"name": name, "value": sources.shown(name, value), "origin": f"{origin}{rest}"})
    return rows


def by_steps(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """[{"steps", "rows"}] of updates that take the same steps, the most frequent first; those whose steps are not known are left out."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row.get("steps"):
            groups.setdefault(tuple(row["steps"]), []).append(row)
    return [{"steps": steps, "rows": some} for steps, some in sorted(groups.items(), key=lambda pair: -len(pair[1]))]


def own_cell(row: dict[str, Any], name: str) -> dict[str, Any] | None:
    """A value of one environment with its origin; None where the common one holds."""
    value, origin = row["own"].get(name, (None, ""))
    return {"value": sources.shown(name, value), "origin": origin} if origin else None


def verb_of(preview: Preview, content: dict[str, Any]) -> str:
    """What the button says: "create 3, update 2"."""
    words = {"create": "create", "update": "update", "run": f"run {preview.workflow} on", "remove": "remove from"}
    return ", ".join(f"{words[kind]} {len(content[kind]):,}" for kind in ACTING if content.get(kind))


def the_preview(request: TenantRequest, digest: str) -> Preview:
    """A preview of the current tenant, or 404."""
    rows = Preview.objects.select_related("version__service", "created_by")
    return get_object_or_404(rows, tenant=request.tenant, digest=digest)


@needs("rollout.start")
def rollout_review(request: TenantRequest, digest: str) -> HttpResponse:
    """The frozen plan: counts, reasons, one button that says what it will do."""
    return show_review(request, the_preview(request, digest), request.GET)


def show_review(request: TenantRequest, preview: Preview, asked: QueryDict, changed: str = "") -> HttpResponse:
    """The review page; `changed` says why a start was refused."""
    pace = PaceForm(asked)
    if not pace.is_valid():
        pace = PaceForm({})
        pace.is_valid()
    content, does = preview.content, DOES[Rollout.Action(preview.action)]
    parts = [
        {
            "sign": sign,
            "title": title,
            "text": text,
            "rows": content.get(kind, []),
            "groups": by_reason(content.get(kind, [])),
            "is_acting": kind in ACTING,
        }
        for kind, sign, title, text in PARTS
        if kind in does or kind not in ACTING
    ]
    acting = sum(len(content.get(kind, [])) for kind in ACTING)
    own = [row for kind in ACTING for row in content.get(kind, []) if row.get("own")]
    query = QueryDict(mutable=True)
    query.update({"again": preview.digest, **pace.as_query()})
    shown = {
        "preview": preview,
        "version": preview.version,
        "action": preview.action,
        "inputs": common_of(preview),
        "own_names": (names := list(dict.fromkeys(name for row in own for name in row["own"]))),
        "own_rows": [(row, [own_cell(row, name) for name in names]) for row in own[:MOST_ROWS]],
        "own_count": len(own),
        "unused": content.get("unused", []),
        "stepping": by_steps(content.get("update", [])),
        "parameters": sources.shown_all(preview.parameters),
        "verb": verb_of(preview, content),
        "parts": parts,
        "total": sum(len(part["rows"]) for part in parts),
        "acting": acting,
        "left": sum(len(content.get(kind, [])) for kind in ("differs", "stays", "excluded")),
        "max_parallel": pace.cleaned_data["max_parallel"],
        "failure_budget": pace.cleaned_data["failure_budget"],
        "takes": estimate(preview.version.service_id, preview.action, acting, pace.cleaned_data["max_parallel"]),
        "is_surveyed": bool(content.get("found")),
        "key": uuid.uuid4(),
        "back": f"{reverse('rollout-new')}?{query.urlencode()}",
        "changed": changed,
    }
    return render(request, "deployon/review.html", shown, status=409 if changed else 200)


@require_POST
@needs("rollout.start")
def rollout_start(request: TenantRequest) -> HttpResponse:
    """Do what the digest names; when the world changed since, show the new plan instead."""
    by, tenant, digest = actor_of(request), request.tenant, request.POST.get("digest", "")
    form = PaceForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Nothing was started: {form.first_error()}")
        return redirect(f"{reverse('rollout-new')}?again={digest}")
    pace = rollouts.Pace(form.cleaned_data["max_parallel"], form.cleaned_data["failure_budget"])
    key = rollouts.Key(request.POST.get("key") or str(uuid.uuid4()), digest)
    try:
        rollout = rollouts.start_rollout(by=by, tenant=tenant, digest=digest, pace=pace, key=key)
    except Conflict as error:
        fresh = look_again(request, the_preview(request, digest))
        return show_review(request, fresh, request.POST, changed=str(error).removesuffix(" Preview again."))
    except ValidationError as error:
        messages.error(request, f"Nothing was started: {' '.join(error.messages)}")
        return redirect("rollout-new")
    return redirect("rollout", rollout.pk)


def look_again(request: TenantRequest, old: Preview) -> Preview:
    """The same question asked now."""
    named = old.environments is not None
    where = previews.Where(environments=old.environments) if named else previews.Where(rules=old.rules)
    return previews.preview_rollout(
        by=actor_of(request),
        tenant=request.tenant,
        version=old.version,
        where=where,
        inputs=old.inputs,
        action=old.action,
        survey=bool(old.content.get("found")),
        own=Sources.stored(old.sources),
        workflow=Workflow(old.workflow, old.parameters),
    )
