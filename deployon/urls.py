"""Addresses of the service and rollout pages."""

from django.urls import URLPattern, path, re_path

from deployon import adoption_views, matrix_views, planning, reviewing, rollout_views, scan_views, views

urlpatterns: list[URLPattern] = [
    path("services/", views.service_list, name="services"),
    path("services/add/", views.service_add, name="service-add"),
    path("services/matrix/", matrix_views.matrix_page, name="matrix"),
    path("services/matrix/export/", matrix_views.matrix_export, name="matrix-export"),
    path("services/drift/", scan_views.drift_page, name="drift"),
    path("services/drift/fix/", scan_views.mend, name="drift-fix"),
    path("services/orphans/", scan_views.orphans_page, name="orphans"),
    path("services/orphans/ask/", scan_views.scan_now, name="scan-now"),
    path("services/orphans/forget/", scan_views.forget, name="orphans-forget"),
    path("services/orphans/adopt/", adoption_views.adopt, name="adopt"),
    path("services/orphans/remove/", adoption_views.remove_there, name="remove-there"),
    path("services/<int:service_id>/", views.service_detail, name="service"),
    path("services/<int:service_id>/versions/add/", views.version_add, name="service-version-add"),
    path("rollouts/", rollout_views.rollout_list, name="rollouts"),
    path("rollouts/new/", planning.rollout_new, name="rollout-new"),
    path("rollouts/new/inputs/", planning.rollout_inputs, name="rollout-inputs"),
    path("rollouts/new/start/", reviewing.rollout_start, name="rollout-start"),
    path("rollouts/new/<str:digest>/", reviewing.rollout_review, name="rollout-review"),
    path("rollouts/<int:rollout_id>/", rollout_views.rollout_detail, name="rollout"),
    path("rollouts/<int:rollout_id>/why/", rollout_views.rollout_why, name="rollout-why"),
    path("rollouts/<int:rollout_id>/causes/", rollout_views.rollout_causes, name="rollout-causes"),
    path("rollouts/<int:rollout_id>/acts/", rollout_views.rollout_acts, name="rollout-acts"),
    re_path(
        r"^rollouts/(?P<rollout_id>\d+)/(?P<verb>pause|resume|cancel|retry)/$",
        rollout_views.rollout_act,
        name="rollout-act",
    ),
]
