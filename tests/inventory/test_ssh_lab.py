"""The connector of hosts on whole hosts of the lab: sudo with and without a password, and work that outlives its connection."""

import dataclasses
import os
import threading
import time

import pytest

from inventory.connectors.ssh import (
    Command,
    Hidden,
    HostAddress,
    HostCredential,
    HostError,
    HostErrorKind,
    connect,
    connecting,
    offered_key,
)
from tests.lab import Lab, machine

FOUND = machine.lacks()
pytestmark = pytest.mark.skipif(bool(FOUND), reason=f"No lab here. {' '.join(FOUND)}")
UNITS = iter(range(1, 1000))


@pytest.fixture(scope="module", params=os.environ.get("LAB_RELEASES", "trixie").split(","))
def lab(request):
    with Lab.of(["one", "two"], prefix=f"ssh{request.param[0]}", ordinary=["two"], release=request.param) as lab:
        yield lab


def address_of(host):
    return HostAddress(host.address, user=host.user, host_key=host.host_key)


def by_key(host):
    return HostCredential(private_key=host.key.read_text(), sudo_password=host.password)


def session(host, **changes):
    return connect(address_of(host), dataclasses.replace(by_key(host), **changes))


@pytest.fixture
def root(lab):
    """A session as root."""
    with session(lab.host("one")) as host:
        yield host


@pytest.fixture
def user(lab):
    """A session as the ordinary user whose sudo asks for a password."""
    with session(lab.host("two")) as host:
        yield host


@pytest.fixture(params=["root", "user"])
def host(request, lab):
    return request.getfixturevalue(request.param)


@pytest.fixture
def unit():
    return f"deployon-test-{next(UNITS)}"


def ended(host, unit, seconds=20):
    """The last look, and all output."""
    text, offset, until = "", 0, time.monotonic() + seconds
    while time.monotonic() < until:
        progress = host.look(unit, offset)
        text, offset = text + progress.output, progress.next_offset
        if not progress.is_running and not progress.has_more:
            return progress, text
        time.sleep(0.1)
    pytest.fail(f"{unit} did not end: {text}")


# --- root --------------------------------------------------------------------------------------------------------------


def test_commands_run_as_root_whoever_logs_in_and_as_the_user_where_asked(host):
    assert host.run(Command("id", "-un")).text == "root"
    assert host.run(Command("id", "-un"), is_root=False).text == host.address.user


def test_what_root_reads_is_what_it_was_given_and_not_the_password(host):
    content = bytes(range(256)) * 4000
    assert host.run(Command("cat"), input=content).raw == content
    said = host.run(
        Command.shell('echo "$A"; echo err >&2; exit 4', secrets={"A": Hidden("x y")}), input=b"z", codes=[4]
    )
    assert (said.text, said.stderr) == ("x y", "err\n")


def test_a_password_logs_in_and_serves_sudo_as_well(lab):
    host = lab.host("two")
    with connect(address_of(host), HostCredential(password=host.password)) as session:
        assert session.run(Command("id", "-un")).text == "root"


def test_sudo_that_asks_nothing_gets_nothing(user, lab):
    user.put("/etc/sudoers.d/quiet", b"debian ALL=(ALL) NOPASSWD: ALL\n", mode=0o440)
    try:
        for password in ("", "it is not even looked at"):
            with session(lab.host("two"), sudo_password=password) as host:
                assert host.run(Command("cat"), input=b"only this").raw == b"only this"
    finally:
        user.run(Command("rm", "/etc/sudoers.d/quiet"))


@pytest.mark.parametrize(("password", "words"), [("wrong-word", "does not take the password"), ("", "none is stored")])
def test_sudo_with_a_wrong_password_or_none_says_what_to_do(lab, password, words):
    with session(lab.host("two"), sudo_password=password) as host:
        with pytest.raises(HostError, match=words) as caught:
            host.run(Command("id"))
        assert caught.value.kind is HostErrorKind.SUDO and "wrong-word" not in caught.value.message
        assert host.run(Command("id", "-un"), is_root=False).text == "debian"  # the connection is still good


