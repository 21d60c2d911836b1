"""Pages: environments from a file, first as a report line by line, and as a file."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from accounts.actors import actor_of
from accounts.permissions import needs
from accounts.requests import TenantRequest
from inventory import describing, environment_files
from inventory.bulk_views import meant
from inventory.described_files import CONTENT_TYPES
from inventory.file_forms import FileForm

WORDS = {"new": "Made", "changed": "Changed", "same": "Unchanged", "error": "Refused"}


@needs("environment.change")
def environments_import(request: TenantRequest) -> HttpResponse:
    """Read a file: first what would become of each line, then that."""
    form = FileForm(request.POST or None, request.FILES or None)
    report = None
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        report = environment_files.import_environments(
            by=actor_of(request), tenant=request.tenant, text=data["text"], format=data["format"],
            is_dry_run=request.POST.get("intent") != "import",
        )  # fmt: skip
        if report.is_done:
            made, changed = report.count("new"), report.count("changed")
            same = report.count("same")
            messages.success(request, f"{made:,} made, {changed:,} changed, {same:,} unchanged, as the file says.")
            return redirect("run", report.run.pk) if report.run else redirect("environments")
        form.keep_text()
    shown = {
        "form": form,
        "report": report,
        "counts": [(word, report.count(verdict)) for verdict, word in WORDS.items()] if report else [],
        "lines": [(WORDS[line.verdict], line) for line in report.lines] if report else [],
        "touched": report.count("new") + report.count("changed") if report else 0,
    }
    return render(request, "inventory/import.html", shown, status=400 if form.errors else 200)


@require_GET
@needs("environment.view")
def environments_export(request: TenantRequest) -> HttpResponse:
    """The environments that the address of the list means, as a file that can be imported again."""
    kind = "csv" if request.GET.get("as") == "csv" else "yaml"
    text = describing.export_environments(meant(request).for_describing(), kind)
    reply = HttpResponse(text, content_type=f"{CONTENT_TYPES[kind]}; charset=utf-8")
    reply["Content-Disposition"] = f'attachment; filename="environments.{kind}"'
    return reply
