"""Pages: environments (list, add, change, detail, check), their labels, sites."""
from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Case, Count, IntegerField, QuerySet, Value, When
from django.forms import Form
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.permissions import needs
from accounts.roles import may
from inventory import exposing, labels, sites
from inventory.filters import InvalidRule, parse
from inventory.forms import STATES_WORST_FIRST, EnvironmentForm, LabelsForm, SiteForm
from inventory.models import Environment, Filter, Label, Probe, Site


def rights(request: HttpRequest) -> dict[str, bool]:
    """What the person may do here, for the buttons."""
    tenant = request.tenant  # type: ignore[attr-defined]
    wanted = {
        "may_change": "environment.change",
        "may_probe": "environment.probe",
        "may_label": "deployment.change",
        "may_start": "rollout.start",
    }
    return {name: may(request.user, action, tenant) for name, action in wanted.items()}  # type: ignore[arg-type]


def rules_of(query: QueryDict) -> list[dict[str, Any]]:
    """Filter rules from the address: label=env=prod (several: all must hold) and site=London."""
    rules: list[dict[str, Any]] = []
    for pair in query.getlist("label"):
        key, sign, value = pair.partition("=")
        if key.strip() and not sign:
            rules.append({"type": "label", "key": key.strip(), "operator": "is_not_null", "values": []})
        elif key.strip():
            rules.append({"type": "label", "key": key.strip(), "operator": "any_of", "values": [value.strip()]})
    if query.get("site"):
        rules.append({"type": "attribute", "key": "site_name", "operator": "any_of", "values": [query["site"]]})
    return rules


def worst_first(rows: QuerySet[Environment]) -> QuerySet[Environment]:
    """Ordered by severity, then by name."""
    severity = Case(
        *[When(state=state, then=Value(place)) for place, state in enumerate(STATES_WORST_FIRST)],
        default=Value(99),
        output_field=IntegerField(),
    )
    return rows.order_by(severity, "deployment__display_name", "pk")


@needs("environment.view")
def environment_list(request: HttpRequest) -> HttpResponse:
    """Environments by filter, search and state, worst first."""
    tenant = request.tenant  # type: ignore[attr-defined]
    seen = Environment.objects.visible_to(request.user, tenant)  # type: ignore[arg-type]
    query, problem = request.GET, ""
    saved = Filter.objects.visible_to(request.user, tenant)  # type: ignore[arg-type]
    rules = rules_of(query)
    if query.get("filter"):
        chosen = saved.filter(name=query["filter"]).first()
        rules += chosen.rules if chosen else []
        problem = "" if chosen else f"There is no saved filter {query['filter']}."
    try:
        rows = seen.matching(parse(rules, are_titles_free=True))
    except InvalidRule as error:
        rows, problem = seen.none(), f"This filter does not work: {error.reason}"
    search = query.get("q", "").strip()
    if search:
        rows = rows.search(search)
    counted = dict(rows.order_by().values_list("state").annotate(Count("pk")))
    state = query.get("state", "")
    if state in Environment.State.values:
        rows = rows.filter(state=state)
    page = Paginator(worst_first(rows.for_list()), 50).get_page(query.get("page"))
    for environment in page:
        environment.shown_labels = [  # type: ignore[attr-defined]
            {"key": label.key, "value": label.value, "pair": f"{label.key}={label.value}"}
            for label in environment.deployment.labels.all()
            if not label.key.startswith("csys-")
        ]
    shown = {
        "page": page,
        "total": seen.count() if rules or search or state else page.paginator.count,
        "counts": [(value, counted.get(value, 0)) for value in STATES_WORST_FIRST],
        "state": state,
        "search": search,
        "site": query.get("site", ""),
        "sites": Site.objects.filter(tenant=tenant),
        "saved": query.get("filter", ""),
        "saved_filters": saved.filter(is_system=False).order_by("name"),
        "chosen_labels": chosen_labels(query),
        "vocabulary": vocabulary(tenant.pk),
        "is_filtered": bool(rules or search or state or query.get("filter")),
        "filter_error": problem,
        "rollout_query": f"?{query.urlencode()}" if query else "",
    }
    return render(request, "inventory/environments.html", shown | rights(request))


def chosen_labels(query: QueryDict) -> list[dict[str, str]]:
    """Label chips with the address that removes each."""
    chips = []
    for pair in filter(None, query.getlist("label")):
        rest = query.copy()
        rest.setlist("label", [other for other in query.getlist("label") if other and other != pair])
        rest.pop("page", None)
        key, _, value = pair.partition("=")
        chips.append({"key": key, "value": value, "remove": f"?{rest.urlencode()}"})
    return chips


def vocabulary(tenant_id: int) -> list[str]:
    """Up to 200 "key=value" in use, for suggestions."""
    rows = Label.objects.filter(deployment__tenant=tenant_id, deployment__kind="environment").exclude(key__startswith="csys-")
    return [f"{key}={value}" for key, value in rows.values_list("key", "value").distinct().order_by("key", "value")[:200]]


