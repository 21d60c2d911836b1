"""Pages: the list of environments and one of them; checking, labelling and removing. Adding and changing is in exposing_views."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.revisions import SEEN, revision_of
from accounts.roles import may
from inventory import editable, exposing
from inventory.choosing import STATES_WORST_FIRST, chosen, read_choice, worst_first
from inventory.credentials import sharing
from inventory.ending import endings
from inventory.filters import InvalidRule, parse
from inventory.forms import LabelsForm
from inventory.forms import shown_labels as label_lines
from inventory.label_columns import in_order_of, read_columns
from inventory.models import Environment, Filter, Label, Site
from inventory.pins import NAMED, pins
from inventory.rule_fields import label_keys, reason_of, rules_of, without_rule, words_of
from inventory.uptime import uptime

PER_PAGE = 50
RESERVED = "csys-"  # labels that the product sets itself
RIGHTS = {
    "may_change": "environment.change",
    "may_probe": "environment.probe",
    "may_label": "deployment.change",
    "may_start": "rollout.start",
}


def rights(request: TenantRequest) -> dict[str, bool]:
    """What the person may do here, for the buttons."""
    return {name: may(request.user, action, request.tenant) for name, action in RIGHTS.items()}


@needs("environment.view")
def environment_list(request: TenantRequest) -> HttpResponse:
    """Environments by filter, search and state, worst first."""
    user, tenant, query = request.user, request.tenant, request.GET
    choice = read_choice(query, user, tenant)
    in_every_state = chosen(choice, user, tenant, in_every_state=True)
    counted = dict(in_every_state.order_by().values_list("state").annotate(Count("pk")))
    rows = in_every_state.filter(state=choice.state) if choice.state else in_every_state
    columns = read_columns(query)
    ordered = in_order_of(worst_first(rows.for_list()), columns, deployment="deployment")
    page = Paginator(ordered, PER_PAGE).get_page(query.get("page"))
    for environment in page:
        environment.shown_labels = labels_here = shown_labels(environment)  # type: ignore[attr-defined]
        environment.cells = [  # type: ignore[attr-defined]
            ", ".join(label["value"] for label in labels_here if label["key"] == one.key) for one in columns
        ]
    rest = query.copy()
    rest.pop("page", None)
    matching = page.paginator.count
    total = matching if choice.is_everything else Environment.objects.visible_to(user, tenant).count()
    shown = {
        "page": page,
        "total": total,
        "counts": [(value, counted.get(value, 0)) for value in STATES_WORST_FIRST],
        "choice": choice,
        "sites": Site.objects.filter(tenant=tenant),
        "saved_filters": Filter.objects.visible_to(user, tenant).filter(is_system=False).order_by("name"),
        "chosen_labels": chosen_labels(query),
        "chosen_rules": chosen_rules(query),
        "vocabulary": vocabulary(tenant.pk),
        "is_filtered": not choice.is_everything,
        "address": f"?{rest.urlencode()}" if rest else "",
        "columns": columns,
        "sort": query.get("sort", "") if any(one.direction for one in columns) else "",
        "label_keys": label_keys(tenant.pk),
    }
    return render(request, "inventory/environments.html", shown | rights(request))


@needs("environment.view")
def environment_map(request: TenantRequest) -> HttpResponse:
    """The part of the list that says where they are: loaded by the page after its table, and only while the map is open."""
    user, tenant = request.user, request.tenant
    found = pins(chosen(read_choice(request.GET, user, tenant), user, tenant))
    on_map = [pin for pin in found if pin.is_on_map]
    shown = {
        "pins": [pin.to_json() for pin in on_map],
        "named": [pin for pin in found if pin.troubles][:NAMED] or found[:NAMED],
        "is_trouble": any(pin.troubles for pin in found),
        "sites": len(found),
        "off_map": [pin for pin in found if not pin.is_on_map],
    }
    return render(request, "inventory/map.html", shown)


def shown_labels(environment: Environment) -> list[dict[str, str]]:
    """Labels that people set, from what was read with the page."""
    found = [label for label in environment.deployment.labels.all() if not label.key.startswith(RESERVED)]
    found.sort(key=lambda label: (label.key, label.value))
    return [{"key": label.key, "value": label.value, "pair": f"{label.key}={label.value}"} for label in found]


def chosen_labels(query: QueryDict) -> list[dict[str, str]]:
    """Label chips with the address that removes each."""
    chips = []
    for pair in dict.fromkeys(filter(None, query.getlist("label"))):
        rest = query.copy()
        rest.setlist("label", [other for other in query.getlist("label") if other and other != pair])
        rest.pop("page", None)
        key, sign, value = pair.partition("=")
        chips.append({"key": key, "value": value, "pair": pair, "has_value": sign, "remove": f"?{rest.urlencode()}"})
    return chips


def chosen_rules(query: QueryDict) -> list[dict[str, Any]]:
    """The rules of the builder as chips, each with the address without it."""
    chips = []
    for place, rule in enumerate(rules_of(query)):
        rest = without_rule(query, place)
        rest.pop("page", None)
        chips.append({"words": words_of(rule), "rule": rule, "remove": f"?{rest.urlencode()}"})
    return chips


@needs("environment.view")
def environments_count(request: TenantRequest) -> HttpResponse:
    """Fragment: how many environments the rules of a form match now, and in which states those are."""
    shown: dict[str, Any] = {}
    try:
        rules = parse(rules_of(request.GET), are_titles_free=True)
        rows = Environment.objects.visible_to(request.user, request.tenant).matching(rules)
        counted = dict(rows.order_by().values_list("state").annotate(Count("pk")))
        states = [(state, counted[state]) for state in STATES_WORST_FIRST if state in counted]
        shown = {"total": sum(counted.values()), "states": states}
    except InvalidRule as error:
        shown = {"problem": reason_of(error)}
    return render(request, "inventory/count.html", shown)


def vocabulary(tenant_id: int) -> list[str]:
    """Up to 200 "key=value" in use, for suggestions."""
    rows = Label.objects.filter(deployment__tenant=tenant_id, deployment__kind="environment").exclude(
        key__startswith=RESERVED
    )
    return [
        f"{key}={value}" for key, value in rows.values_list("key", "value").distinct().order_by("key", "value")[:200]
    ]


def the_environment(request: TenantRequest, environment_id: int) -> Environment:
    """An environment that the person may see, or 404."""
    rows = Environment.objects.visible_to(request.user, request.tenant)
    return get_object_or_404(rows.for_list(), pk=environment_id)


@needs("environment.view")
def environment_detail(request: TenantRequest, environment_id: int) -> HttpResponse:
    """What it is, its state and why, what stands there, the ladder of the last check."""
    environment = the_environment(request, environment_id)
    probes = list(environment.probes.order_by("-id")[:20])
    for probe in probes:
        failed = next((rung for rung in probe.rungs if rung["state"] == "failed"), None)
        probe.failed_title = f"{failed['title']}: {failed['detail']}" if failed else probe.failed_rung  # type: ignore[attr-defined]
    chips = shown_labels(environment)
    text = label_lines((label["key"], label["value"]) for label in chips)
    return show_environment(
        request, environment, {"probes": probes, "labels": chips}, LabelsForm(initial={"labels": text})
    )


def show_environment(
    request: TenantRequest, environment: Environment, shown: dict[str, Any], form: LabelsForm, status: int = 200
) -> HttpResponse:
    """The page of one environment."""
    probes = shown["probes"]
    shown.setdefault(SEEN, revision_of(editable.of_labels(environment.deployment)))
    shown |= {
        "uptime": uptime(list(environment.probes.order_by("-id").only("at", "is_ready", "milliseconds"))),
        "probe_every": settings.PROBE_EVERY_SECONDS,
        "sharing": sharing(environment),
        "endings": endings(environment),
        "environment": environment,
        "placements": environment.placements.exclude(state="absent").select_related("service", "desired_version"),
        "rungs": list(probes[0].rungs) if probes else [],
        "labels_form": form,
    }
    return render(request, "inventory/environment.html", shown | rights(request), status=status)


def tell_outcome(request: TenantRequest, environment: Environment) -> None:
    """Say how a look went."""
    if environment.state == Environment.State.READY:
        messages.success(request, f"{environment} is ready: every rung of the connection holds.")
    else:
        messages.warning(request, f"{environment} is {environment.get_state_display().lower()}: {environment.why}")


@require_POST
@needs("environment.probe")
def environment_probe(request: TenantRequest, environment_id: int) -> HttpResponse:
    """Climb the ladder now."""
    environment = the_environment(request, environment_id)
    exposing.probe(environment)
    environment.refresh_from_db()
    tell_outcome(request, environment)
    return redirect("environment", environment_id)


@require_POST
@needs("environment.change")
def environment_remove(request: TenantRequest, environment_id: int) -> HttpResponse:
    """Forget an environment; with its name typed once more, what stands on it as well."""
    environment = the_environment(request, environment_id)
    name, typed = str(environment), request.POST.get("confirm", "").strip()
    if typed and typed != name:
        messages.error(request, f"To forget what stands there too, type its name exactly as it is written: {name}")
        return redirect("environment", environment_id)
    try:
        exposing.hide(by=actor_of(request), environment=environment, force=bool(typed))
        messages.success(request, f"{name} is removed from here. Nothing was changed at the manager.")
        return redirect("environments")
    except Conflict as error:
        messages.error(request, str(error))
        return redirect("environment", environment_id)
