"""The router of /api/v1: each app lists its view sets in its `api.routes`."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import DefaultRouter

import accounts.api
import deployon.api
import installs.api
import inventory.api
import runs.api
from portal.uninstall_api import Uninstalls


class Router(DefaultRouter):
    """Collects the apps' routes; its root page lists them."""

    include_format_suffixes = False


router = Router()
for app in (accounts.api, runs.api, inventory.api, installs.api, deployon.api):
    for prefix, viewset, basename in app.routes:
        # Names of their own: an address of the API must never be taken for the page of the same name.
        router.register(prefix, viewset, basename=f"api-{basename.removeprefix('api-')}")
# What is about deployments made here and services placed on environments at once is neither app's.
router.register("uninstalls", Uninstalls, basename="api-uninstall")


class Schema(SpectacularAPIView):
    """OpenAPI 3 of /api/v1."""

    needs = "installation.view"


class Swagger(SpectacularSwaggerSplitView):
    """The schema as a page, from our own assets; its script has an address of its own, as our policy allows no inline one."""

    needs = "installation.view"


router.APIRootView.needs = "installation.view"  # type: ignore[attr-defined]
urlpatterns = [
    path("schema/", Schema.as_view(), name="schema"),
    path("docs/", Swagger.as_view(url_name="schema"), name="swagger"),
    path("", include(router.urls)),
]