def test_a_user_who_may_not_become_root_is_told_so(user, lab):
    user.run(Command("gpasswd", "-d", "debian", "sudo"))
    try:
        with session(lab.host("two")) as host, pytest.raises(HostError, match="group sudo") as caught:
            host.run(Command("id"))
        assert caught.value.kind is HostErrorKind.SUDO
    finally:
        lab.host("two").console_run("gpasswd", "-a", "debian", "sudo")


def test_the_password_of_sudo_stands_in_no_process_list_and_no_log(user, lab):
    password = lab.host("two").password
    assert password not in user.run(Command.shell("ps -eo args; journalctl --no-pager -q")).stdout


def test_a_hanging_root_command_is_ended_on_the_host(host):
    with pytest.raises(HostError) as caught:
        host.run(Command("sleep", "71"), timeout=1)
    assert caught.value.kind is HostErrorKind.TIMEOUT
    with connect(host.address, host.credential) as again:
        assert not again.test(Command("pgrep", "-x", "sleep", "-f", "sleep 71"))


def test_files_of_other_users_are_put_and_read_by_whoever_logs_in(host):
    assert host.make_folder("/etc/deployon test", group="www-data", mode=0o750)
    try:
        path = "/etc/deployon test/secret key"
        assert host.put(path, b"content", owner="www-data", group="adm", mode=0o600) is True
        assert host.put(path, b"content", owner="www-data", group="adm", mode=0o600) is False
        assert host.get(path) == b"content"
        listed = host.run(Command("stat", "-c", "%U %G %a", path, "/etc/deployon test")).stdout.splitlines()
        assert listed == ["www-data adm 600", "root www-data 750"]
        may_read = host.test(Command("cat", path), is_root=False)
        assert may_read is (host.address.user == "root")
    finally:
        host.run(Command("rm", "-r", "/etc/deployon test"))


def test_facts_tell_the_release_the_size_and_the_addresses(host, lab):
    facts = host.facts()
    assert facts.os_codename in ("trixie", "bookworm") and facts.is_systemd
    assert host.address.host in facts.addresses
    assert abs(facts.clock_offset) < 1


# --- detached ----------------------------------------------------------------------------------------------------------


def test_detached_work_is_followed_to_its_end_by_offsets(host, unit):
    assert host.start(unit, "for i in 1 2 3; do echo line $i; sleep 0.3; done; id -un >&2; exit 7") is True
    progress, text = ended(host, unit)
    assert progress.code == 7 and not progress.is_lost
    assert text == "line 1\nline 2\nline 3\nroot\n"
    host.forget(unit)
    assert host.look(unit).is_lost


def test_a_detached_script_ends_at_the_first_error_and_reads_nothing(host, unit):
    host.start(unit, "cat; false; echo not reached")
    progress, text = ended(host, unit)
    assert (progress.code, text) == (1, "")


def test_a_detached_script_may_be_large_and_hold_secrets_that_nobody_sees(host, unit):
    host.start(unit, Hidden("A=top-secret\n" + "# filler\n" * 40_000 + "ps -eo args; sleep 0.5; echo ${#A}"))
    assert "top-secret" not in host.run(Command("ps", "-eo", "args")).stdout
    progress, text = ended(host, unit)
    assert progress.code == 0 and text.endswith("\n10\n") and "top-secret" not in text
    folder = f"/var/lib/deployon-setup/detached/{unit}"
    assert host.run(
        Command("stat", "-c", "%U %a", f"{folder}/script", folder, f"{folder}/..", f"{folder}/../..")
    ).stdout == ("root 600\nroot 700\nroot 700\nroot 755\n")


def test_detached_work_may_run_as_the_user_who_logs_in(host, unit):
    host.start(unit, "id -un; pwd", is_root=False)
    progress, text = ended(host, unit)
    assert (progress.code, text) == (0, f"{host.address.user}\n/\n")


def test_the_same_unit_is_not_run_twice_neither_at_work_nor_ended(host, unit, lab):
    script = f"echo run >> /tmp/{unit}; sleep 1"
    assert host.start(unit, script) is True
    assert host.start(unit, script) is False
    with connect(host.address, host.credential) as other:
        assert other.start(unit, script) is False
    ended(host, unit)
    assert host.start(unit, script) is False
    assert host.get(f"/tmp/{unit}") == b"run\n"


