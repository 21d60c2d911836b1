"""Pages: add and change an environment, with the connection ladder beside the form; change its labels."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.forms import show_errors
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.revisions import SEEN, Changed, revision_of
from accounts.revisions import shown as told
from inventory import editable, exposing, labels, probing
from inventory.credentials import sharing
from inventory.forms import EnvironmentForm, LabelsForm
from inventory.models import Environment
from inventory.views import RESERVED, show_environment, shown_labels, tell_outcome, the_environment

UNNEEDED = frozenset({"name", "site", "labels"})  # for a look at the connection


@needs("environment.change")
def environment_add(request: TenantRequest) -> HttpResponse:
    """Expose a remote manager's tenant: saved and checked at once."""
    form = EnvironmentForm(request.POST or None, tenant=request.tenant, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            environment = exposing.expose(by=actor_of(request), tenant=request.tenant, **wanted_of(form))
            tell_outcome(request, environment)
            return redirect("environment", environment.pk)
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    return show_form(request, form)


def wanted_of(form: EnvironmentForm) -> dict[str, Any]:
    """What the form holds in the words of inventory.exposing; parts of the method that was not chosen are left out."""
    data = dict(form.cleaned_data)
    data.pop("may_reuse", None)
    parts = ("token",) if data.pop("method") == "token" else ("username", "password")
    may_mint = data.pop("mint_token", False) and "password" in parts and form.is_credential_given(form.cleaned_data)
    for part in ("token", "username", "password"):
        value, stored = data.pop(part), data.pop(f"{part}_secret")
        if part in parts:
            data[f"{part}_secret" if stored else part] = stored or value
    if may_mint:
        data["mint_token"] = True
    if data["protocol"] == "http":  # nothing is verified there, and the ladder says so
        data["trust"] = "system"
    return data


@needs("environment.change")
def environment_change(request: TenantRequest, environment_id: int) -> HttpResponse:
    """Change what is known of an environment; a credential left empty stays."""
    environment = the_environment(request, environment_id)
    form = EnvironmentForm(request.POST or None, tenant=request.tenant, user=request.user, environment=environment)
    seen, code = request.POST.get(SEEN, ""), 400
    if request.method != "POST":
        seen = revision_of(editable.of_environment(environment))
    if request.method == "POST" and form.is_valid():
        try:
            wanted = wanted_of(form)
            rows = environment.deployment.labels.filter(key__startswith=RESERVED)
            wanted["labels"] = [(label.key, label.value) for label in rows] + wanted["labels"]
            wanted |= {"display_name": wanted.pop("name"), "is_site_given": True, "seen": seen}
            exposing.update_environment(by=actor_of(request), environment=environment, **wanted)
            environment.refresh_from_db()
            tell_outcome(request, environment)
            return redirect("environment", environment.pk)
        except Changed as changed:
            show_errors(form, changed)
            if "display_name" in changed.changes:  # which the form calls by another name
                form.add_error("name", f"Changed meanwhile: it is now {told(changed.changes['display_name'])}.")
            seen, code = changed.revision, 409
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    return show_form(request, form, environment, seen, code)


def show_form(
    request: TenantRequest,
    form: EnvironmentForm,
    environment: Environment | None = None,
    seen: str = "",
    code: int = 400,
) -> HttpResponse:
    """The add and the change page; secrets that were typed are asked for again, as they are never sent back."""
    if form.errors:
        form.ask_again()
    shown: dict[str, Any] = {"form": form, "environment": environment, "seen": seen}
    shown["has_secrets"] = form.has_stored_secrets
    shown["sharing"] = sharing(environment) if environment else 0
    return render(request, "inventory/environment_add.html", shown, status=code if form.errors else 200)


@require_POST
@needs("environment.change")
def environment_check(request: TenantRequest) -> HttpResponse:
    """Fragment: the ladder for what the form holds; saves nothing."""
    known = request.POST.get("environment", "")
    environment = the_environment(request, int(known)) if known.isdigit() else None
    form = EnvironmentForm(request.POST, tenant=request.tenant, user=request.user, environment=environment)
    form.is_valid()  # name, site and labels may still be missing: they are not needed for a look
    if set(form.errors) - UNNEEDED:
        return show_ladder(request, problems=problems_of(form))
    wanted = {name: value for name, value in wanted_of(form).items() if name not in UNNEEDED}
    try:
        found = exposing.check_connection(
            by=actor_of(request), tenant=request.tenant, environment=environment, **wanted
        )
    except (ValidationError, Conflict) as error:
        show_errors(form, error)
        return show_ladder(request, problems=problems_of(form))
    rungs = probing.as_json(found)
    for rung in rungs:
        if rung["key"] == "tls":
            rung["fingerprint"] = found.fingerprint
    return show_ladder(request, rungs=rungs, is_ready=found.is_ready, pinned=wanted.get("fingerprint", ""))


def show_ladder(request: TenantRequest, **shown: Any) -> HttpResponse:
    """The card beside the form."""
    return render(request, "inventory/ladder.html", shown | {"may_pin": True, "is_fragment": True})


def problems_of(form: EnvironmentForm) -> list[str]:
    """What is missing or wrong in the form, a line a field."""
    lines = []
    for name, errors in form.errors.items():
        if name in UNNEEDED:
            continue
        label = form.fields[name].label or name.replace("_", " ").capitalize() if name in form.fields else ""
        lines.append(f"{label}: {errors[0]}" if label else str(errors[0]))
    return lines


@require_POST
@needs("deployment.change")
def environment_labels(request: TenantRequest, environment_id: int) -> HttpResponse:
    """Replace the labels; reserved ones stay. What was typed stays in the field where it is refused."""
    environment = the_environment(request, environment_id)
    form, seen, code = LabelsForm(request.POST), request.POST.get(SEEN, ""), 400
    if form.is_valid():
        rows = environment.deployment.labels.filter(key__startswith=RESERVED)
        kept = [(label.key, label.value) for label in rows]
        try:
            wanted = kept + form.cleaned_data["labels"]
            labels.set_labels(by=actor_of(request), deployment=environment.deployment, labels=wanted, seen=seen)
            messages.success(request, "Labels are saved.")
            return redirect("environment", environment_id)
        except Changed as changed:
            show_errors(form, changed)
            seen, code = changed.revision, 409
        except (ValidationError, Conflict) as error:
            form.add_error("labels", error.messages if isinstance(error, ValidationError) else str(error))
    probes = list(environment.probes.order_by("-id")[:20])
    shown = {"probes": probes, "labels": shown_labels(environment), SEEN: seen}
    return show_environment(request, environment, shown, form, code)
