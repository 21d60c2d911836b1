"""The connector of hosts against a real SSH server: keys, logins, commands, files, and what goes wrong with each."""

import dataclasses
import getpass
import grp
import os
import socket
import subprocess
import threading
import time

import pytest

from inventory.connectors.policy import EndpointPolicy
from inventory.connectors.ssh import (
    Command,
    Hidden,
    HiddenInCommand,
    HostAddress,
    HostCredential,
    HostError,
    HostErrorKind,
    connect,
    connecting,
    conversation,
    fingerprint_of,
    offered_key,
)
from tests.services import sshd as servers
from tests.services.shared import Missing, free_port
from tests.services.sshd import LOOPBACK

ME = getpass.getuser()
MY_GROUP = grp.getgrgid(os.getgid()).gr_name
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an SSH server that knows users needs root")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    try:
        with servers.running(tmp_path_factory.mktemp("sshd")) as server:
            yield server
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def host(sshd):
    with connect(sshd.address, sshd.credential, policy=LOOPBACK) as host:
        yield host


def refusal(address, credential, **more):
    with pytest.raises(HostError) as caught:
        with connect(address, credential, **{"policy": LOOPBACK, **more}):
            pytest.fail("somebody was let in")
    return caught.value


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


# --- host keys ---------------------------------------------------------------------------------------------------------


def test_an_unknown_host_key_is_refused_with_its_fingerprint(sshd):
    error = refusal(dataclasses.replace(sshd.address, host_key=""), sshd.credential)
    listed = subprocess.run(["ssh-keygen", "-lf", sshd.folder / "host_key.pub"], capture_output=True, text=True).stdout
    assert error.kind is HostErrorKind.HOST_KEY
    assert listed.split()[1] in error.message and "ssh-keygen" in error.message
    assert error.key == sshd.address.host_key


def test_the_offered_key_is_the_one_to_trust(sshd):
    offered = offered_key(HostAddress("127.0.0.1", sshd.port), policy=LOOPBACK)
    assert offered.line == sshd.address.host_key
    assert offered.fingerprint == fingerprint_of(sshd.address.host_key)
    assert offered.type == "ssh-ed25519"


def test_a_changed_host_key_is_refused_with_both_fingerprints_and_nothing_is_shown_to_it(tmp_path):
    with servers.running(tmp_path) as server:
        trusted = server.address
        server.stop()
        server.new_key("host_key")
        server.start()
        error = refusal(trusted, server.credential)
        assert error.kind is HostErrorKind.HOST_KEY
        assert fingerprint_of(trusted.host_key) in error.message
        assert fingerprint_of(server.address.host_key) in error.message
        assert "Accepted" not in (server.folder / "log").read_text()
        assert "userauth" not in (server.folder / "log").read_text()


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_a_host_with_several_keys_is_asked_for_the_one_that_is_trusted(tmp_path, kind):
    more = "".join(f"HostKey {tmp_path}/{name}\n" for name in ("rsa", "ecdsa"))
    for name in ("rsa", "ecdsa"):
        subprocess.run(["ssh-keygen", "-q", "-t", name, "-N", "", "-C", "", "-f", tmp_path / name], check=True)
    with servers.running(tmp_path, more) as server:
        line = (tmp_path / ("host_key.pub" if kind == "ed25519" else f"{kind}.pub")).read_text().strip()
        with connect(dataclasses.replace(server.address, host_key=line), server.credential, policy=LOOPBACK) as host:
            assert host.test(Command("true"))


def test_a_server_that_knows_only_outdated_algorithms_is_refused(tmp_path):
    with servers.running(tmp_path, "MACs hmac-sha1\nCiphers aes128-ctr") as server:
        error = refusal(server.address, server.credential)
        assert error.kind is HostErrorKind.UNREACHABLE and "outdated" in error.message


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA"])
def test_a_line_that_is_no_public_key_is_refused_in_words(line):
    with pytest.raises(ValueError, match=r"ssh-ed25519 AAAA|whole line"):
        fingerprint_of(line)


# --- logins ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_keys_of_all_usual_kinds_log_in(sshd, kind):
    line = sshd.new_key(f"user_{kind}", kind)
    with (sshd.folder / "authorized_keys").open("a") as file:
        file.write(f"{line}\n")
    credential = HostCredential(private_key=(sshd.folder / f"user_{kind}").read_text())
    with connect(sshd.address, credential, policy=LOOPBACK) as host:
        assert host.run(Command("id", "-un")).text == ME


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        (HostCredential(password="wrong-word"), "password"),
        (HostCredential(), "No key and no password"),
        (HostCredential(private_key="-----BEGIN OPENSSH PRIVATE KEY-----\nwrong-word\n"), "cannot be read"),
    ],
)
def test_a_login_that_is_refused_says_what_was_refused_and_what_to_do(sshd, credential, words):
    error = refusal(sshd.address, credential)
    assert error.kind is HostErrorKind.CREDENTIAL and not error.is_transient
    assert words in error.message and "wrong-word" not in error.message


