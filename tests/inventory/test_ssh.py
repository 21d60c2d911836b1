"""Commands, secrets and files of the connector of hosts, against a real SSH server."""

import getpass
import grp
import os
import socket
import subprocess
import time

import pytest

from inventory.connectors.ssh import (
    Command,
    Hidden,
    HiddenInCommand,
    HostCredential,
    HostError,
    HostErrorKind,
    connect,
    conversation,
)
from tests.services.sshd import LOOPBACK

ME = getpass.getuser()
MY_GROUP = grp.getgrgid(os.getgid()).gr_name
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an SSH server that knows users needs root")


# --- commands ----------------------------------------------------------------------------------------------------------


def test_a_command_brings_its_output_its_errors_and_its_code(host):
    output = host.run(Command.shell("echo out; echo err >&2; exit 3"), codes=[3])
    assert (output.code, output.stdout, output.stderr) == (3, "out\n", "err\n")


def test_arguments_arrive_as_they_were_given_whatever_is_in_them(host):
    nasty = ["a b", "$HOME", "`id`", "'", '"', "\\", "*", "", "ä\n", "-n"]
    assert host.run(Command("printf", "%s\\0", *nasty)).stdout.split("\0")[:-1] == nasty


def test_a_script_has_its_values_as_arguments_and_ends_at_the_first_error(host):
    assert host.run(Command.shell('echo "$2"', "one", "$(two)")).text == "$(two)"
    assert not host.test(Command.shell("false; true"))


def test_what_a_command_reads_is_what_it_was_given_byte_by_byte(host):
    content = bytes(range(256)) * 20_000  # five megabytes, both ways at once
    assert host.run(Command("cat"), input=content).raw == content
    assert host.run(Command("wc", "-c"), input=(b"x" * 1000 for _ in range(50))).text == "50000"


def test_a_command_that_does_not_read_its_input_is_no_failure(host):
    assert host.run(Command("true"), input=b"x" * 4_000_000).code == 0


def test_a_failed_command_says_which_where_its_code_and_its_last_words(host, sshd):
    with pytest.raises(HostError) as caught:
        host.run(Command("ls", "/no such folder"))
    error = caught.value
    assert (error.kind, error.code) == (HostErrorKind.FAILED, 2)
    assert "'/no such folder'" in error.message and str(sshd.address) in error.message
    assert "No such file" in error.message


def test_commands_do_not_depend_on_the_start_up_files_of_a_login(host):
    lines = host.run(Command("env")).stdout.splitlines()
    assert {"LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"} <= set(lines)
    assert any(line.startswith("PATH=") and "/usr/sbin" in line for line in lines)


def test_a_command_that_hangs_is_ended_there_and_told_as_such_here(host):
    began = time.monotonic()
    with pytest.raises(HostError) as caught:
        host.run(Command("sleep", "77.125"), timeout=1)
    assert caught.value.kind is HostErrorKind.TIMEOUT and "1 s" in caught.value.message
    assert time.monotonic() - began < 5
    assert subprocess.run(["pgrep", "-f", "sleep 77[.]125"], capture_output=True).stdout == b""


def test_a_host_that_does_not_keep_the_limit_itself_is_given_up(sshd, monkeypatch):
    monkeypatch.setattr(conversation, "GRACE_SECONDS", 0.5)
    with connect(sshd.address, sshd.credential, policy=LOOPBACK) as host:
        began = time.monotonic()
        with pytest.raises(HostError) as caught:  # it ignores SIGTERM, as a process in the kernel would
            host.run(Command.shell("trap '' TERM; sleep 3; sleep 3"), timeout=1)
        assert caught.value.kind is HostErrorKind.TIMEOUT
        assert time.monotonic() - began < 3
        assert not host.is_open


def test_output_without_end_is_cut_off(host, monkeypatch):
    monkeypatch.setattr(conversation, "MOST_OUTPUT", 100_000)
    with pytest.raises(HostError, match="no answer"):
        host.run(Command("cat", "/dev/zero"), timeout=20)


# --- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda secret: Command("psql", secret), lambda secret: Command.shell(secret)])
def test_a_hidden_value_is_refused_on_a_command_line(make):
    with pytest.raises(HiddenInCommand, match="input="):
        make(Hidden("topsecret"))


def test_secrets_become_variables_of_the_command_and_stand_in_no_process_list(host):
    command = Command.shell(
        'cat /proc/$$/cmdline /proc/$PPID/cmdline | tr "\\0" " "; ps -eo args; echo "[$PASS|$OTHER]"; cat',
        secrets={"PASS": Hidden("top secret $x"), "OTHER": Hidden("")},
    )
    said = host.run(command, input=b"and the rest").stdout
    listing, _, rest = said.rpartition("[")
    assert rest == "top secret $x|]\nand the rest"
    assert "top secret" not in listing and "ps -eo" in listing


def test_a_failed_command_does_not_give_away_what_it_was_told(host):
    with pytest.raises(HostError) as caught:
        host.run(
            Command.shell('echo "cannot use $PASS or $(cat)" >&2; exit 1', secrets={"PASS": Hidden("top-secret")}),
            input=Hidden("deep-secret"),
        )
    error = caught.value
    assert "cannot use *** or ***" in error.message
    assert "-secret" not in error.message + error.output + repr(error)


