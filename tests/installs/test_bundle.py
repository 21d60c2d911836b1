"""Bundles in parts: what is asked for, what is kept, what the folder of packages looks like to apt; nothing is fetched."""

import io
import json
import re
import subprocess
import tarfile

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from installs.bundle import debian, making, product, pushing, repository, wheels
from installs.bundle.manifest import Bundle, BundledFile, BundleError, find_bundle
from installs.packages import all_packages
from tests.installs.bundles import make_bundle, make_deb


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / "bundle")


# --- the manifest ------------------------------------------------------------------------------------------------------


def test_a_bundle_is_read_back_as_it_was_saved(bundle):
    assert Bundle.load(bundle.folder) == bundle
    Bundle.load(bundle.folder).verify()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "holds no bundle"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "is damaged"),
        (lambda folder: (folder / "manifest.json").write_text('{"format": 0}'), "another version"),
        (lambda folder: next((folder / "packages").glob("*.deb")).unlink(), "missing or cut short"),
        (lambda folder: next((folder / "packages").glob("*.deb")).write_bytes(b"x"), "missing or cut short"),
    ],
)
def test_a_bundle_that_is_not_whole_is_refused_in_words(bundle, spoil, words):
    spoil(bundle.folder)
    with pytest.raises(BundleError, match=words) as caught:
        Bundle.load(bundle.folder)
    assert caught.value.cause == "bundle"


def test_a_file_of_the_right_size_and_the_wrong_content_is_found(bundle):
    path = next((bundle.folder / "packages").glob("*.deb"))
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(BundleError, match=f"{path.name} is not what was fetched"):
        Bundle.load(bundle.folder).verify()


def test_a_bundle_of_an_older_product_says_that_it_must_be_made_again(bundle):
    bundle.require(["greeter"])
    with pytest.raises(BundleError, match=r"lacks newcomer.*manage\.py bundle --release trixie"):
        bundle.require(["greeter", "newcomer"])


def test_the_bundle_of_an_installation_is_found_by_release(bundle, settings):
    settings.DATA_DIR = bundle.folder.parent
    assert find_bundle("trixie") is None
    (bundle.folder.parent / "bundles").mkdir()
    bundle.folder.rename(bundle.folder.parent / "bundles" / "trixie")
    assert find_bundle("trixie").version == bundle.version


def test_the_command_reads_a_bundle_again(bundle, capsys):
    call_command("bundle", "--check", "--out", str(bundle.folder))
    assert f"{len(bundle.files)} files" in capsys.readouterr().out
    (bundle.folder / "manifest.json").unlink()
    with pytest.raises(CommandError, match="holds no bundle"):
        call_command("bundle", "--check", "--out", str(bundle.folder))


def test_two_do_not_make_the_same_bundle_at_once(tmp_path):
    with making._alone(tmp_path), pytest.raises(BundleError, match="Somebody else"):
        making.make_bundle("trixie", tmp_path, print, "amd64")


def test_a_release_that_is_not_supported_is_refused(tmp_path):
    with pytest.raises(BundleError, match="bookworm"):
        making.make_bundle("sid", tmp_path, print, "amd64")


# --- packages ----------------------------------------------------------------------------------------------------------

MACHINE = [
    ("http://mirror.example/debian", "bookworm", "main"),
    ("http://mirror.example/debian", "bookworm-updates", "main"),
    ("http://mirror.example/debian", "bookworm-backports", "main"),
    ("http://mirror.example/debian", "bookworm", "contrib"),
    ("http://mirror.example/debian-security", "bookworm-security", "main"),
]


def test_the_sources_of_the_machine_serve_for_another_release():
    found = debian.sources_for("trixie", MACHINE)
    assert [line for line in found.splitlines() if line.startswith("Suites")] == [
        "Suites: trixie",
        "Suites: trixie-updates",
        "Suites: trixie-security",
    ]
    assert found.count("URIs: http://mirror.example/debian\n") == 2


def test_a_machine_without_debian_sources_is_told_what_to_do():
    with pytest.raises(BundleError, match=r"sources\.list\.d"):
        debian.sources_for("trixie", [("http://mirror.example/debian", "bookworm", "contrib")])


RECORDS = debian.parse_records(
    """\
Package: db
Version: 1
Depends: libdb (>= 2), perl:any, tools | other (= 3)

Package: libdb
Version: 2
Pre-Depends: libc (>= 2.4)
Description: a library
 whose text goes on

Package: libc
Version: 2.5

Package: perl
Version: 5
"""
)


def test_records_are_read_with_lines_that_go_on():
    assert [record["Package"] for record in RECORDS] == ["db", "libdb", "libc", "perl"]
    assert RECORDS[1]["Description"] == "a library\n whose text goes on"


def test_what_a_package_needs_in_a_version_comes_along_though_any_host_has_it():
    base = [("libdb", "2"), ("libc", "2.5"), ("perl", "5")]
    assert debian.pinned_by(RECORDS, [("db", "1")], base) == [("libc", "2.5"), ("libdb", "2")]


def test_the_index_of_a_folder_is_read_by_apt(bundle, tmp_path):
    """With apt itself, in a state of its own."""
    apt = debian.Apt(tmp_path / "apt", "trixie", "amd64")
    for folder in (apt.folder / "state" / "lists" / "partial", apt.archives / "partial"):
        folder.mkdir(parents=True)
    (apt.folder / "deployon.sources").write_text(repository.source_for(str(bundle.folder / "packages")))
    apt.status.write_text("")
    apt.run("update")
    assert sorted(apt.needed(["greeter"])) == [("greeter", "1:2.0-1"), ("greeting-words", "1.0")]
    assert [record["Package"] for record in apt.records()] == ["greeter", "greeting-words"]


