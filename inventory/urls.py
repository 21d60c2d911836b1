"""Addresses of the environment and site pages."""

from django.urls import URLPattern, path

from inventory import bulk_views, discovering_views, exposing_views, file_views, filter_views, site_views, views

urlpatterns: list[URLPattern] = [
    path("environments/", views.environment_list, name="environments"),
    path("environments/map/", views.environment_map, name="environments-map"),
    path("environments/count/", views.environments_count, name="environments-count"),
    path("environments/add/", exposing_views.environment_add, name="environment-add"),
    path("environments/check/", exposing_views.environment_check, name="environment-check"),
    path("environments/discover/", discovering_views.environments_discover, name="environments-discover"),
    path("environments/act/", bulk_views.environments_act, name="environments-act"),
    path("environments/probe/", bulk_views.environments_probe, name="environments-probe"),
    path("environments/labels/", bulk_views.environments_label, name="environments-label"),
    path("environments/import/", file_views.environments_import, name="environments-import"),
    path("environments/export/", file_views.environments_export, name="environments-export"),
    path("environments/<int:environment_id>/", views.environment_detail, name="environment"),
    path("environments/<int:environment_id>/change/", exposing_views.environment_change, name="environment-change"),
    path("environments/<int:environment_id>/probe/", views.environment_probe, name="environment-probe"),
    path("environments/<int:environment_id>/labels/", exposing_views.environment_labels, name="environment-labels"),
    path("environments/<int:environment_id>/remove/", views.environment_remove, name="environment-remove"),
    path("filters/", filter_views.filter_list, name="filters"),
    path("filters/new/", filter_views.filter_form, name="filter-new"),
    path("filters/<int:filter_id>/", filter_views.filter_form, name="filter-change"),
    path("filters/<int:filter_id>/delete/", filter_views.filter_delete, name="filter-delete"),
    path("sites/", site_views.site_list, name="sites"),
    path("sites/<int:site_id>/", site_views.site_list, name="site-change"),
    path("sites/<int:site_id>/delete/", site_views.site_delete, name="site-delete"),
]
