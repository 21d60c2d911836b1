"""Addresses of the deployment pages."""

from django.urls import URLPattern, path

from orchestration import (
    blueprint_views,
    bulk_views,
    dependency_views,
    deployment_group_views,
    group_views,
    scaling_views,
    schedule_views,
    update_views,
    views,
)

urlpatterns: list[URLPattern] = [
    path("blueprints/", blueprint_views.blueprint_list, name="blueprints"),
    path("blueprints/upload/", blueprint_views.blueprint_upload, name="blueprint-upload"),
    path("blueprints/<int:blueprint_id>/", blueprint_views.blueprint_detail, name="blueprint"),
    path("blueprints/<int:blueprint_id>/archive/", blueprint_views.blueprint_archive, name="blueprint-archive"),
    path("blueprints/<int:blueprint_id>/delete/", blueprint_views.blueprint_delete, name="blueprint-delete"),
    path("blueprints/<int:blueprint_id>/deploy/", blueprint_views.blueprint_deploy, name="blueprint-deploy"),
    path("deployments/", views.deployment_list, name="deployments"),
    path("deployments/act/", bulk_views.deployments_act, name="deployments-act"),
    path("deployments/workflow/", bulk_views.deployments_workflow, name="deployments-workflow"),
    path("deployments/delete/", bulk_views.deployments_delete, name="deployments-delete"),
    path("deployments/group/", deployment_group_views.deployments_group, name="deployments-group"),
    path("deployments/update/", update_views.deployments_update, name="deployments-update"),
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
    path("deployments/<int:deployment_id>/update/", update_views.deployment_update, name="deployment-update"),
    path(
        "deployments/<int:deployment_id>/updates/<int:update_id>/",
        update_views.deployment_update_detail,
        name="deployment-update-detail",
    ),
    path("deployments/<int:deployment_id>/scale/", scaling_views.deployment_scale, name="deployment-scale"),
    path(
        "deployments/<int:deployment_id>/modifications/<uuid:modification_id>/rollback/",
        scaling_views.modification_rollback,
        name="modification-rollback",
    ),
    path(
        "deployments/<int:deployment_id>/dependencies/",
        dependency_views.deployment_dependencies,
        name="deployment-dependencies",
    ),
    path("schedules/", schedule_views.schedule_list, name="schedules"),
    path(
        "deployments/<int:deployment_id>/schedules/", schedule_views.deployment_schedules, name="deployment-schedules"
    ),
    path(
        "deployments/<int:deployment_id>/schedules/<int:schedule_id>/<slug:verb>/",
        schedule_views.schedule_act,
        name="schedule-act",
    ),
    path("deployment-groups/", deployment_group_views.deployment_group_list, name="deployment-groups"),
    path("deployment-groups/<int:group_id>/", deployment_group_views.deployment_group_detail, name="deployment-group"),
    path(
        "deployment-groups/<int:group_id>/<slug:verb>/",
        deployment_group_views.deployment_group_act,
        name="deployment-group-act",
    ),
    path("execution-groups/", group_views.execution_group_list, name="execution-groups"),
    path("execution-groups/<uuid:group_id>/", group_views.execution_group_detail, name="execution-group"),
    path("execution-groups/<uuid:group_id>/<slug:verb>/", group_views.execution_group_act, name="execution-group-act"),
]
