"""The archive of a blueprint, as it was uploaded, for a page and for v3.1 alike."""

from __future__ import annotations

from django.http import HttpResponse

from inventory.models import Archive
from orchestration.folders import kind_of
from orchestration.models import Blueprint

TYPES = {
    "zip": "application/zip",
    "tar": "application/x-tar",
    "tar.gz": "application/gzip",
    "tar.bz2": "application/x-bzip2",
}


def archive_of(blueprint: Blueprint) -> HttpResponse | None:
    """To be saved as a file; None where no archive is kept."""
    archive = Archive.objects.filter(pk=blueprint.archive_id).first()
    if archive is None:
        return None
    content = bytes(archive.content)
    ending = kind_of(content) or "tar"
    response = HttpResponse(content, content_type=TYPES[ending])
    response["Content-Disposition"] = f'attachment; filename="{blueprint.wire_id}.{ending}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response
