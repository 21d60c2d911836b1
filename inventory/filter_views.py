"""Pages: saved filters, and the form that builds one rule by rule."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.forms import show_errors
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.revisions import SEEN, Changed, revision_of
from accounts.roles import may
from inventory import editable, saved_filters
from inventory.choosing import read_choice
from inventory.filters import InvalidRule
from inventory.forms import FilterForm
from inventory.models import Filter
from inventory.rule_fields import add_rule, label_keys, reason_of, rules_of, shown_rules, words_of

PER_PAGE = 50


@needs("filter.view")
def filter_list(request: TenantRequest) -> HttpResponse:
    """Filters that the person sees; those of the system last."""
    rows = Filter.objects.visible_to(request.user, request.tenant).select_related("tenant", "created_by")
    search = request.GET.get("q", "").strip()
    found = rows.filter(name__icontains=search).order_by("is_system", "name")
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    for saved in page:
        saved.words = [words_of(rule) for rule in saved.rules]
        saved.is_own = saved.tenant_id == request.tenant.pk and not saved.is_system
    may_change = may(request.user, "filter.change", request.tenant)
    return render(request, "inventory/filters.html", {"page": page, "search": search, "may_change": may_change})


@needs("filter.change")
def filter_form(request: TenantRequest, filter_id: int | None = None) -> HttpResponse:
    """Make a filter, from the choice in the address or as a copy of another one (`copy`), or change one."""
    tenant, user = request.tenant, request.user
    mine = Filter.objects.filter(tenant=tenant, is_system=False)
    saved = get_object_or_404(mine, pk=filter_id) if filter_id else None
    rules, problem, wrong = rules_of(request.POST), "", None
    is_sent = request.method == "POST"
    seen, code = request.POST.get(SEEN, ""), 400
    if request.POST.get("what") == "show":
        return redirect(f"{reverse('environments')}?{_address_of(rules)}")
    form = FilterForm(
        request.POST if is_sent else None, initial=_initial_of(saved), may_be_global=may(user, "global.create")
    )
    if is_sent and form.is_valid():
        try:
            given = form.cleaned_data | {"rules": rules, "by": actor_of(request), "are_titles_free": True}
            if saved:
                saved = saved_filters.update_filter(saved=saved, seen=seen, **given)
            else:
                saved = saved_filters.create_filter(tenant=tenant, **given)
            messages.success(request, f"Filter {saved.name} is saved.")
            return redirect(f"{reverse('environments')}?filter={saved.name}")
        except InvalidRule as error:
            problem, wrong = reason_of(error), error.rule
            form.add_error(None, "The filter was not saved: one of its rules does not work. It is marked.")
        except Changed as changed:
            show_errors(form, changed)
            seen, code = changed.revision, 409
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    elif not is_sent:
        seen = revision_of(editable.of_filter(saved)) if saved else ""
        copied = Filter.objects.visible_to(user, tenant).filter(name=request.GET.get("copy", "")).first()
        shown = saved or copied
        rules = [dict(rule) for rule in shown.rules] if shown else read_choice(request.GET, user, tenant).rules
    shown_here = {
        "form": form,
        "saved": saved,
        "seen": seen,
        "keys": label_keys(tenant.pk),
        **shown_rules(rules, problem, wrong),
    }
    return render(request, "inventory/filter_form.html", shown_here, status=code if form.errors else 200)


def _address_of(rules: list[dict[str, Any]]) -> str:
    """The part of an address that says these rules."""
    query = QueryDict(mutable=True)
    for rule in rules:
        add_rule(query, rule)
    return query.urlencode()


def _initial_of(saved: Filter | None) -> dict[str, str]:
    return {"name": saved.name, "visibility": saved.visibility} if saved else {}


@require_POST
@needs("filter.change")
def filter_delete(request: TenantRequest, filter_id: int) -> HttpResponse:
    """Forget a filter; rollouts that were started with it keep its rules."""
    saved = get_object_or_404(Filter, pk=filter_id, tenant=request.tenant)
    try:
        saved_filters.delete_filter(by=actor_of(request), saved=saved)
        messages.success(request, f"Filter {saved.name} is deleted.")
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("filters")
