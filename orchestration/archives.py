"""Unpacks uploaded blueprint archives, which are hostile until proven otherwise: nothing is written outside, nothing but files and folders."""

from __future__ import annotations

import dataclasses
import functools
import io
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

CHUNK = 1 << 16
NAME_LIMIT = 255
DEPTH_LIMIT = 40


class ArchiveError(Exception):
    """The archive is refused; the text says why, for a person."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Sizes in bytes. `ratio`: unpacked to packed, beyond a first megabyte."""

    packed: int = 50 << 20
    unpacked: int = 200 << 20
    files: int = 10_000
    ratio: int = 200


@dataclasses.dataclass(frozen=True)
class Member:
    """One file or folder of an archive; `open` gives its content."""

    name: str
    is_folder: bool
    is_executable: bool
    size: int
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, target: Path, limits: Limits | None = None) -> Path:
    """Unpack a zip, tar, tar.gz or tar.bz2 into the new folder `target`. Returns its one top folder.

    Raises ArchiveError; `target` does not exist then.
    """
    limits = limits or Limits()
    size = archive.stat().st_size
    if size > limits.packed:
        raise ArchiveError(f"The archive is too large: {size} bytes, at most {limits.packed} are taken.")
    target.mkdir(parents=True)
    try:
        _unpack(archive, target, limits, size)
        return _top_folder(target)
    except ArchiveError:
        shutil.rmtree(target, ignore_errors=True)
        raise
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
        OSError,
        ValueError,
        UnicodeError,
    ):
        shutil.rmtree(target, ignore_errors=True)
        raise ArchiveError(
            "The archive is damaged or of an unknown kind: send a zip, tar, tar.gz or tar.bz2 file."
        ) from None


def _unpack(archive: Path, target: Path, limits: Limits, size: int) -> None:
    budget = min(limits.unpacked, max(1 << 20, size * limits.ratio))
    seen: set[PurePosixPath] = set()
    for count, member in enumerate(_members(archive)):
        if count >= limits.files:
            raise ArchiveError(f"The archive has more than {limits.files} files.")
        path = checked_path(member.name)
        if not path.parts:
            continue
        if path in seen and not member.is_folder:
            raise ArchiveError(f"The archive has '{_shown(member.name)}' twice.")
        seen.add(path)
        place = target.joinpath(*path.parts)
        if member.is_folder:
            place.mkdir(parents=True, exist_ok=True)
            continue
        if member.size > budget:
            raise ArchiveError(
                f"The archive unpacks to too much: at most {limits.unpacked} bytes and {limits.ratio} times its size."
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        source = member.open()
        if source is None:
            raise ArchiveError(f"'{_shown(member.name)}' in the archive cannot be read.")
        with source:
            budget -= _copy(source, place, budget, limits)
        place.chmod(0o755 if member.is_executable else 0o644)


def _copy(source: IO[bytes], place: Path, budget: int, limits: Limits) -> int:
    """Copy at most `budget` bytes, whatever the archive says the size is. Returns how many it were."""
    written = 0
    with place.open("xb") as output:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > budget:
                raise ArchiveError(
                    f"The archive unpacks to too much: at most {limits.unpacked} bytes and {limits.ratio} times its size."
                )
            output.write(chunk)
    return written


def packed_alone(name: str, content: bytes) -> bytes:
    """A zip of one folder with one file in it; the same bytes for the same file. ArchiveError for an impossible name."""
    checked_path(name)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"blueprint/{name}"), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def checked_path(name: str) -> PurePosixPath:
    """The member's path, refused when it could lead elsewhere."""
    path = PurePosixPath(name)
    if (
        not name
        or "\0" in name
        or "\\" in name
        or path.is_absolute()
        or ".." in path.parts
        or (len(name) > 1 and name[1] == ":")
    ):
        raise ArchiveError(f"The archive has a file with a path that is not allowed: '{_shown(name)}'.")
    if len(path.parts) > DEPTH_LIMIT or any(len(part.encode()) > NAME_LIMIT for part in path.parts):
        raise ArchiveError(f"The archive has a file whose path is too long: '{_shown(name)}'.")
    return path


def _shown(name: str) -> str:
    return name[:200].encode("ascii", "backslashreplace").decode()


def _members(archive: Path) -> Iterator[Member]:
    if zipfile.is_zipfile(archive) and not _is_tar(archive):
        with zipfile.ZipFile(archive) as opened:
            yield from _zip_members(opened)
    elif _is_tar(archive):
        # Streamed, so that a bomb is stopped at the first file too many, not after a pass over all of it.
        with tarfile.open(archive, "r|*") as opened_tar:
            yield from _tar_members(opened_tar)
    else:
        raise ArchiveError("The archive is of an unknown kind: send a zip, tar, tar.gz or tar.bz2 file.")


def _is_tar(archive: Path) -> bool:
    with archive.open("rb") as file:
        head = file.read(512)
    return head[:2] == b"\x1f\x8b" or head[:3] == b"BZh" or head[257:262] == b"ustar"


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        mode = info.external_attr >> 16
        kind = stat.S_IFMT(mode)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ArchiveError(
                f"The archive has '{_shown(info.filename)}', which is a link or a device: only files and folders are taken."
            )
        if info.flag_bits & 1:
            raise ArchiveError("The archive is encrypted: send it without a password.")
        yield Member(
            info.filename, info.is_dir(), bool(mode & 0o111), info.file_size, functools.partial(archive.open, info)
        )


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    for info in archive:
        if not (info.isfile() or info.isdir()) or info.issparse():
            raise ArchiveError(
                f"The archive has '{_shown(info.name)}', which is a link or a device: only files and folders are taken."
            )
        yield Member(
            info.name, info.isdir(), bool(info.mode & 0o111), info.size, functools.partial(archive.extractfile, info)
        )


def _top_folder(target: Path) -> Path:
    entries = list(target.iterdir())
    if len(entries) != 1 or not entries[0].is_dir():
        found = "nothing" if not entries else f"{len(entries)} entries" if len(entries) > 1 else "one file"
        raise ArchiveError(
            f"The archive must hold exactly one top folder with the blueprint in it; it has {found} at its top."
        )
    return entries[0]
