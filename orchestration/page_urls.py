"""Addresses of the deployment pages."""

from django.urls import URLPattern, path

from orchestration import views

urlpatterns: list[URLPattern] = [
    path("deployments/", views.deployment_list, name="deployments"),
    path("deployments/<int:deployment_id>/", views.deployment_detail, name="deployment"),
    path("deployments/<int:deployment_id>/exports/", views.deployment_exports, name="deployment-exports"),
    path("deployments/<int:deployment_id>/start/", views.deployment_start, name="deployment-start"),
    path("deployments/<int:deployment_id>/delete/", views.deployment_delete, name="deployment-delete"),
    path("deployments/<int:deployment_id>/executions/<uuid:execution_id>/", views.execution_detail, name="execution"),
    path(
        "deployments/<int:deployment_id>/executions/<uuid:execution_id>/<slug:verb>/",
        views.execution_act,
        name="execution-act",
    ),
]
