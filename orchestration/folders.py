"""Unpacked blueprints on this host: made from the content store when they are first needed, one folder a digest."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from django.conf import settings

from inventory.models import Archive
from orchestration.archives import ArchiveError, Limits, unpack

UNKNOWN_KIND = (
    "Blueprint archive is of an unrecognized format. Supported formats are: ['zip', 'tar', 'tar.gz', 'tar.bz2']"
)


def root() -> Path:
    """Where they are kept; may be emptied at any time that nothing runs."""
    path = Path(settings.DATA_DIR) / "blueprints"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def folder_of(digest: str) -> Path:
    """The one top folder of the archive with this digest; ArchiveError where the archive is refused."""
    place = root() / digest
    if not place.is_dir():
        unpack_bytes(bytes(Archive.objects.values_list("content", flat=True).get(pk=digest)))
    found = [entry for entry in place.iterdir() if entry.is_dir()]
    if len(found) != 1:
        raise ArchiveError("The archive must hold exactly one top folder with the blueprint in it.")
    return found[0]


def unpack_bytes(content: bytes) -> None:
    """Unpack an archive to where `folder_of` finds it, beside and then renamed: others see the whole folder or none."""
    if not kind_of(content):
        raise ArchiveError(UNKNOWN_KIND)
    place = root() / hashlib.sha256(content).hexdigest()
    if place.is_dir():
        return
    draft = Path(tempfile.mkdtemp(prefix="unpacking-", dir=root()))
    try:
        packed = draft / "archive"
        packed.write_bytes(content)
        unpack(packed, draft / "content", Limits(packed=settings.ARCHIVE_MAX_BYTES))
        try:
            (draft / "content").rename(place)
        except OSError:
            if not place.is_dir():  # somebody else was faster: theirs has the same content
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def kind_of(content: bytes) -> str:
    """The kind of archive as its file name ends, for a download; "" for what is none."""
    if content[:2] == b"\x1f\x8b":
        return "tar.gz"
    if content[:3] == b"BZh":
        return "tar.bz2"
    if content[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    return "tar" if content[257:262] == b"ustar" else ""
