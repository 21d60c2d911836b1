"""Archives are hostile until proven otherwise: what is unpacked, and each refusal with its sentence."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile

import pytest

from orchestration.archives import ArchiveError, Limits, unpack


def zipped(place, members, top="bp/"):
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(top + name, content)
    return place


def tarred(place, members, mode="w:gz"):
    with tarfile.open(place, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, tuple):
                info.type, info.linkname = content
                archive.addfile(info)
            else:
                info.size, info.mode = len(content), 0o755
                archive.addfile(info, io.BytesIO(content))
    return place


FILES = {"blueprint.yaml": b"x: 1\n", "scripts/a.sh": b"#!/bin/bash\n"}


@pytest.mark.parametrize("kind", ["zip", "w:", "w:gz", "w:bz2"])
def test_each_kind_of_archive_is_unpacked_to_its_top_folder(tmp_path, kind):
    if kind == "zip":
        archive = zipped(tmp_path / "a", FILES)
    else:
        archive = tarred(tmp_path / "a", {f"bp/{name}": content for name, content in FILES.items()}, kind)
    top = unpack(archive, tmp_path / "out")
    assert top == tmp_path / "out" / "bp"
    assert {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()} == FILES
    if kind != "zip":
        assert os.access(top / "scripts" / "a.sh", os.X_OK)


def refused(tmp_path, archive, limits=None):
    with pytest.raises(ArchiveError) as error:
        unpack(archive, tmp_path / "out", limits)
    assert not (tmp_path / "out").exists()
    assert str(tmp_path) not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "name", ["../evil", "bp/../../evil", "/etc/evil", "bp/..", "c:/evil", "bp\\..\\evil", "bp/\x00x"]
)
def test_a_path_that_leads_elsewhere_is_refused(tmp_path, name):
    assert "not allowed" in refused(tmp_path, tarred(tmp_path / "a", {"bp/ok": b"", name: b"x"})) or "\0" in name
    if "\0" not in name and "\\" not in name:
        assert "not allowed" in refused(tmp_path, zipped(tmp_path / "b", {"bp/ok": b"", name: b"x"}, top=""))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    assert "link or a device" in refused(tmp_path, tarred(tmp_path / "a", {"bp/x": (kind, "/etc/passwd")}))


def test_a_symbolic_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("bp/link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "link or a device" in refused(tmp_path, tmp_path / "a")


def test_bombs_are_refused_before_they_are_written(tmp_path):
    assert "unpacks to too much" in refused(tmp_path, zipped(tmp_path / "a", {"zeros": b"\0" * (30 << 20)}))
    assert "unpacks to too much" in refused(tmp_path, tarred(tmp_path / "b", {"bp/zeros": b"\0" * (30 << 20)}))
    assert "more than 20 files" in refused(
        tmp_path, tarred(tmp_path / "c", {f"bp/{n}": b"" for n in range(30)}), Limits(files=20)
    )


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path):
    archive = zipped(tmp_path / "a", {"zeros": b"\0" * (30 << 20)})
    data = archive.read_bytes()
    archive.write_bytes(data.replace((30 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    refused(tmp_path, archive)


def test_oversize_wrong_kind_and_damage_are_refused(tmp_path):
    archive = zipped(tmp_path / "a", {"x": os.urandom(2000)})
    assert "too large" in refused(tmp_path, archive, Limits(packed=1000))
    (tmp_path / "text").write_text("hello")
    assert "unknown kind" in refused(tmp_path, tmp_path / "text")
    (tmp_path / "empty").write_bytes(b"")
    assert "unknown kind" in refused(tmp_path, tmp_path / "empty")
    whole = tarred(tmp_path / "t", {"bp/x": os.urandom(50_000)}).read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused(tmp_path, tmp_path / "half")


def test_an_archive_needs_exactly_one_top_folder(tmp_path):
    assert "exactly one top folder" in refused(tmp_path, zipped(tmp_path / "a", FILES, top=""))
    assert "one file" in refused(tmp_path, zipped(tmp_path / "b", {"blueprint.yaml": b""}, top=""))
    with zipfile.ZipFile(tmp_path / "c", "w"):
        pass
    assert "nothing" in refused(tmp_path, tmp_path / "c")


def test_the_same_file_twice_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("bp/x"), io.BytesIO())
    assert "twice" in refused(tmp_path, tmp_path / "a")
