"""Addresses of the account pages."""
from django.urls import URLPattern, path

from accounts import views

urlpatterns: list[URLPattern] = [
    path("login/", views.sign_in, name="login"),
    path("logout/", views.sign_out, name="logout"),
    path("password/", views.password, name="password"),
    path("switch-tenant/", views.switch_tenant, name="switch-tenant"),
    path("tokens/", views.token_list, name="tokens"),
    path("tokens/<str:token_id>/revoke/", views.token_revoke, name="token-revoke"),
    path("secrets/", views.secret_list, name="secrets"),
    path("secrets/<uuid:secret_id>/", views.secret_replace, name="secret-replace"),
    path("secrets/<uuid:secret_id>/delete/", views.secret_delete, name="secret-delete"),
    path("tenants/", views.tenant_list, name="tenants"),
    path("tenants/<int:tenant_id>/", views.tenant_detail, name="tenant"),
    path("tenants/<int:tenant_id>/members/<int:membership_id>/remove/", views.member_remove, name="member-remove"),
    path("users/", views.user_list, name="users"),
    path("audit/", views.audit_list, name="audit"),
]
