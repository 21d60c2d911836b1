"""Pages of a new rollout: choose service, environments, inputs and pace; the plan is then looked at in reviewing."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse

from accounts.actors import actor_of
from accounts.permissions import needs
from accounts.requests import TenantRequest
from deployon import previews
from deployon.drafts import (
    WORKFLOW,
    Draft,
    asked,
    chosen_version,
    draft_of_preview,
    draft_of_undo,
    number,
    read_own,
    schema_of,
)
from deployon.forms import InputsForm, PaceForm, inputs_of
from deployon.models import Service, ServiceVersion
from deployon.workflows import Workflow
from inventory.filters import InvalidRule
from inventory.models import Environment
from inventory.rule_fields import label_keys, reason_of, rules_of, shown_rules


@needs("rollout.start")
def rollout_new(request: TenantRequest) -> HttpResponse:
    """The form; a POST stores the preview and goes on to the review."""
    if request.method == "POST":
        return plan(request)
    if request.GET.get("undo"):
        return show_form(request, draft_of_undo(request))
    if request.GET.get("again"):
        return show_form(request, draft_of_preview(request))
    data = asked(request)
    if data is None:
        messages.error(request, "No environment matches any more, so there is nothing to deploy to. Change the filter.")
        return redirect(f"{reverse('environments')}?{request.GET.urlencode()}")
    version = chosen_version(request, data)
    pace = PaceForm(initial={name: data[name] for name in PaceForm.base_fields if name in data})
    return show_form(request, Draft(data, version, InputsForm(schema_of(version)), pace))


def show_form(request: TenantRequest, draft: Draft) -> HttpResponse:
    """The page with what was entered so far."""
    tenant, data = request.tenant, draft.data
    named = draft.environments
    seen = Environment.objects.visible_to(request.user, tenant)
    has_errors = bool(draft.errors or draft.rules_error or draft.inputs.errors or draft.pace.errors)
    shown = {
        "services": Service.objects.filter(tenant=tenant).prefetch_related("versions").order_by("name"),
        "version": draft.version,
        "action": draft.action,
        "has_inputs": draft.has_inputs,
        "note": draft.note,
        "workflow": data.get("workflow", ""),
        "raw_parameters": data.get("raw_parameters", ""),
        "inputs_from": data.get("inputs_from", ""),
        "table_text": data.get("table_text", ""),
        "keys": label_keys(tenant.pk),
        "chosen": list(seen.filter(pk__in=named).select_related("deployment").order_by("deployment__display_name")),
        "environments": ",".join(map(str, named)),
        "inputs_form": draft.inputs,
        "raw_inputs": data.get("raw_inputs", ""),
        "pace_form": draft.pace,
        "survey": data.get("survey"),
        "errors": draft.errors,
        "has_errors": has_errors,
        **shown_rules(rules_of(data), draft.rules_error, draft.wrong_rule),
    }
    return render(request, "deployon/rollout_new.html", shown, status=400 if has_errors else 200)


@needs("rollout.start")
def rollout_inputs(request: TenantRequest) -> HttpResponse:
    """Fragment: the fields of another version; what was typed for the one before stays where the names are the same."""
    version = chosen_version(request, request.GET)
    before = ServiceVersion.objects.filter(
        pk=number(request.GET.get("inputs_of", "")), service__tenant=request.tenant
    ).first()
    typed = InputsForm(schema_of(before), request.GET).changed_values()
    given = {name: value for name, value in typed.items() if name in schema_of(version)}
    shown = {"version": version, "inputs_form": InputsForm(schema_of(version), given=given)}
    return render(request, "deployon/inputs.html", shown)


def plan(request: TenantRequest) -> HttpResponse:
    """Store the preview of what the form asks for and go on to its review; wrong input goes back to the form."""
    data = request.POST.copy()
    version = chosen_version(request, data)
    draft = Draft(data, version, InputsForm({}), PaceForm(data))
    schema = schema_of(version) if draft.has_inputs else {}
    if version is None:
        draft.errors.append("Choose a service and a version.")
    if draft.has_inputs:
        try:
            upload = request.FILES.get("table")
            draft.own = read_own(data, upload if isinstance(upload, UploadedFile) else None, version)
        except ValidationError as error:
            draft.errors += error.messages
    draft.inputs = InputsForm(schema, data, elsewhere=draft.own.names)
    is_right = all([draft.inputs.is_valid(), draft.pace.is_valid(), not draft.errors])
    if not is_right or version is None:
        return show_form(request, draft)
    try:
        inputs = draft.inputs.values() | read_json(data.get("raw_inputs", ""))
        is_workflow = draft.action == WORKFLOW
        parameters = read_json(data.get("raw_parameters", ""), "parameters") if is_workflow else {}
        named = draft.environments
        preview = previews.preview_rollout(
            by=actor_of(request),
            tenant=request.tenant,
            version=version,
            where=previews.Where(environments=named) if named else previews.Where(rules=rules_of(data)),
            inputs=inputs if draft.has_inputs else {},
            action=draft.action,
            survey=bool(data.get("survey")),
            own=draft.own,
            workflow=Workflow(data.get("workflow", "").strip() if is_workflow else "", parameters),
        )
    except InvalidRule as error:
        draft.rules_error, draft.wrong_rule = reason_of(error), error.rule
        return show_form(request, draft)
    except ValidationError as error:
        note_errors(draft, version, error)
        return show_form(request, draft)
    query = QueryDict(mutable=True)
    query.update(draft.pace.as_query())
    return redirect(f"{reverse('rollout-review', args=[preview.digest])}?{query.urlencode()}")


def note_errors(draft: Draft, version: ServiceVersion, error: ValidationError) -> None:
    """Put what the service refused beside the inputs it speaks of; the schema may have become known only now."""
    if version.inputs_schema != draft.inputs.schema and draft.has_inputs:
        draft.inputs = InputsForm(version.inputs_schema, inputs_of(draft.data), elsewhere=draft.own.names)
        draft.inputs.is_valid()
    for name, words in getattr(error, "message_dict", {"": error.messages}).items():
        field = f"input:{name.removeprefix('inputs.')}"
        if field in draft.inputs.fields:
            if field not in draft.inputs.errors:
                draft.inputs.add_error(field, words)
        elif name == "rules":
            draft.rules_error = " ".join(words)
        else:
            draft.errors += words


def read_json(text: str, what: str = "inputs") -> dict[str, Any]:
    """A JSON object typed by hand."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValidationError(f'The {what} are not JSON: {error}. Write {{"name": "value"}}.') from error
    if not isinstance(value, dict):
        raise ValidationError(f'The {what} are not a JSON object. Write {{"name": "value"}}.')
    return value
