"""Addresses of the service and rollout pages."""
from django.urls import URLPattern, path, re_path

from deployon import planning, views

urlpatterns: list[URLPattern] = [
    path("services/", views.service_list, name="services"),
    path("services/add/", views.service_add, name="service-add"),
    path("services/<int:service_id>/", views.service_detail, name="service"),
    path("services/<int:service_id>/versions/add/", views.version_add, name="service-version-add"),
    path("rollouts/", views.rollout_list, name="rollouts"),
    path("rollouts/new/", planning.rollout_new, name="rollout-new"),
    path("rollouts/new/inputs/", planning.rollout_inputs, name="rollout-inputs"),
    path("rollouts/new/count/", planning.rollout_count, name="rollout-count"),
    path("rollouts/new/start/", planning.rollout_start, name="rollout-start"),
    path("rollouts/new/<str:digest>/", planning.rollout_review, name="rollout-review"),
    path("rollouts/<int:rollout_id>/", views.rollout_detail, name="rollout"),
    path("rollouts/<int:rollout_id>/why/", views.rollout_why, name="rollout-why"),
    path("rollouts/<int:rollout_id>/causes/", views.rollout_causes, name="rollout-causes"),
    path("rollouts/<int:rollout_id>/acts/", views.rollout_acts, name="rollout-acts"),
    re_path(r"^rollouts/(?P<rollout_id>\d+)/(?P<verb>pause|resume|cancel|retry)/$", views.rollout_act, name="rollout-act"),
]
