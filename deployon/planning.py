"""Pages of a new rollout: choose service, environments, inputs and pace; look at the plan; start it by its digest."""
from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import escape
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.permissions import needs
from deployon import previews, rollouts
from deployon.forms import BLANK_RULE, OPERATORS, InputsForm, rules_of
from deployon.models import Preview, Rollout, Service, ServiceVersion
from inventory.filters import InvalidRule, parse
from inventory.models import Environment

PARTS = (
    ("create", "+", "Create", "it is not there yet"),
    ("remove", "−", "Remove", "it is taken away"),
    ("differs", "≠", "Differs", "left alone, with the reason"),
    ("stays", "=", "Left as is", "nothing to do there"),
    ("excluded", "⊘", "Excluded", "left out, with the reason"),
)


@needs("rollout.start")
def rollout_new(request: HttpRequest) -> HttpResponse:
    """The form; a POST stores the preview and goes on to the review."""
    if request.method == "POST":
        return plan(request)
    if request.GET.get("undo"):
        done = get_object_or_404(Rollout, pk=request.GET["undo"], tenant=request.tenant)  # type: ignore[attr-defined]
        query = QueryDict(mutable=True)
        query.update({"action": "uninstall", "version": str(done.version_id), "max_parallel": str(done.max_parallel)})
        query.setlist("environment", [str(pk) for pk in previews.placed_environments(done)])
        return show_form(request, query, [])
    return show_form(request, asked(request.GET), [])


def asked(query: QueryDict) -> QueryDict:
    """What other pages hand over (label=env=prod, site=London, service=3) in the fields of the form."""
    data = query.copy()
    for pair in query.getlist("label"):
        key, _, value = pair.partition("=")
        add_rule(data, "label", key, value)
    if query.get("site"):
        add_rule(data, "attribute", "site_name", query["site"])
    return data


def add_rule(data: QueryDict, kind: str, key: str, value: str) -> None:
    """Append one rule to the repeated fields."""
    for field, content in (("rule_type", kind), ("rule_key", key), ("rule_operator", "any_of"), ("rule_values", value)):
        data.appendlist(field, content)


def show_form(request: HttpRequest, data: QueryDict, errors: list[str]) -> HttpResponse:
    """The page with what was entered so far."""
    tenant = request.tenant  # type: ignore[attr-defined]
    services = Service.objects.filter(tenant=tenant).prefetch_related("versions").order_by("name")
    version = chosen_version(request, data)
    chosen = Environment.objects.visible_to(request.user, tenant).filter(pk__in=data.getlist("environment"))  # type: ignore[arg-type]
    shown = {
        "services": services,
        "version": version,
        "action": "uninstall" if data.get("action") == "uninstall" else "deploy",
        "rules": rules_of(data) or ([] if data.getlist("environment") else [BLANK_RULE]),
        "blank_rule": BLANK_RULE,
        "operators": OPERATORS,
        "chosen": list(chosen.select_related("deployment")) if data.getlist("environment") else [],
        "inputs_form": inputs_form(version, data),
        "raw_inputs": data.get("raw_inputs", ""),
        "max_parallel": data.get("max_parallel", "10"),
        "failure_budget": data.get("failure_budget", ""),
        "survey": data.get("survey"),
        "errors": errors,
    }
    return render(request, "deployon/rollout_new.html", shown, status=400 if errors else 200)


def chosen_version(request: HttpRequest, data: QueryDict) -> ServiceVersion | None:
    """The version that the form names, the newest of the named service, or the first there is."""
    rows = ServiceVersion.objects.filter(service__tenant=request.tenant).select_related("service")  # type: ignore[attr-defined]
    if data.get("version", "").isdigit():
        return rows.filter(pk=data["version"]).first()
    if data.get("service", "").isdigit():
        rows = rows.filter(service=data["service"])
    return rows.order_by("service__name", "-number").first()


def inputs_form(version: ServiceVersion | None, data: QueryDict) -> InputsForm:
    """Fields for the inputs of the version, filled with what was typed."""
    schema = version.inputs_schema if version else {}
    typed = any(name.startswith("input:") for name in data)
    return InputsForm(schema, data if typed else None)


@needs("rollout.start")
def rollout_inputs(request: HttpRequest) -> HttpResponse:
    """Fragment: the fields of another version."""
    version = chosen_version(request, request.GET)
    return render(request, "deployon/inputs.html", {"version": version, "inputs_form": inputs_form(version, request.GET)})


@needs("rollout.start")
def rollout_count(request: HttpRequest) -> HttpResponse:
    """Fragment: how many environments the rules match now."""
    tenant = request.tenant  # type: ignore[attr-defined]
    try:
        rules = parse(rules_of(request.GET), are_titles_free=True)
    except InvalidRule as error:
        return HttpResponse(escape(reason_of(error)))
    count = Environment.objects.visible_to(request.user, tenant).matching(rules).count()  # type: ignore[arg-type]
    return HttpResponse(f"{count:,} environment{'' if count == 1 else 's'} match")


