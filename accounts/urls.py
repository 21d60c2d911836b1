"""Addresses of the account pages."""

from django.urls import URLPattern, path

from accounts import governing_views, rights_views, views

urlpatterns: list[URLPattern] = [
    path("login/", views.sign_in, name="login"),
    path("logout/", views.sign_out, name="logout"),
    path("password/", views.password, name="password"),
    path("switch-tenant/", views.switch_tenant, name="switch-tenant"),
    path("tokens/", views.token_list, name="tokens"),
    path("tokens/<str:token_id>/revoke/", views.token_revoke, name="token-revoke"),
    path("secrets/", governing_views.secret_list, name="secrets"),
    path("secrets/<uuid:secret_id>/", governing_views.secret_replace, name="secret-replace"),
    path("secrets/<uuid:secret_id>/delete/", governing_views.secret_delete, name="secret-delete"),
    path("tenants/", governing_views.tenant_list, name="tenants"),
    path("tenants/<int:tenant_id>/", governing_views.tenant_detail, name="tenant"),
    path(
        "tenants/<int:tenant_id>/members/<int:membership_id>/remove/",
        governing_views.member_remove,
        name="member-remove",
    ),
    path("users/", governing_views.user_list, name="users"),
    path("permissions/", rights_views.permission_table, name="permissions"),
    path("audit/", governing_views.audit_list, name="audit"),
]
