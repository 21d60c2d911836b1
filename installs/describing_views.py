"""Pages: describe a cluster, with findings and picture beside the form; change it and its hosts; import a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.forms import show_errors
from accounts.permissions import needs
from accounts.requests import TenantRequest
from accounts.revisions import SEEN, Changed, revision_of
from installs import importing, services
from installs.cluster_form import ClusterForm, ready_hosts
from installs.describing import SERVICES, read_access, read_external, read_host
from installs.fetching import fetch_authority
from installs.findings import errors_of
from installs.forgetting import in_words, take_out
from installs.forms import ClusterFields, ExternalFields, HostAccessFields, HostForm, ImportForm, TopologyForm
from installs.picture import draw
from installs.services import cluster_findings
from installs.topology import findings
from installs.views import rights, the_cluster, the_host
from inventory import cluster_hosts, clusters, editable
from inventory.layout import Layout
from inventory.models import Cluster


@needs("cluster.change")
def cluster_new(request: TenantRequest) -> HttpResponse:
    """Describe a cluster; with errors it is kept as a draft only."""
    form = ClusterForm(request.POST or None, tenant=request.tenant, user=request.user)
    if request.method == "POST" and form.is_valid():
        description = form.description()
        is_draft = request.POST.get("intent") == "draft"
        if is_draft or not errors_of(findings(description.layout)):
            try:
                cluster = services.describe_cluster(
                    by=actor_of(request), tenant=request.tenant, description=description, is_draft=is_draft
                )
                messages.success(request, f"Cluster {cluster.name} is described. Trust its hosts' keys next.")
                return redirect("cluster", cluster.pk)
            except (ValidationError, Conflict) as error:
                show_errors(form.cluster, error)
    return show_form(request, form)


def show_form(request: TenantRequest, form: ClusterForm) -> HttpResponse:
    """The page; after a POST with what is wrong beside it. Secrets that were typed are asked for again."""
    shown: dict[str, Any] = {"form": form, "topology": TopologyForm()}
    if request.method == "POST":
        form.ask_again()
        shown |= review_of(form.layout())
    return render(request, "installs/cluster_new.html", shown, status=400 if request.method == "POST" else 200)


@require_POST
@needs("cluster.change")
def cluster_check(request: TenantRequest) -> HttpResponse:
    """Fragment: findings and picture of what the form holds; saves nothing."""
    form = ClusterForm(request.POST, tenant=request.tenant, user=request.user)
    form.is_valid()
    return render(request, "installs/review.html", review_of(form.layout()))


@require_GET
@needs("cluster.change")
def cluster_ready_hosts(request: TenantRequest) -> HttpResponse:
    """Fragment: the hosts of a ready-made layout, with what was entered for hosts of the same name."""
    return render(request, "installs/hosts_table.html", {"hosts": ready_hosts(request.GET)})


@require_POST
@needs("cluster.change")
def cluster_fetch_ca(request: TenantRequest, service: str) -> HttpResponse:
    """Fragment: the CA that an external service shows, to compare and take over."""
    fields = ExternalFields(request.POST, prefix=service)
    given = fields.given() if fields.is_valid() else None
    shown: dict[str, Any] = {"service": service, "problem": "Enter address and port first."}
    if given and given["port"]:
        try:
            fetched = fetch_authority(service, given["addresses"][0], given["port"])
            shown = {"service": service, "fetched": fetched}
        except (ValidationError, Conflict) as error:
            shown["problem"] = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
    return render(request, "installs/fetched.html", shown)


def review_of(layout: Layout) -> dict[str, Any]:
    """What templates/installs/review.html shows."""
    found = findings(layout)
    return {"findings": found, "picture": draw(layout, found), "is_reviewed": True}


@needs("cluster.change")
def cluster_change(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """Change what a cluster is beside its hosts."""
    cluster = the_cluster(request, cluster_id)
    layout = cluster.layout()
    initial = {name: getattr(cluster, name) for name in ClusterFields.base_fields}
    form = ClusterFields(request.POST or None, tenant=request.tenant, initial=initial)
    external = [
        ExternalFields(
            request.POST or None, prefix=service, initial=ExternalFields.initial_of(getattr(layout, service))
        )
        for service in SERVICES
    ]
    checked = [each.is_valid() for each in (form, *external)]
    seen, code = request.POST.get(SEEN, "") or revision_of(editable.of_cluster(cluster)), 400
    if request.method == "POST" and all(checked):
        try:
            save_cluster(request, cluster, form, external, seen)
            messages.success(request, f"Cluster {cluster.name} is saved.{_open_errors(cluster)}")
            return redirect("cluster", cluster.pk)
        except Changed as changed:
            show_errors(form, changed)
            seen, code = changed.revision, 409
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    if request.method == "POST":
        for each in external:
            each.ask_again()
    shown = {"cluster": cluster, "form": form, "external": external, "seen": seen}
    return render(request, "installs/cluster_change.html", shown, status=code if request.method == "POST" else 200)


def save_cluster(
    request: TenantRequest, cluster: Cluster, form: ClusterFields, external: Sequence[ExternalFields], seen: str
) -> None:
    """What the change page holds; a password left empty stays."""
    given, logins = dict(form.cleaned_data), {}
    for service, one in zip(SERVICES, external, strict=True):
        told = one.given()
        given[service] = read_external(told)
        if told and told["user"] and told["password"]:
            logins[service] = (told["user"], told["password"])
    clusters.change_cluster(by=actor_of(request), cluster=cluster, seen=seen, logins=logins, **given)


@needs("cluster.change")
def host_change(request: TenantRequest, cluster_id: int, host_id: int | None = None) -> HttpResponse:
    """Add a host, or change one; a way to sign in that is left empty stays."""
    cluster = the_cluster(request, cluster_id)
    node = the_host(request, cluster_id, host_id) if host_id else None
    form = HostForm(request.POST or None, initial=HostForm.initial_of(node.host()) if node else None)
    access = HostAccessFields(
        request.POST or None, prefix="ssh", tenant=request.tenant, user=request.user,
        initial=HostAccessFields.initial_of(node) if node else None,
    )  # fmt: skip
    checked = [form.is_valid(), access.is_valid()]
    seen, code = request.POST.get(SEEN, "") or (revision_of(editable.of_host(node)) if node else ""), 400
    if request.method == "POST" and all(checked):
        own, by = read_access(access.given()), actor_of(request)
        try:
            if node:
                cluster_hosts.change_host(by=by, node=node, host=read_host(form.cleaned_data), access=own, seen=seen)
            else:
                node = cluster_hosts.add_host(by=by, cluster=cluster, host=read_host(form.cleaned_data), access=own)
            messages.success(request, f"Host {node.name} is saved.{_open_errors(cluster)}")
            return redirect("cluster", cluster.pk)
        except Changed as changed:
            show_errors(form, changed)
            seen, code = changed.revision, 409
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    if request.method == "POST":
        access.ask_again()
    shown = {"cluster": cluster, "node": node, "form": form, "access": access, "seen": seen}
    return render(request, "installs/host.html", shown, status=code if request.method == "POST" else 200)


@require_POST
@needs("cluster.change")
def host_remove(request: TenantRequest, cluster_id: int, host_id: int) -> HttpResponse:
    """Take a host out of the description."""
    node = the_host(request, cluster_id, host_id)
    try:
        remaining = take_out(by=actor_of(request), node=node, is_forced=request.POST.get("force") == "1")
        if remaining:
            messages.warning(request, in_words(node.name, remaining))
        messages.success(request, f"Host {node.name} is taken out.{_open_errors(node.cluster)}")
    except Conflict as error:
        messages.error(request, str(error))
    return redirect("cluster", cluster_id)


@needs("cluster.change")
def cluster_import(request: TenantRequest) -> HttpResponse:
    """Read a file: first a report line by line, then the cluster."""
    form = ImportForm(request.POST or None, request.FILES or None)
    report = None
    if request.method == "POST" and form.is_valid():
        data, intent = form.cleaned_data, request.POST.get("intent", "check")
        try:
            report = importing.import_layout(
                by=actor_of(request), tenant=request.tenant, text=data["text"], format=data["format"],
                name=data["name"], is_dry_run=intent == "check", is_draft=intent == "draft",
            )  # fmt: skip
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
        if report and report.is_done and report.cluster:
            messages.success(request, f"Cluster {report.cluster.name} is as the file says.")
            return redirect("cluster", report.cluster.pk)
        form.keep_text()
    shown = {"form": form, "report": report, "findings": report.findings if report else []} | rights(request)
    if report and report.description:
        shown |= review_of(report.description.layout)
    return render(request, "installs/import.html", shown, status=400 if form.errors else 200)


def _open_errors(cluster: Cluster) -> str:
    """A second sentence for what the change made wrong, or ""."""
    fresh = Cluster.objects.with_hosts().get(pk=cluster.pk)
    count = len(errors_of(cluster_findings(fresh)))
    return f" {count} error{'s keep' if count > 1 else ' keeps'} it from being built: see below." if count else ""