def test_what_is_no_longer_wanted_goes_and_what_was_not_fetched_is_named(tmp_path):
    archives = tmp_path / "archives"
    make_deb(archives, "one"), make_deb(archives, "two")
    repository.take_in(archives, tmp_path, [("one", "1.0"), ("two", "1.0")])
    repository.take_in(archives, tmp_path, [("two", "1.0")])
    assert sorted(path.name for path in (tmp_path / "packages").iterdir()) == ["Packages", "two_1.0_all.deb"]
    with pytest.raises(BundleError, match=r"Not fetched: three 3"):
        repository.take_in(archives, tmp_path, [("two", "1.0"), ("three", "3")])


def test_a_damaged_package_is_removed_and_named(tmp_path):
    (tmp_path / "archives").mkdir()
    path = tmp_path / "archives" / "bad_1_all.deb"
    path.write_bytes(b"half")
    with pytest.raises(BundleError, match=r"bad_1_all\.deb is damaged"):
        repository.take_in(tmp_path / "archives", tmp_path, [("bad", "1")])
    assert not path.exists()


# --- wheels and the product --------------------------------------------------------------------------------------------


def test_every_pin_of_the_locks_is_asked_for_with_its_digests_and_without_its_condition():
    for lock in wheels.LOCKS:
        text = (settings.BASE_DIR / lock).read_text()
        pins = list(wheels.requirements_of(text))
        assert len(pins) == len(re.findall(r"(?m)^\S+==", text))
        assert sum(pin.count("--hash=sha256:") for _, pin, _ in pins) == text.count("--hash=sha256:")
        assert not any(";" in pin for _, pin, _ in pins)
        assert lock == wheels.TOOLS or any(is_bound for _, _, is_bound in pins)


def test_hosts_get_the_program_that_makes_their_environments():
    assert [name for name, _, _ in wheels.requirements_of((settings.BASE_DIR / wheels.TOOLS).read_text())] == ["uv"]
    assert wheels.TOOLS in wheels.LOCKS and wheels.TOOLS in product.FILES


def test_what_has_no_wheel_is_in_a_lock():
    names = {name for name, _, _ in wheels.requirements_of((settings.BASE_DIR / "requirements-runner.txt").read_text())}
    assert names >= wheels.SOURCES_ONLY
    assert {"setuptools", "wheel"} <= names


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("PyYAML-6.0.3-cp313-cp313-manylinux2014_x86_64.whl", "pyyaml"),
        ("cloudify_common-7.0.5.tar.gz", "cloudify-common"),
        ("requests-toolbelt-1.0.0.tar.gz", "requests-toolbelt"),
    ],
)
def test_a_file_tells_which_distribution_it_is(name, distribution):
    assert wheels._distribution(name) == distribution


def test_an_architecture_without_bundles_is_refused():
    assert "manylinux_2_36_aarch64" in wheels.platforms("arm64")
    with pytest.raises(BundleError, match="amd64 or arm64"):
        wheels.platforms("m68k")


def test_the_product_packs_into_the_same_bytes_and_holds_what_it_needs_and_no_tests(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    first, second = product.pack(settings.BASE_DIR, one), product.pack(settings.BASE_DIR, two)
    assert first == second
    with tarfile.open(one / first.path) as archive:
        names = archive.getnames()
    assert {"deployon/manage.py", "deployon/portal/settings.py", "deployon/requirements.txt"} <= set(names)
    assert "deployon/installs/preflight/on_host/survey.py" in names
    assert not [name for name in names if "/tests/" in name or "__pycache__" in name or "/var/" in name]


# --- on its way --------------------------------------------------------------------------------------------------------


def test_what_is_sent_is_an_archive_with_the_digests_first(bundle):
    chosen = list(bundle.files)
    content = b"".join(pushing.archive_of(bundle, chosen))
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["digests", *(each.path for each in chosen)]
        digests = archive.extractfile("digests").read().decode()
        for each in chosen:
            assert archive.extractfile(each.path).read() == (bundle.folder / each.path).read_bytes()
    assert digests == "".join(f"{each.sha256}  {each.path}\n" for each in chosen)
    checked = subprocess.run(["sha256sum", "--check", "--quiet"], input=digests, text=True, cwd=bundle.folder)
    assert checked.returncode == 0


def test_files_are_sent_in_batches_of_a_size_and_one_that_is_larger_alone(monkeypatch):
    monkeypatch.setattr(pushing, "BATCH_BYTES", 100)
    lacking = [BundledFile(f"packages/{size}", size, "") for size in (60, 40, 1, 500, 30)]
    batches = []
    while lacking:
        batches.append([each.size for each in pushing._take(lacking)])
    assert batches == [[60, 40], [1], [500], [30]]


@pytest.mark.parametrize("release", ["trixie", "bookworm"])
def test_packages_of_all_parts_are_asked_for(release):
    assert {"etcd-server", "patroni", "rabbitmq-server", "haproxy", "nginx"} <= set(all_packages(release))


def test_the_manifest_is_plain_json(bundle):
    told = json.loads((bundle.folder / "manifest.json").read_text())
    assert told["release"] == "trixie" and {"path", "size", "sha256", "package", "version"} == set(told["files"][0])
