"""Addresses of the cluster pages."""

from django.urls import URLPattern, path, re_path

from installs import certificate_views, describing_views, offer_views, views, work_views
from installs.drills import views as drill_views
from installs.health.views import health_now

ONE = "clusters/<int:cluster_id>/"
HOST = f"{ONE}hosts/<int:host_id>/"
urlpatterns: list[URLPattern] = [
    path("clusters/", views.cluster_list, name="clusters"),
    path("clusters/new/", describing_views.cluster_new, name="cluster-new"),
    path("clusters/new/check/", describing_views.cluster_check, name="cluster-check"),
    path("clusters/new/hosts/", describing_views.cluster_ready_hosts, name="cluster-ready-hosts"),
    path(
        "clusters/new/external_database/ca/",
        describing_views.cluster_fetch_ca,
        {"service": "external_database"},
        name="fetch-database-ca",
    ),
    path(
        "clusters/new/external_queue/ca/",
        describing_views.cluster_fetch_ca,
        {"service": "external_queue"},
        name="fetch-queue-ca",
    ),
    path("clusters/import/", describing_views.cluster_import, name="cluster-import"),
    path(ONE, views.cluster_detail, name="cluster"),
    path(f"{ONE}health/", health_now, name="cluster-health"),
    path(f"{ONE}change/", describing_views.cluster_change, name="cluster-change"),
    path(f"{ONE}export/", views.cluster_export, name="cluster-export"),
    path(f"{ONE}remove/", views.cluster_remove, name="cluster-remove"),
    path(f"{ONE}keys/", views.keys_look, name="cluster-keys"),
    path(f"{ONE}expose/", offer_views.cluster_expose, name="cluster-expose"),
    path(f"{ONE}password/", offer_views.cluster_password, name="cluster-password"),
    path(f"{ONE}plan/", work_views.install_plan, name="cluster-plan"),
    path(f"{ONE}preflight/", work_views.preflight_start, name="cluster-preflight"),
    re_path(
        r"^clusters/(?P<cluster_id>\d+)/plan/(?P<kind>install|verify|uninstall)/$",
        work_views.work,
        name="cluster-work",
    ),
    path(f"{ONE}drills/", drill_views.drill_list, name="cluster-drills"),
    re_path(
        r"^clusters/(?P<cluster_id>\d+)/drills/(?P<kind>manager|leader|queue)/$",
        drill_views.drill,
        name="cluster-drill",
    ),
    path(f"{ONE}certificates/", certificate_views.certificate_list, name="cluster-certificates"),
    path(f"{ONE}certificates/renew/", certificate_views.certificates_renew, name="certificates-renew"),
    path(f"{ONE}certificates/requests/", certificate_views.certificate_requests, name="certificate-requests"),
    path(f"{ONE}certificates/ca.crt", certificate_views.certificate_authority, name="certificate-authority"),
    path(f"{ONE}hosts/add/", describing_views.host_change, name="host-add"),
    path(HOST, describing_views.host_change, name="host-change"),
    path(f"{HOST}leave/", work_views.host_leave, name="host-leave"),
    path(f"{HOST}remove/", describing_views.host_remove, name="host-remove"),
    path(f"{HOST}look/", views.key_look, name="host-key-look"),
    path(f"{HOST}trust/", views.key_trust, name="host-key-trust"),
]
