"""A bundle on hosts of the lab, which have no route out: sent once, resumed, installed by apt, brought up to date."""

import pytest

from installs.bundle import pushing
from installs.bundle.manifest import BundleError
from installs.bundle.pushing import APT_OPTIONS, PLACE, SOURCE, is_pushed, push_bundle
from inventory.connectors.ssh import Command, HostAddress, HostCredential, HostError, HostErrorKind, connect
from tests.installs.bundles import make_bundle
from tests.lab import Lab, machine

FOUND = machine.lacks()
pytestmark = pytest.mark.skipif(bool(FOUND), reason=f"No lab here. {' '.join(FOUND)}")


@pytest.fixture(scope="module")
def lab():
    with Lab.of(["root", "user"], prefix="bndl", ordinary=["user"]) as lab:
        yield lab


@pytest.fixture(params=["root", "user"])
def host(request, lab):
    there = lab.host(request.param)
    credential = HostCredential(private_key=there.key.read_text(), sudo_password=there.password)
    with connect(HostAddress(there.address, user=there.user, host_key=there.host_key), credential) as host:
        yield host
        host.run(Command.shell('dpkg --purge greeter greeting-words 2>/dev/null; rm -rf "$1" "$2"', PLACE, SOURCE))


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / "bundle", size=200_000)


def install(host):
    return host.run(Command.shell(f"apt-get -qq {APT_OPTIONS} --yes install greeter"), timeout=120)


def test_a_bundle_is_pushed_once_and_installed_by_apt_with_no_other_source(host, bundle):
    assert not is_pushed(host, bundle, ["greeter"], with_product=False)
    pushed = push_bundle(host, bundle, ["greeter"], with_product=False)
    assert (pushed.is_done, pushed.sent_files, pushed.left_files) == (True, 2, 0)
    assert is_pushed(host, bundle, ["greeter"], with_product=False)
    assert push_bundle(host, bundle, ["greeter"], with_product=False).sent_files == 0
    install(host)
    assert host.test(Command("test", "-f", "/usr/share/greeter/content"))
    assert is_pushed(host, bundle, ["greeter"], with_product=False)
    owners = host.run(Command("find", PLACE, "-printf", "%U %m\\n")).stdout.split("\n")
    assert set(filter(None, owners)) == {"0 755", "0 644"}


def test_what_is_installed_already_is_not_sent(host, bundle):
    assert push_bundle(host, bundle, [], with_product=False).sent_files == 0
    push_bundle(host, bundle, ["greeter"], with_product=False)
    install(host)
    host.run(Command.shell('rm "$1"/packages/*.deb', PLACE))
    assert push_bundle(host, bundle, ["greeter"], with_product=False).sent_files == 0


def test_the_product_comes_with_the_wheels_for_the_python_of_that_release_alone(host, bundle):
    assert push_bundle(host, bundle, [], with_product=True).sent_files == 2
    found = host.run(Command("find", PLACE, "-type", "f", "-printf", "%P\\n")).stdout.split()
    assert sorted(found) == ["packages/Packages", "product/it.tar.gz", "wheels/3.13/tool-1-py3-none-any.whl"]


def test_a_push_goes_on_where_it_was_stopped(host, bundle, monkeypatch):
    monkeypatch.setattr(pushing, "BATCH_BYTES", 1)
    first = push_bundle(host, bundle, ["greeter"], with_product=True, seconds=0.0001)
    assert (first.is_done, first.sent_files) == (False, 1)
    done, sent = False, first.sent_files
    while not done:
        pushed = push_bundle(host, bundle, ["greeter"], with_product=True, seconds=0.1)
        done, sent = pushed.is_done, sent + pushed.sent_files
        assert pushed.sent_files, "it does not go on"
    assert sent == 4


def test_a_batch_that_is_cut_in_its_middle_leaves_nothing_behind(host, bundle, monkeypatch):
    push_bundle(host, bundle, [], with_product=False)
    whole = pushing.archive_of
    monkeypatch.setattr(pushing, "archive_of", lambda *given: [b"".join(whole(*given))[:150_000]])
    with pytest.raises(HostError) as caught:
        push_bundle(host, bundle, ["greeter"], with_product=False)
    assert caught.value.kind is HostErrorKind.FAILED
    monkeypatch.undo()
    assert not host.test(Command.shell('ls "$1"/packages/*.deb "$1"/incoming', PLACE))
    assert push_bundle(host, bundle, ["greeter"], with_product=False).is_done


def test_a_file_that_was_changed_on_the_portal_after_it_was_fetched_is_refused(host, bundle):
    push_bundle(host, bundle, [], with_product=False)
    path = next((bundle.folder / "packages").glob("greeter_*.deb"))
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(HostError, match="checksum did NOT match"):
        push_bundle(host, bundle, ["greeter"], with_product=False)
    assert not host.test(Command.shell('ls "$1"/packages/greeter_*', PLACE))


def test_a_newer_bundle_takes_the_place_of_an_older_one(host, bundle, tmp_path):
    push_bundle(host, bundle, ["greeter"], with_product=True)
    newer = make_bundle(tmp_path / "newer", size=300_000)
    assert not is_pushed(host, newer, ["greeter"], with_product=False)
    push_bundle(host, newer, ["greeter"], with_product=False)
    install(host)
    assert host.run(Command("stat", "-c", "%s", "/usr/share/greeter/content")).text == "300000"


def test_a_package_that_the_bundle_was_not_made_for_is_named(host, bundle):
    with pytest.raises(BundleError, match="lacks newcomer"):
        push_bundle(host, bundle, ["newcomer"], with_product=False)
