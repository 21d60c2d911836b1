"""Pages: sign in, own password and tokens, secrets, tenants with their members, the audit trail."""
from __future__ import annotations

import datetime

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from accounts import forms, secrets, services, tokens
from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.models import ApiToken, AuditEntry, Membership, Secret, Tenant, User
from accounts.permissions import needs, public
from accounts.roles import may, tenants_of


class SignIn(LoginView):
    """Name and password."""

    template_name = "accounts/login.html"
    authentication_form = forms.SignInForm
    redirect_authenticated_user = True


sign_in = public(SignIn.as_view())
sign_out = public(LogoutView.as_view())


def show_errors(form: Form, error: ValidationError | Conflict) -> None:
    """Put what a service refused beside the fields it speaks of."""
    if isinstance(error, Conflict):
        form.add_error(None, str(error))
        return
    for field, errors in getattr(error, "message_dict", {"": error.messages}).items():
        form.add_error(field if field in form.fields else None, errors)


@needs("account.manage_own")
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password."""
    user = request.user
    assert isinstance(user, User)
    form = forms.PasswordForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        services.set_password(by=actor_of(request), user=user, password=form.cleaned_data["new"])
        user.refresh_from_db()
        update_session_auth_hash(request, user)
        messages.success(request, "Your password is changed. Other sessions of yours are signed out.")
        return redirect("overview")
    return render(request, "accounts/password.html", {"form": form})


@require_POST
@needs("account.manage_own")
def switch_tenant(request: HttpRequest) -> HttpResponse:
    """Act in another of one's tenants from now on."""
    name = request.POST.get("tenant", "")
    assert isinstance(request.user, User)
    if name in {tenant.name for tenant in tenants_of(request.user)}:
        request.session["tenant"] = name
    else:
        messages.error(request, f"You have no role in tenant {name}. Ask a system administrator.")
    onward = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(onward, allowed_hosts={request.get_host()})
    return redirect(onward if is_ours and onward.count("/") <= 2 else "overview")


@needs("token.manage_own")
def token_list(request: HttpRequest) -> HttpResponse:
    """One's own API tokens; a new one is shown once."""
    user = request.user
    assert isinstance(user, User)
    form = forms.TokenForm(request.POST or None)
    fresh = ""
    if request.method == "POST" and form.is_valid():
        days = form.cleaned_data["days"]
        expires_at = timezone.now() + datetime.timedelta(days=days) if days else None
        _, fresh = tokens.mint_token(
            by=actor_of(request), user=user, description=form.cleaned_data["description"], expires_at=expires_at
        )
        form = forms.TokenForm()
    rows = ApiToken.objects.filter(user=user)
    return render(request, "accounts/tokens.html", {"form": form, "tokens": rows, "fresh": fresh})


@require_POST
@needs("token.manage_own")
def token_revoke(request: HttpRequest, token_id: str) -> HttpResponse:
    """End one of one's own tokens."""
    token = get_object_or_404(ApiToken, pk=token_id, user=request.user)
    tokens.revoke_token(by=actor_of(request), token=token)
    messages.success(request, f"Token {token} is revoked: it is refused from now on.")
    return redirect("tokens")


@needs("secret.view", POST="secret.change")
def secret_list(request: HttpRequest) -> HttpResponse:
    """Secrets by name and use, never by value."""
    form = forms.SecretForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            secrets.create_secret(by=actor_of(request), tenant=request.tenant, **data)  # type: ignore[attr-defined]
            messages.success(request, f"Secret {data['name']} is stored.")
            return redirect("secrets")
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    rows = Secret.objects.filter(tenant=request.tenant).select_related("created_by")  # type: ignore[attr-defined]
    search = request.GET.get("q", "").strip()
    if search:
        rows = rows.filter(name__icontains=search)
    page = Paginator(rows, 50).get_page(request.GET.get("page"))
    may_change = may(request.user, "secret.change", request.tenant)  # type: ignore[arg-type, attr-defined]
    shown = {"form": form, "page": page, "search": search, "may_change": may_change, "is_open": bool(form.errors)}
    return render(request, "accounts/secrets.html", shown)


