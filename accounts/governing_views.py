"""Pages for those who govern: secrets, tenants with their members, users, the audit trail."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts import forms, reads, secrets, services
from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.forms import show_errors
from accounts.models import Membership, Secret, Tenant, User
from accounts.permissions import needs
from accounts.requests import PersonRequest, TenantRequest
from accounts.roles import may

PER_PAGE = 50


@needs("secret.view", POST="secret.change")
def secret_list(request: TenantRequest) -> HttpResponse:
    """Secrets by name and use, never by value."""
    form = forms.SecretForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            secrets.create_secret(by=actor_of(request), tenant=request.tenant, **data)
            messages.success(request, f"Secret {data['name']} is stored.")
            return redirect("secrets")
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    rows = reads.visible_secrets(request.user, request.tenant).order_by("name")
    search = request.GET.get("q", "").strip()
    if search:
        rows = rows.filter(name__icontains=search)
    shown = {
        "form": form,
        "page": Paginator(rows, PER_PAGE).get_page(request.GET.get("page")),
        "search": search,
        "may_change": may(request.user, "secret.change", request.tenant),
    }
    return render(request, "accounts/secrets.html", shown, status=400 if form.errors else 200)


def the_secret(request: TenantRequest, secret_id: str) -> Secret:
    """A secret of this tenant that the person may see, or 404."""
    return get_object_or_404(reads.visible_secrets(request.user, request.tenant), pk=secret_id, tenant=request.tenant)


@needs("secret.change")
def secret_replace(request: TenantRequest, secret_id: str) -> HttpResponse:
    """Give a stored secret a new value."""
    secret = the_secret(request, secret_id)
    form = forms.SecretValueForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            secrets.replace_secret(by=actor_of(request), secret=secret, value=form.cleaned_data["value"])
            messages.success(request, f"Secret {secret.name} has its new value. What uses it takes it from now on.")
            return redirect("secrets")
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    shown = {"form": form, "secret": secret}
    return render(request, "accounts/secret_replace.html", shown, status=400 if form.errors else 200)


@require_POST
@needs("secret.change")
def secret_delete(request: TenantRequest, secret_id: str) -> HttpResponse:
    """Remove a secret that nothing uses."""
    secret = the_secret(request, secret_id)
    try:
        secrets.delete_secret(by=actor_of(request), secret=secret)
        messages.success(request, f"Secret {secret.name} is deleted.")
    except Conflict as error:
        messages.error(request, str(error))
    return redirect("secrets")


@needs("tenant.manage")
def tenant_list(request: PersonRequest) -> HttpResponse:
    """All tenants, for system administrators."""
    form = forms.TenantForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_tenant(by=actor_of(request), name=form.cleaned_data["name"])
            messages.success(request, f"Tenant {made.name} exists now. Give people a role in it.")
            return redirect("tenant", made.pk)
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    rows = Tenant.objects.prefetch_related("memberships").order_by("name")
    shown = {"form": form, "page": Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))}
    return render(request, "accounts/tenants.html", shown, status=400 if form.errors else 200)


@needs("tenant.manage")
def tenant_detail(request: PersonRequest, tenant_id: int) -> HttpResponse:
    """One tenant: who has which role; give and take roles."""
    tenant = get_object_or_404(Tenant, pk=tenant_id)
    form = forms.MembershipForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            given = services.set_membership(by=actor_of(request), tenant=tenant, **form.cleaned_data)
            who, role = form.cleaned_data["user"].username, given.get_role_display().lower()
            messages.success(request, f"{who} is {role} in {tenant.name}.")
            return redirect("tenant", tenant.pk)
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    members = (
        Membership.objects.filter(tenant=tenant).select_related("user", "group").order_by("role", "user__username")
    )
    shown = {"form": form, "shown": tenant, "members": members}
    return render(request, "accounts/tenant.html", shown, status=400 if form.errors else 200)


@require_POST
@needs("tenant.manage")
def member_remove(request: PersonRequest, tenant_id: int, membership_id: int) -> HttpResponse:
    """Take a role away."""
    rows = Membership.objects.select_related("user", "group", "tenant")
    membership = get_object_or_404(rows, pk=membership_id, tenant_id=tenant_id)
    who = membership.user.username if membership.user else str(membership.group)
    services.remove_membership(by=actor_of(request), membership=membership)
    messages.success(request, f"{who} has no role in {membership.tenant.name} any more.")
    return redirect("tenant", tenant_id)


@needs("user.manage")
def user_list(request: PersonRequest) -> HttpResponse:
    """All users; more of them is in the admin pages."""
    form = forms.UserForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.create_user(by=actor_of(request), must_change_password=True, **form.cleaned_data)
            messages.success(request, f"User {form.cleaned_data['username']} exists now. Give a role in a tenant next.")
            return redirect("users")
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    rows = User.objects.order_by("username").prefetch_related("memberships__tenant")
    shown = {"form": form, "page": Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))}
    return render(request, "accounts/users.html", shown, status=400 if form.errors else 200)


@needs("audit.view")
def audit_list(request: TenantRequest) -> HttpResponse:
    """Who changed what in this tenant, when, through what; to system administrators what belongs to no tenant, too."""
    may_see_all = may(request.user, "installation.manage")
    is_installation = may_see_all and request.GET.get("of") == "installation"
    chain = "" if is_installation else request.tenant.name
    rows = reads.visible_audit(request.user, request.tenant).filter(chain=chain)
    search = request.GET.get("q", "").strip()
    if search:
        named, by, did = (
            rows.filter(**{field: search}) for field in ("object_name__icontains", "actor", "action__startswith")
        )
        rows = named | by | did
    page = Paginator(rows, 100).get_page(request.GET.get("page"))
    shown = {
        "page": page,
        "lines": [(entry, reads.differences(entry)) for entry in page],
        "search": search,
        "may_see_all": may_see_all,
        "is_installation": is_installation,
    }
    return render(request, "accounts/audit.html", shown)