def test_many_who_start_the_same_unit_at_once_run_it_once(host, unit):
    started, errors = [], []

    def begin():
        try:
            with connect(host.address, host.credential) as own:
                started.append(own.start(unit, f"echo run >> /tmp/{unit}; sleep 0.2"))
        except HostError as error:
            errors.append(error)

    threads = [threading.Thread(target=begin) for _ in range(5)]
    [thread.start() for thread in threads]
    [thread.join(60) for thread in threads]
    assert not errors and sorted(started) == [False] * 4 + [True]
    ended(host, unit)
    assert host.get(f"/tmp/{unit}") == b"run\n"


def test_detached_work_outlives_its_connection(lab, unit):
    host = lab.host("one")
    with session(host) as first:
        first.start(unit, "echo before; sleep 2; echo after")
    host.unplug()
    time.sleep(0.5)
    host.plug()
    with session(host) as second:
        assert second.look(unit).is_running
        progress, text = ended(second, unit)
    assert (progress.code, text) == (0, "before\nafter\n")


def test_detached_work_that_is_stopped_ends_with_all_its_children(host, unit):
    host.start(unit, "echo begun; sleep 72 & sleep 73")
    while "begun" not in host.look(unit).output:
        time.sleep(0.05)
    host.stop(unit)
    progress = host.look(unit)
    assert (progress.is_running, progress.code) == (False, 143)
    assert not host.test(Command("pgrep", "-fx", "sleep 7[23]"))
    host.stop(unit)


def test_work_that_a_power_cut_ended_is_lost_and_starts_anew_and_what_had_ended_stays_ended(lab, unit):
    host = lab.host("one")
    with session(host) as first:
        first.start(f"{unit}-done", "echo done")
        ended(first, f"{unit}-done")
        first.start(unit, "echo begun; sleep 30")
        boot = first.facts().boot_id
    host.cut()
    host.start().wait()
    with session(host) as second:
        assert second.facts().boot_id != boot
        assert second.look(unit).is_lost
        assert second.start(unit, "echo again") is True
        assert ended(second, unit)[1] == "again\n"
        assert second.start(f"{unit}-done", "echo twice") is False
        assert ended(second, f"{unit}-done")[1] == "done\n"


def test_a_connection_to_a_host_that_lost_power_is_noticed(lab, monkeypatch):
    monkeypatch.setattr(connecting, "KEEPALIVE_SECONDS", 1)
    monkeypatch.setattr(connecting, "SILENCE_MILLISECONDS", 3000)
    host = lab.host("one")
    with session(host) as open_session:
        threading.Timer(0.5, host.cut).start()
        began = time.monotonic()
        try:
            with pytest.raises(HostError) as caught:
                open_session.run(Command("sleep", "120"), timeout=150)
            assert caught.value.kind is HostErrorKind.BROKEN
            assert time.monotonic() - began < 15
            with pytest.raises(HostError) as caught:
                with session(host):
                    pytest.fail("nobody is there")
            assert caught.value.kind is HostErrorKind.UNREACHABLE
        finally:
            host.start().wait()


def test_output_is_brought_in_whole_lines_and_in_pieces(host, unit):
    host.start(unit, "printf 'half a '; sleep 1; echo line; yes 0123456789 | head -n 30000")
    time.sleep(0.3)
    assert host.look(unit).output == ""
    progress, text = ended(host, unit)
    assert progress.code == 0 and text.startswith("half a line\n0123456789\n")
    assert len(text) == len("half a line\n") + 30000 * 11


@pytest.mark.parametrize("name", ["", "A", "a b", "a;id", "../a", "a" * 101])
def test_a_name_that_is_no_unit_is_refused(root, name):
    with pytest.raises(ValueError, match="no name of a unit"):
        root.start(name, "true")


def test_the_first_key_of_a_host_is_offered_and_refused_until_trusted(lab):
    host = lab.host("two")
    unknown = dataclasses.replace(address_of(host), host_key="")
    assert offered_key(unknown).line == host.host_key
    with pytest.raises(HostError) as caught:
        with connect(unknown, by_key(host)):
            pytest.fail("somebody was let in")
    assert caught.value.kind is HostErrorKind.HOST_KEY