def plan(request: HttpRequest) -> HttpResponse:
    """Store the preview of what the form asks for and show it; wrong input goes back to the form."""
    data = request.POST
    version = chosen_version(request, data)
    if version is None:
        return show_form(request, data, ["Choose a service and a version."])
    try:
        inputs = inputs_form(version, data).values()
        if data.get("raw_inputs", "").strip():
            inputs |= read_json(data["raw_inputs"])
        named = [int(pk) for pk in data.getlist("environment") if pk.isdigit()]
        where = previews.Where(environments=named) if named else previews.Where(rules=rules_of(data))
        preview = previews.preview_rollout(
            by=actor_of(request),
            tenant=request.tenant,  # type: ignore[attr-defined]
            version=version,
            where=where,
            inputs=inputs,
            action=Rollout.Action.UNINSTALL if data.get("action") == "uninstall" else Rollout.Action.DEPLOY,
            survey=bool(data.get("survey")),
        )
    except InvalidRule as error:
        return show_form(request, data, [reason_of(error)])
    except ValidationError as error:
        return show_form(request, data, error.messages)
    pace = {"max_parallel": data.get("max_parallel") or "10", "failure_budget": data.get("failure_budget") or ""}
    query = QueryDict(mutable=True)
    query.update(pace)
    return redirect(f"{reverse('rollout-review', args=[preview.digest])}?{query.urlencode()}")


def reason_of(error: InvalidRule) -> str:
    """The refusal of a rule in words."""
    return f"This rule does not work: {getattr(error, 'reason', error)}"


def read_json(text: str) -> dict[str, Any]:
    """A JSON object typed by hand."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValidationError(f"The inputs are not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ValidationError('The inputs are not a JSON object: write {"name": "value"}.')
    return value


@needs("rollout.start")
def rollout_review(request: HttpRequest, digest: str) -> HttpResponse:
    """The frozen plan: counts, reasons, one button that says what it will do."""
    tenant = request.tenant  # type: ignore[attr-defined]
    preview = get_object_or_404(Preview.objects.select_related("version__service"), tenant=tenant, digest=digest)
    return show_review(request, preview, request.GET)


def show_review(request: HttpRequest, preview: Preview, pace: QueryDict, changed: str = "") -> HttpResponse:
    """The review page; `changed` says why a start was refused."""
    parts = []
    for key, sign, title, text in PARTS:
        rows = preview.content.get(key, [])
        if rows or (key in ("create", "excluded", "differs", "stays") and preview.action == "deploy"):
            groups: dict[str, list[dict[str, Any]]] = {}
            for row in rows:
                groups.setdefault(row["why"], []).append(row)
            grouped = sorted(groups.items(), key=lambda pair: -len(pair[1]))
            parts.append({"sign": sign, "title": title, "text": text, "rows": rows, "groups": [{"why": why, "rows": some} for why, some in grouped]})
    budget = pace.get("failure_budget", "")
    shown = {
        "version": preview.version,
        "action": preview.action,
        "inputs": preview.inputs,
        "digest": preview.digest,
        "frozen_at": preview.created_at,
        "parts": parts,
        "total": sum(len(part["rows"]) for part in parts),
        "acting": len(preview.content.get("create", [])) + len(preview.content.get("remove", [])),
        "max_parallel": pace.get("max_parallel", "10"),
        "failure_budget": int(budget) if budget.isdigit() else None,
        "key": uuid.uuid4(),
        "back": f"{reverse('rollout-new')}?{form_query(preview, pace)}",
        "changed": changed,
    }
    return render(request, "deployon/review.html", shown, status=409 if changed else 200)


def form_query(preview: Preview, pace: QueryDict) -> str:
    """The form's fields as they led to this preview."""
    query = QueryDict(mutable=True)
    query.update({"version": str(preview.version_id), "action": preview.action})
    query.update({name: pace.get(name, "") for name in ("max_parallel", "failure_budget")})
    for rule in preview.rules:
        for field in ("type", "key", "operator"):
            query.appendlist(f"rule_{field}", rule[field])
        query.appendlist("rule_values", ", ".join(rule["values"]))
    query.setlist("environment", [str(pk) for pk in preview.environments or []])
    for name, value in preview.inputs.items():
        query[f"input:{name}"] = value if isinstance(value, str) else json.dumps(value)
    return query.urlencode()


@require_POST
@needs("rollout.start")
def rollout_start(request: HttpRequest) -> HttpResponse:
    """Do what the digest names; when the world changed since, show the new plan instead."""
    tenant = request.tenant  # type: ignore[attr-defined]
    by = actor_of(request)
    digest = request.POST.get("digest", "")
    budget = request.POST.get("failure_budget", "")
    parallel = request.POST.get("max_parallel", "")
    pace = rollouts.Pace(int(parallel) if parallel.isdigit() else 10, int(budget) if budget.isdigit() else None)
    try:
        key = rollouts.Key(request.POST.get("key") or str(uuid.uuid4()), digest)
        rollout = rollouts.start_rollout(by=by, tenant=tenant, digest=digest, pace=pace, key=key)
    except Conflict as error:
        old = get_object_or_404(Preview.objects.select_related("version__service"), tenant=tenant, digest=digest)
        where = previews.Where(environments=old.environments) if old.environments is not None else previews.Where(rules=old.rules)
        fresh = previews.preview_rollout(by=by, tenant=tenant, version=old.version, where=where, inputs=old.inputs, action=old.action)
        return show_review(request, fresh, request.POST, changed=str(error))
    except ValidationError as error:
        messages.error(request, "; ".join(error.messages))
        return redirect("rollout-new")
    return redirect("rollout", rollout.pk)