@needs("secret.change")
def secret_replace(request: HttpRequest, secret_id: str) -> HttpResponse:
    """Give a stored secret a new value."""
    secret = get_object_or_404(Secret, pk=secret_id, tenant=request.tenant)  # type: ignore[attr-defined]
    form = forms.SecretValueForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            secrets.replace_secret(by=actor_of(request), secret=secret, value=form.cleaned_data["value"])
            messages.success(request, f"Secret {secret.name} has its new value. What uses it takes it from now on.")
            return redirect("secrets")
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    return render(request, "accounts/secret_replace.html", {"form": form, "secret": secret})


@require_POST
@needs("secret.change")
def secret_delete(request: HttpRequest, secret_id: str) -> HttpResponse:
    """Remove a secret that nothing uses."""
    secret = get_object_or_404(Secret, pk=secret_id, tenant=request.tenant)  # type: ignore[attr-defined]
    try:
        secrets.delete_secret(by=actor_of(request), secret=secret)
        messages.success(request, f"Secret {secret.name} is deleted.")
    except Conflict as error:
        messages.error(request, str(error))
    return redirect("secrets")


@needs("tenant.manage")
def tenant_list(request: HttpRequest) -> HttpResponse:
    """All tenants, for system administrators."""
    form = forms.TenantForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_tenant(by=actor_of(request), name=form.cleaned_data["name"])
            messages.success(request, f"Tenant {made.name} exists now. Give people a role in it.")
            return redirect("tenant", made.pk)
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    rows = Tenant.objects.prefetch_related("memberships__user", "memberships__group").order_by("name")
    return render(request, "accounts/tenants.html", {"form": form, "page": Paginator(rows, 50).get_page(request.GET.get("page"))})


@needs("tenant.manage")
def tenant_detail(request: HttpRequest, tenant_id: int) -> HttpResponse:
    """One tenant: who has which role; give and take roles."""
    tenant = get_object_or_404(Tenant, pk=tenant_id)
    form = forms.MembershipForm(request.POST or None, tenant=tenant)
    if request.method == "POST" and form.is_valid():
        try:
            services.set_membership(by=actor_of(request), tenant=tenant, **form.cleaned_data)
            messages.success(request, f"{form.cleaned_data['user']} is {form.cleaned_data['role']} in {tenant.name}.")
            return redirect("tenant", tenant.pk)
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    members = Membership.objects.filter(tenant=tenant).select_related("user", "group").order_by("role", "user__username")
    return render(request, "accounts/tenant.html", {"form": form, "shown": tenant, "members": members})


@require_POST
@needs("tenant.manage")
def member_remove(request: HttpRequest, tenant_id: int, membership_id: int) -> HttpResponse:
    """Take a role away."""
    membership = get_object_or_404(Membership, pk=membership_id, tenant_id=tenant_id)
    services.remove_membership(by=actor_of(request), membership=membership)
    messages.success(request, f"{membership.user or membership.group} has no role in {membership.tenant.name} any more.")
    return redirect("tenant", tenant_id)


@needs("user.manage")
def user_list(request: HttpRequest) -> HttpResponse:
    """All users; more of them is in the admin pages."""
    form = forms.UserForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.create_user(by=actor_of(request), **form.cleaned_data)
            messages.success(request, f"User {form.cleaned_data['username']} exists now. Give a role in a tenant next.")
            return redirect("users")
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    rows = User.objects.order_by("username").prefetch_related("memberships__tenant")
    return render(request, "accounts/users.html", {"form": form, "page": Paginator(rows, 50).get_page(request.GET.get("page"))})


@needs("audit.view")
def audit_list(request: HttpRequest) -> HttpResponse:
    """Who changed what, when, through what."""
    rows = AuditEntry.objects.filter(chain=request.tenant.name)  # type: ignore[attr-defined]
    search = request.GET.get("q", "").strip()
    if search:
        rows = rows.filter(object_name__icontains=search) | rows.filter(actor=search) | rows.filter(action__startswith=search)
    return render(request, "accounts/audit.html", {"page": Paginator(rows, 100).get_page(request.GET.get("page")), "search": search})
