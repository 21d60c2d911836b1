"""Django's admin over clusters, to look at: they are written by page and API, where their rules are asked."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin import ReadOnlyAdmin
from inventory.models import Cluster, ClusterNode, ClusterSecret, HostKey


@admin.register(Cluster)
class ClusterAdmin(ReadOnlyAdmin):
    """Clusters as they are wanted."""

    list_display = ["name", "tenant", "state", "release", "balancing", "entrance", "created_at"]
    list_filter = ["tenant", "state", "release"]
    list_select_related = ["tenant"]
    search_fields = ["name", "entrance"]


@admin.register(ClusterNode)
class ClusterNodeAdmin(ReadOnlyAdmin):
    """Hosts of clusters."""

    list_display = ["name", "cluster", "private_address", "public_address", "state"]
    list_filter = ["cluster"]
    list_select_related = ["cluster"]
    search_fields = ["name", "private_address", "public_address"]


@admin.register(HostKey)
class HostKeyAdmin(ReadOnlyAdmin):
    """Keys that hosts showed."""

    list_display = ["node", "key_type", "fingerprint", "state", "seen_at", "trusted_by"]
    list_filter = ["state"]
    list_select_related = ["node", "trusted_by"]
    search_fields = ["fingerprint", "node__name"]


@admin.register(ClusterSecret)
class ClusterSecretAdmin(ReadOnlyAdmin):
    """Which secret a cluster uses for what; the values are nowhere to be seen."""

    list_display = ["purpose", "cluster", "secret"]
    list_filter = ["cluster"]
    list_select_related = ["cluster", "secret"]
    search_fields = ["purpose"]
