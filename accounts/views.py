"""Pages of one's own account: sign in and out, password, tenant to act in, API tokens."""

from __future__ import annotations

import datetime

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from accounts import forms, services, tokens
from accounts.actors import actor_of
from accounts.middleware import choose_tenant
from accounts.models import ApiToken
from accounts.permissions import needs, public
from accounts.requests import PersonRequest


class SignIn(LoginView):
    """Name and password."""

    template_name = "accounts/login.html"
    authentication_form = forms.SignInForm
    redirect_authenticated_user = True


sign_in = public(SignIn.as_view())
sign_out = public(LogoutView.as_view())


@needs("account.manage_own")
def password(request: PersonRequest) -> HttpResponse:
    """Change one's own password."""
    user = request.user
    form = forms.PasswordForm(request.POST or None, user=user)
    if request.method == "POST" and form.is_valid():
        services.set_password(by=actor_of(request), user=user, password=form.cleaned_data["new"])
        user.refresh_from_db()
        update_session_auth_hash(request, user)
        messages.success(request, "Your password is changed. Other sessions of yours are signed out.")
        return redirect("overview")
    return render(request, "accounts/password.html", {"form": form, "is_lone": user.must_change_password})


@require_POST
@needs("account.manage_own")
def switch_tenant(request: PersonRequest) -> HttpResponse:
    """Act in another of one's tenants from now on."""
    name = request.POST.get("tenant", "")
    if choose_tenant(request, name) is None:
        messages.error(request, f"You have no role in tenant {name}. Ask a system administrator for one.")
    onward = request.POST.get("next", "").partition("?")[0]  # a filter of one tenant means nothing in another
    is_ours = url_has_allowed_host_and_scheme(onward, allowed_hosts={request.get_host()})
    is_list = onward.strip("/").count("/") == 0  # what is deeper shows a row of the tenant that was left
    return redirect(onward if onward and is_ours and is_list else "overview")


@needs("token.manage_own")
def token_list(request: PersonRequest) -> HttpResponse:
    """One's own API tokens; a new one is shown once."""
    form = forms.TokenForm(request.POST or None)
    fresh = ""
    if request.method == "POST" and form.is_valid():
        days = form.cleaned_data["days"]
        _, fresh = tokens.mint_token(
            by=actor_of(request),
            user=request.user,
            description=form.cleaned_data["description"],
            expires_at=timezone.now() + datetime.timedelta(days=days) if days else None,
        )
        form = forms.TokenForm()
    rows = ApiToken.objects.filter(user=request.user)
    reply = render(request, "accounts/tokens.html", {"form": form, "tokens": rows, "fresh": fresh})
    if fresh:
        reply["Cache-Control"] = "no-store"  # the value must not be found again with the browser's Back
    return reply


@require_POST
@needs("token.manage_own")
def token_revoke(request: PersonRequest, token_id: str) -> HttpResponse:
    """End one of one's own tokens."""
    token = get_object_or_404(ApiToken, pk=token_id, user=request.user)
    tokens.revoke_token(by=actor_of(request), token=token)
    messages.success(request, f"Token ctok-{token_id} is revoked: it is refused from now on.")
    return redirect("tokens")
