"""Addresses of the environment and site pages."""

from django.urls import URLPattern, path

from inventory import exposing_views, site_views, views

urlpatterns: list[URLPattern] = [
    path("environments/", views.environment_list, name="environments"),
    path("environments/add/", exposing_views.environment_add, name="environment-add"),
    path("environments/check/", exposing_views.environment_check, name="environment-check"),
    path("environments/probe/", views.environments_probe, name="environments-probe"),
    path("environments/<int:environment_id>/", views.environment_detail, name="environment"),
    path("environments/<int:environment_id>/change/", exposing_views.environment_change, name="environment-change"),
    path("environments/<int:environment_id>/probe/", views.environment_probe, name="environment-probe"),
    path("environments/<int:environment_id>/labels/", views.environment_labels, name="environment-labels"),
    path("environments/<int:environment_id>/remove/", views.environment_remove, name="environment-remove"),
    path("sites/", site_views.site_list, name="sites"),
    path("sites/<int:site_id>/", site_views.site_list, name="site-change"),
    path("sites/<int:site_id>/delete/", site_views.site_delete, name="site-delete"),
]
