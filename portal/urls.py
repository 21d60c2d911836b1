"""All addresses of the product."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.permissions import public
from orchestration.wire.installation import Version as WireVersion
from portal import uninstall_views, views
from portal.metrics import metrics

urlpatterns = [
    path("", views.overview, name="overview"),
    path("favicon.ico", views.favicon, name="favicon"),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("", include("accounts.urls")),
    path("", include("runs.urls")),
    path("", include("inventory.urls")),
    path("deployments/uninstall/", uninstall_views.deployments_uninstall, name="deployments-uninstall"),
    path("", include("orchestration.page_urls")),
    path("", include("installs.urls")),
    path("", include("deployon.urls")),
    path("admin/password_change/", public(RedirectView.as_view(pattern_name="password"))),  # ours is audited
    path("admin/", admin.site.urls),
    path("api/v1/", include("portal.api")),
    path("api/v3.1/", include("orchestration.urls")),
    path("api/version", WireVersion.as_view()),  # the Python client asks for it there
]

handler400 = "portal.error_pages.bad_request"
handler403 = "portal.error_pages.forbidden"
handler404 = "portal.error_pages.not_found"
handler500 = "portal.error_pages.server_error"