def test_nothing_that_holds_a_secret_prints_it():
    credential = HostCredential(private_key="KEY-text", password="pass-word", sudo_password="sudo-word")
    command = Command("true", secrets={"A": Hidden("hid-den")})
    shown = f"{credential} {credential!r} {Hidden('hid-den')} {Hidden('hid-den')!r} {command} {command!r}"
    assert not any(secret in shown for secret in ("KEY-text", "pass-word", "sudo-word", "hid-den"))


@pytest.mark.parametrize("name", ["A B", "1A", "A;id", ""])
def test_a_name_of_a_variable_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="no name"):
        Command("true", secrets={name: Hidden("x")})


def test_a_secret_of_two_lines_is_refused_as_a_variable():
    with pytest.raises(ValueError, match="single line"):
        Command("true", secrets={"A": Hidden("x\ny")})


# --- files -------------------------------------------------------------------------------------------------------------


def put(host, path, content, mode=0o640):
    return host.put(str(path), content, owner=ME, group=MY_GROUP, mode=mode)


def test_a_file_is_put_once_with_its_content_owner_and_mode(host, tmp_path):
    path, content = tmp_path / "it's a file", bytes(range(256))
    assert put(host, path, content) is True
    assert path.read_bytes() == content and path.stat().st_mode & 0o7777 == 0o640
    assert put(host, path, content) is False
    assert host.get(str(path)) == content


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"other"),
        lambda path: path.chmod(0o644),
        lambda path: os.chown(path, 1, -1),
        lambda path: path.unlink(),
        lambda path: (path.rename(f"{path}.real"), path.symlink_to(f"{path}.real")),
    ],
    ids=["content", "mode", "owner", "gone", "symlink"],
)
def test_a_file_that_differs_in_anything_is_put_again(host, tmp_path, spoil):
    path = tmp_path / "file"
    put(host, path, b"content")
    spoil(path)
    assert put(host, path, b"content") is True
    assert path.read_bytes() == b"content" and not path.is_symlink() and path.stat().st_uid == os.getuid()


def test_a_put_leaves_no_staging_folder_and_takes_old_ones_away(host, tmp_path):
    old, young = tmp_path / ".deployon-abcdefghij", tmp_path / ".deployon-bbcdefghij"
    old.mkdir(), young.mkdir()
    os.utime(old, (0, 0))
    put(host, tmp_path / "file", b"content")
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, "file"]


def test_a_put_that_is_cut_in_the_middle_leaves_the_old_file(host, tmp_path, monkeypatch):
    path = tmp_path / "file"
    put(host, path, b"old")
    monkeypatch.setattr(type(host), "run", cutting(type(host).run))
    with pytest.raises(HostError, match="in part only"):
        put(host, path, b"new content")
    assert path.read_bytes() == b"old" and [entry.name for entry in tmp_path.iterdir()] == ["file"]


def cutting(run):
    """Loses the second half of what is sent, as a cut connection does."""
    return lambda self, command, *, input=b"", **more: run(self, command, input=input[: len(input) // 2], **more)


def test_a_put_into_a_folder_that_is_not_there_says_so(host, tmp_path):
    with pytest.raises(HostError, match="is not there"):
        put(host, tmp_path / "none" / "file", b"x")


def test_a_folder_is_made_once_with_its_owner_and_mode(host, tmp_path):
    path = tmp_path / "a b" / "c"
    assert host.make_folder(str(path), owner=ME, group=MY_GROUP, mode=0o750) is True
    assert path.stat().st_mode & 0o7777 == 0o750
    assert host.make_folder(str(path), owner=ME, group=MY_GROUP, mode=0o750) is False
    path.chmod(0o755)
    assert host.make_folder(str(path), owner=ME, group=MY_GROUP, mode=0o750) is True


# --- facts -------------------------------------------------------------------------------------------------------------


def test_the_facts_of_a_host_are_those_of_the_machine(host):
    facts = host.facts()
    assert facts.os_id == "debian" and facts.os_version in ("12", "13") and facts.os_codename
    assert facts.cpus == len(os.sched_getaffinity(0))
    assert facts.memory > 100 and facts.disk > 100 and facts.disk_free > 0
    assert abs(facts.clock_offset) <= facts.clock_error + 0.01 and facts.clock_error < 5
    assert facts.hostname == socket.gethostname()
    assert facts.boot_id.count("-") == 5 and facts.python_version.startswith("3.")


def test_an_error_of_a_host_says_whether_trying_again_helps():
    assert [kind.value for kind in HostErrorKind if HostError(kind, "").is_transient] == [
        "unreachable",
        "timeout",
        "broken",
    ]


def test_output_that_comes_after_the_exit_code_is_not_lost(host):
    """A child that outlives the command still writes: the server tells the exit code first."""
    assert host.run(Command.shell("(sleep 0.7; echo late) & exit 0")).text == "late"


def test_a_process_left_behind_with_its_output_open_does_not_hold_the_command_up_for_ever(host, monkeypatch):
    monkeypatch.setattr(conversation, "LEFT_OPEN_SECONDS", 0.5)
    began = time.monotonic()
    assert host.run(Command.shell("echo now; sleep 20 & exit 0")).text == "now"
    assert time.monotonic() - began < 5
