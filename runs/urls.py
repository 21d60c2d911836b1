"""Addresses of the run pages."""

from django.urls import URLPattern, path, re_path

from runs import views

urlpatterns: list[URLPattern] = [
    path("runs/", views.run_list, name="runs"),
    path("runs/<int:run_id>/", views.run_detail, name="run"),
    re_path(r"^runs/(?P<run_id>\d+)/(?P<verb>pause|resume|cancel)/$", views.run_act, name="run-act"),
]