@require_POST
@needs("environment.probe")
def environments_probe(request: HttpRequest) -> HttpResponse:
    """Bulk: check the selected ones now, or go on to a rollout on them."""
    tenant = request.tenant  # type: ignore[attr-defined]
    chosen = [pk for pk in request.POST.getlist("selected") if pk.isdigit()]
    rows = list(Environment.objects.visible_to(request.user, tenant).filter(pk__in=chosen))  # type: ignore[arg-type]
    if not rows:
        messages.error(request, "Select the environments first.")
        return redirect("environments")
    if request.POST.get("what") == "rollout":
        query = QueryDict(mutable=True)
        query.setlist("environment", [str(row.pk) for row in rows])
        return redirect(f"{reverse('rollout-new')}?{query.urlencode()}")
    run = exposing.probe_many(by=actor_of(request), tenant=tenant, environments=rows)
    messages.success(request, f"Checking {len(rows)} environments.")
    return redirect("run", run.pk)


@needs("environment.change")
def environment_add(request: HttpRequest) -> HttpResponse:
    """Expose a remote manager's tenant: saved and checked at once."""
    tenant = request.tenant  # type: ignore[attr-defined]
    form = EnvironmentForm(request.POST or None, tenant=tenant)
    if request.method == "POST" and form.is_valid():
        try:
            environment = exposing.expose(by=actor_of(request), tenant=tenant, **wanted_of(form))
            tell_outcome(request, environment)
            return redirect("environment", environment.pk)
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    return show_form(request, form)


def wanted_of(form: EnvironmentForm) -> dict[str, Any]:
    """What the form holds in the words of inventory.exposing; parts of the method that was not chosen are left out."""
    data = dict(form.cleaned_data)
    parts = ("token",) if data.pop("method") == "token" else ("username", "password")
    for part in ("token", "username", "password"):
        value, stored = data.pop(part), data.pop(f"{part}_secret")
        if part in parts:
            data[f"{part}_secret" if stored else part] = stored or value
    if data["protocol"] == "http":  # nothing is verified there, and the ladder says so
        data["trust"] = "system"
    return data


@needs("environment.change")
def environment_change(request: HttpRequest, environment_id: int) -> HttpResponse:
    """Change what is known of an environment; a credential left empty stays."""
    environment = the_environment(request, environment_id)
    tenant = request.tenant  # type: ignore[attr-defined]
    form = EnvironmentForm(request.POST or None, tenant=tenant, environment=environment)
    if request.method == "POST" and form.is_valid():
        try:
            wanted = wanted_of(form)
            kept = [(label.key, label.value) for label in environment.deployment.labels.filter(key__startswith="csys-")]
            wanted |= {"display_name": wanted.pop("name"), "is_site_given": True, "labels": kept + wanted["labels"]}
            exposing.update_environment(by=actor_of(request), environment=environment, **wanted)
            environment.refresh_from_db()
            tell_outcome(request, environment)
            return redirect("environment", environment.pk)
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    return show_form(request, form, environment)


def show_form(request: HttpRequest, form: EnvironmentForm, environment: Environment | None = None) -> HttpResponse:
    """The add and the change page."""
    has_secrets = form.fields["token_secret"].queryset.exists()  # type: ignore[attr-defined]
    shown = {"form": form, "environment": environment, "has_secrets": has_secrets}
    return render(request, "inventory/environment_add.html", shown)


def tell_outcome(request: HttpRequest, environment: Environment) -> None:
    """Say how the first look went."""
    if environment.state == Environment.State.READY:
        messages.success(request, f"{environment} is ready: every rung of the connection holds.")
    else:
        messages.warning(request, f"{environment} is saved, but not ready: {environment.why}")


def show_errors(form: Form, error: ValidationError | Conflict) -> None:
    """Put what a service refused beside the fields it speaks of."""
    if isinstance(error, Conflict):
        form.add_error(None, str(error))
        return
    for field, errors in getattr(error, "message_dict", {"": error.messages}).items():
        form.add_error(field if field in form.fields else None, errors)


def rungs_of(probe: Probe | None) -> list[dict[str, Any]]:
    """Rungs of a stored probe, as the ladder shows them."""
    return list(probe.rungs) if probe else []


@needs("environment.view")
def environment_detail(request: HttpRequest, environment_id: int) -> HttpResponse:
    """What it is, its state and why, what stands there, the ladder of the last check."""
    environment = the_environment(request, environment_id)
    probes = list(environment.probes.order_by("-id")[:20])
    for probe in probes:
        failed = next((rung for rung in probe.rungs if rung["state"] == "failed"), None)
        probe.failed_title = f"{failed['title']}: {failed['detail']}" if failed else probe.failed_rung  # type: ignore[attr-defined]
    pairs = environment.deployment.labels.order_by("key", "value")
    text = "\n".join(f"{label.key}={label.value}" for label in pairs if not label.key.startswith("csys-"))
    shown = {
        "environment": environment,
        "placements": environment.placements.exclude(state="absent").select_related("service", "desired_version"),
        "probes": probes,
        "rungs": rungs_of(probes[0] if probes else None),
        "labels_form": LabelsForm(initial={"labels": text}),
    }
    return render(request, "inventory/environment.html", shown | rights(request))


