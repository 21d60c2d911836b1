"""Django's admin over the inventory; what the product itself finds out (states, probes, content) is read-only."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms import ModelForm
from django.http import HttpRequest

from accounts import audit
from accounts.actors import Actor
from accounts.admin import AuditedAdmin, ReadOnlyAdmin
from inventory import cluster_admin as cluster_admin  # registers the rows of clusters
from inventory import deployments, exposing, labels, saved_filters, sites
from inventory.connections import ConnectionFields, read_target
from inventory.models import Archive, Credential, Deployment, Environment, Filter, Label, Probe, Site, SubManager


@admin.register(Archive)
class ArchiveAdmin(ReadOnlyAdmin):
    """Uploaded content, by digest."""

    list_display = ["digest", "file_name", "size", "created_at"]
    search_fields = ["digest", "file_name"]


@admin.register(Site)
class SiteAdmin(AuditedAdmin):
    """Places."""

    list_display = ["name", "tenant", "location", "time_zone", "visibility"]
    list_filter = ["tenant", "visibility"]
    list_select_related = ["tenant"]
    search_fields = ["name"]
    fields = ["tenant", "name", "latitude", "longitude", "time_zone", "visibility", "created_by", "created_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["created_by", "created_at", *(["tenant"] if obj else [])]

    def create(self, by: Actor, row: Site, form: ModelForm) -> Site:
        return sites.create_site(by=by, **form.cleaned_data)

    def change(self, by: Actor, row: Site, form: ModelForm) -> Site:
        return sites.update_site(by=by, site=Site.objects.get(pk=row.pk), **form.cleaned_data)

    def remove(self, by: Actor, row: Site) -> None:
        sites.delete_site(by=by, site=row)


@admin.register(Filter)
class FilterAdmin(AuditedAdmin):
    """Saved filters; those of the system stay as they are."""

    list_display = ["name", "tenant", "is_system", "visibility", "updated_at"]
    list_filter = ["tenant", "is_system", "visibility"]
    list_select_related = ["tenant"]
    search_fields = ["name"]
    fields = ["tenant", "name", "rules", "visibility", "is_system", "created_by", "created_at", "updated_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["is_system", "created_by", "created_at", "updated_at", *(["tenant"] if obj else [])]

    def create(self, by: Actor, row: Filter, form: ModelForm) -> Filter:
        return saved_filters.create_filter(by=by, are_titles_free=True, **form.cleaned_data)

    def change(self, by: Actor, row: Filter, form: ModelForm) -> Filter:
        stored = Filter.objects.get(pk=row.pk)
        return saved_filters.update_filter(by=by, saved=stored, are_titles_free=True, **form.cleaned_data)

    def remove(self, by: Actor, row: Filter) -> None:
        saved_filters.delete_filter(by=by, saved=row)


class SubManagerForm(ModelForm):
    """Checks the trust that was chosen as the page of environments does."""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        wanted = ConnectionFields(
            endpoint=self.instance.endpoint, protocol=self.instance.protocol, port=self.instance.port
        )
        for name in ("trust", "ca_bundle", "fingerprint", "insecure_reason"):
            wanted[name] = data.get(name, "")
        target = read_target(wanted)
        return data | {field: value for field, value in target.trust_fields.items() if value}


@admin.register(SubManager)
class SubManagerAdmin(AuditedAdmin):
    """Remote managers: made with the first environment on them, dropped with the last."""

    form = SubManagerForm
    list_display = ["__str__", "tenant", "trust", "version", "certificate_expires_at", "max_parallel"]
    list_filter = ["tenant", "protocol", "trust"]
    list_select_related = ["tenant"]
    search_fields = ["endpoint"]
    readonly_fields = [
        "tenant",
        "endpoint",
        "protocol",
        "port",
        "version",
        "edition",
        "certificate_expires_at",
        "created_at",
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Credential)
class CredentialAdmin(ReadOnlyAdmin):
    """Which secrets are shown where; they are chosen at the environment."""

    list_display = ["__str__", "tenant", "last_success_at", "last_failure_at", "last_failure"]
    list_filter = ["tenant", "kind"]
    list_select_related = ["tenant", "token", "username", "password"]


@admin.register(Deployment)
class DeploymentAdmin(AuditedAdmin):
    """The rows that v3.1 lists; made with what owns them."""

    list_display = [
        "wire_id",
        "display_name",
        "tenant",
        "kind",
        "site",
        "visibility",
        "deployment_status",
        "created_at",
    ]
    list_filter = ["tenant", "kind", "deployment_status", "visibility"]
    list_select_related = ["tenant", "site"]
    search_fields = ["wire_id", "display_name"]
    raw_id_fields = ["site"]
    fields = [
        "tenant", "wire_id", "display_name", "description", "kind", "blueprint_name", "site", "parent", "visibility",
        "installation_status", "deployment_status", "sub_services_count", "sub_services_status", "sub_environments_count",
        "sub_environments_status", "latest_execution", "latest_execution_status", "created_by", "created_at",
    ]  # fmt: skip
    changeable = ("display_name", "description", "site", "visibility")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [str(name) for name in self.fields or () if name not in self.changeable]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def change(self, by: Actor, row: Deployment, form: ModelForm) -> None:
        stored = Deployment.objects.select_related("site", "tenant").get(pk=row.pk)
        if stored.visibility != row.visibility:
            deployments.set_visibility(by=by, deployment=stored, visibility=row.visibility)
        if stored.site != row.site:
            deployments.set_site(by=by, deployment=stored, site=row.site)
        row.save(update_fields=["display_name", "description"])

    def remove(self, by: Actor, row: Deployment) -> None:
        with transaction.atomic():
            if row.kind != Deployment.Kind.LOCAL:  # those are audited by the service
                audit.record(by=by, action="deployment.delete", row=row, tenant=row.tenant, before=audit.snapshot(row))
            deployments.delete_deployment(by=by, deployment=row)


class LabelForm(ModelForm):
    """One more label of a deployment."""

    value = forms.CharField(required=False, max_length=256)


@admin.register(Label)
class LabelAdmin(AuditedAdmin):
    """Labels: added and taken away; another value is another label."""

    form = LabelForm
    list_display = ["key", "value", "deployment", "created_by", "created_at"]
    list_select_related = ["deployment", "created_by"]
    search_fields = ["key", "value", "deployment__wire_id"]
    raw_id_fields = ["deployment"]
    fields = ["deployment", "key", "value", "created_by", "created_at"]
    readonly_fields = ["created_by", "created_at"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def create(self, by: Actor, row: Label, form: ModelForm) -> None:
        labels.add_labels(by=by, deployment=row.deployment, labels=[(row.key, row.value)])
        made = row.deployment.labels.order_by("-pk").first()
        if made is None:
            raise ValidationError({"key": "This key is kept by the product itself. Choose another one."})
        row.__dict__.update(made.__dict__)

    def remove(self, by: Actor, row: Label) -> None:
        with transaction.atomic():
            audit.record(
                by=by, action="label.delete", row=row, tenant=row.deployment.tenant, before=audit.snapshot(row)
            )
            labels.remove_labels(by=by, deployment=row.deployment, labels=[(row.key, row.value)])


@admin.register(Environment)
class EnvironmentAdmin(AuditedAdmin):
    """Exposed tenants of remote managers; added and tried on their own pages."""

    list_display = ["__str__", "sub_manager", "remote_tenant", "state", "state_since", "last_seen_at"]
    list_filter = ["state", "deployment__tenant"]
    list_select_related = ["deployment", "sub_manager"]
    search_fields = ["deployment__wire_id", "deployment__display_name", "sub_manager__endpoint"]
    fields = [
        "deployment",
        "sub_manager",
        "remote_tenant",
        "credential",
        "state",
        "why",
        "state_since",
        "last_seen_at",
        "last_probe_at",
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [str(name) for name in self.fields or () if name != "remote_tenant"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def remove(self, by: Actor, row: Environment) -> None:
        exposing.hide(by=by, environment=row)


@admin.register(Probe)
class ProbeAdmin(ReadOnlyAdmin):
    """Looks at environments."""

    list_display = ["at", "environment", "is_ready", "failed_rung", "milliseconds"]
    list_filter = ["is_ready", "failed_rung"]
    list_select_related = ["environment__deployment"]
    search_fields = ["environment__deployment__wire_id"]