def test_a_key_that_the_host_does_not_know_is_refused(sshd):
    sshd.new_key("stranger")
    error = refusal(sshd.address, HostCredential(private_key=(sshd.folder / "stranger").read_text()))
    assert error.kind is HostErrorKind.CREDENTIAL and "authorized_keys" in error.message


def test_a_key_with_a_passphrase_is_refused_in_words(sshd):
    path = sshd.folder / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", path], check=True)
    error = refusal(sshd.address, HostCredential(private_key=path.read_text()))
    assert error.kind is HostErrorKind.CREDENTIAL and "without passphrase" in error.message


def test_no_key_of_the_user_who_runs_the_portal_is_ever_tried(sshd, monkeypatch, tmp_path):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519").write_text(sshd.credential.private_key)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert refusal(sshd.address, HostCredential(password="wrong")).kind is HostErrorKind.CREDENTIAL


# --- the network -------------------------------------------------------------------------------------------------------


def test_a_port_where_nothing_listens_is_told_as_refused():
    error = refusal(HostAddress("127.0.0.1", free_port()), HostCredential(password="x"))
    assert error.kind is HostErrorKind.UNREACHABLE and "refuses port" in error.message and error.is_transient


def test_loopback_is_out_unless_an_administrator_allows_it(sshd):
    error = refusal(sshd.address, sshd.credential, policy=EndpointPolicy())
    assert error.kind is HostErrorKind.UNREACHABLE and "ENDPOINT_NETWORKS" in error.message


def test_a_name_that_nobody_knows_is_told_as_such():
    error = refusal(HostAddress("no-such-host.invalid"), HostCredential(password="x"))
    assert error.kind is HostErrorKind.UNREACHABLE and "no-such-host.invalid" in error.message


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_what_answers_but_is_no_ssh_server_is_given_up_soon(monkeypatch, greeting):
    monkeypatch.setattr(connecting, "BANNER_SECONDS", 0.5)
    monkeypatch.setattr(connecting, "HANDSHAKE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def greet():
            connection, _ = listener.accept()
            held.append(connection)
            connection.sendall(greeting)

        threading.Thread(target=greet, daemon=True).start()
        began = time.monotonic()
        try:
            error = refusal(HostAddress("127.0.0.1", listener.getsockname()[1]), HostCredential(password="x"))
        finally:
            held[0].close()
        assert error.kind is HostErrorKind.UNREACHABLE and "not as an SSH server" in error.message
        assert time.monotonic() - began < 4


def test_a_connection_that_is_cut_in_the_middle_is_told_as_unknown(tmp_path):
    with servers.running(tmp_path) as server, connect(server.address, server.credential, policy=LOOPBACK) as host:
        assert host.test(Command("true"))
        threading.Timer(0.5, server.stop).start()
        with pytest.raises(HostError) as caught:
            host.run(Command("sleep", "30"))
        assert caught.value.kind is HostErrorKind.BROKEN and caught.value.is_transient
        assert "how far it came is not known" in caught.value.message
        assert not host.is_open
        with pytest.raises(HostError) as caught:
            host.run(Command("true"))
        assert caught.value.kind is HostErrorKind.BROKEN


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


# --- ways through a host -----------------------------------------------------------------------------------------------


def test_a_way_leads_to_a_service_as_the_host_reaches_it(host):
    with socket.create_server(("127.0.0.1", 0)) as service:
        with host.way("127.0.0.1", service.getsockname()[1]) as port:
            service.accept()[0].close()  # that it is reached was tried first
            with socket.create_connection(("127.0.0.1", port), timeout=10) as near:
                far, _ = service.accept()
                near.sendall(b"there")
                assert far.recv(5, socket.MSG_WAITALL) == b"there"
                far.sendall(b"back")
                assert near.recv(4, socket.MSG_WAITALL) == b"back"
                far.close()
                assert near.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=10)


def test_a_service_that_the_host_does_not_reach_is_told(host):
    with pytest.raises(HostError, match="does not reach"):
        with host.way("127.0.0.1", free_port()):
            pytest.fail("there is nothing")
