"""Django's admin over certificates and work of clusters, to look at."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin import ReadOnlyAdmin
from installs.models import Certificate, Checkup, ClusterRun, Drill


@admin.register(Certificate)
class CertificateAdmin(ReadOnlyAdmin):
    """Certificates and signing requests; the keys are secrets."""

    list_display = ["owner", "kind", "cluster", "state", "source", "not_after", "fingerprint"]
    list_filter = ["kind", "state", "source", "cluster"]
    list_select_related = ["cluster"]
    search_fields = ["owner", "subject", "fingerprint"]


@admin.register(ClusterRun)
class ClusterRunAdmin(ReadOnlyAdmin):
    """What was done on clusters."""

    list_display = ["cluster", "kind", "host", "run", "created_at"]
    list_filter = ["kind", "cluster"]
    list_select_related = ["cluster", "run"]
    search_fields = ["cluster__name", "host"]


@admin.register(Drill)
class DrillAdmin(ReadOnlyAdmin):
    """Drills and what came of them."""

    list_display = ["cluster", "kind", "host", "run", "verdict", "gap_seconds", "lost", "created_at"]
    list_filter = ["kind", "verdict", "cluster"]
    list_select_related = ["cluster", "run"]
    search_fields = ["cluster__name", "host"]


@admin.register(Checkup)
class CheckupAdmin(ReadOnlyAdmin):
    """How clusters were when they were last looked at."""

    list_display = ["cluster", "verdict", "looked_at", "known_at", "unwell_since"]
    list_filter = ["verdict"]
    list_select_related = ["cluster"]
    search_fields = ["cluster__name"]