def the_environment(request: HttpRequest, environment_id: int) -> Environment:
    """An environment that the person may see, or 404."""
    rows = Environment.objects.visible_to(request.user, request.tenant)  # type: ignore[arg-type, attr-defined]
    return get_object_or_404(rows.for_list(), pk=environment_id)


@require_POST
@needs("environment.probe")
def environment_probe(request: HttpRequest, environment_id: int) -> HttpResponse:
    """Climb the ladder now."""
    environment = the_environment(request, environment_id)
    exposing.probe(environment)
    environment.refresh_from_db()
    tell_outcome(request, environment)
    return redirect("environment", environment_id)


@require_POST
@needs("environment.change")
def environment_check(request: HttpRequest) -> HttpResponse:
    """Fragment: the ladder for what the form holds; saves nothing."""
    tenant = request.tenant  # type: ignore[attr-defined]
    form = EnvironmentForm(request.POST, tenant=tenant)
    if not form.is_valid():
        problems = "; ".join(f"{form.fields[name].label or name}: {errors[0]}" for name, errors in form.errors.items() if name in form.fields)
        return render(request, "inventory/ladder.html", {"problem": f"Fill this in first. {problems}"})
    try:
        wanted = wanted_of(form)
        rungs = exposing.test_connection(by=actor_of(request), tenant=tenant, **wanted)
    except (ValidationError, Conflict) as error:
        text = "; ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        return render(request, "inventory/ladder.html", {"problem": text})
    return render(request, "inventory/ladder.html", {"rungs": rungs})


@require_POST
@needs("deployment.change")
def environment_labels(request: HttpRequest, environment_id: int) -> HttpResponse:
    """Replace the labels; reserved ones stay."""
    environment = the_environment(request, environment_id)
    form = LabelsForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Labels are not saved: {form.errors['labels'][0]}")
        return redirect("environment", environment_id)
    kept = [(label.key, label.value) for label in environment.deployment.labels.filter(key__startswith="csys-")]
    try:
        labels.set_labels(by=actor_of(request), deployment=environment.deployment, labels=kept + form.cleaned_data["labels"])
        messages.success(request, "Labels are saved.")
    except (ValidationError, Conflict) as error:
        text = "; ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        messages.error(request, f"Labels are not saved: {text}")
    return redirect("environment", environment_id)


@require_POST
@needs("environment.change")
def environment_remove(request: HttpRequest, environment_id: int) -> HttpResponse:
    """Forget an environment on which nothing stands."""
    environment = the_environment(request, environment_id)
    try:
        exposing.hide(by=actor_of(request), environment=environment)
        messages.success(request, f"{environment} is removed from here. Nothing was changed at the manager.")
        return redirect("environments")
    except Conflict as error:
        messages.error(request, str(error))
        return redirect("environment", environment_id)


@needs("site.view", POST="site.change")
def site_list(request: HttpRequest, site_id: int | None = None) -> HttpResponse:
    """Sites; make one, or change the named one."""
    tenant = request.tenant  # type: ignore[attr-defined]
    changing = get_object_or_404(Site, pk=site_id, tenant=tenant) if site_id else None
    initial = {name: getattr(changing, name) for name in ("name", "latitude", "longitude", "time_zone")} if changing else None
    form = SiteForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            if changing:
                sites.update_site(by=actor_of(request), site=changing, **form.cleaned_data)
            else:
                sites.create_site(by=actor_of(request), tenant=tenant, **form.cleaned_data)
            messages.success(request, f"Site {form.cleaned_data['name']} is saved.")
            return redirect("sites")
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    rows = Site.objects.filter(tenant=tenant).annotate(environments=Count("deployments__environment")).order_by("name")
    may_change = may(request.user, "site.change", tenant)  # type: ignore[arg-type]
    shown = {"form": form, "changing": changing, "page": Paginator(rows, 50).get_page(request.GET.get("page")), "may_change": may_change}
    return render(request, "inventory/sites.html", shown)


@require_POST
@needs("site.change")
def site_delete(request: HttpRequest, site_id: int) -> HttpResponse:
    """Remove a place; environments there lose their site."""
    site = get_object_or_404(Site, pk=site_id, tenant=request.tenant)  # type: ignore[attr-defined]
    try:
        sites.delete_site(by=actor_of(request), site=site)
        messages.success(request, f"Site {site.name} is deleted.")
    except Conflict as error:
        messages.error(request, str(error))
    return redirect("sites")
