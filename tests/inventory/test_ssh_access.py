"""Host keys, logins, the network and ways through a host, against a real SSH server."""

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
    HostAddress,
    HostCredential,
    HostError,
    HostErrorKind,
    connect,
    connecting,
    fingerprint_of,
    offered_key,
)
from tests.services import sshd as servers
from tests.services.shared import free_port
from tests.services.sshd import LOOPBACK

ME = getpass.getuser()
MY_GROUP = grp.getgrgid(os.getgid()).gr_name
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an SSH server that knows users needs root")


def refusal(address, credential, **more):
    with pytest.raises(HostError) as caught:
        with connect(address, credential, **{"policy": LOOPBACK, **more}):
            pytest.fail("somebody was let in")
    return caught.value


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


def test_a_server_that_hangs_up_at_once_may_be_keeping_off_whom_it_refused_before():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            connection, _ = listener.accept()
            connection.sendall(b"Not allowed at this time\r\n")  # as OpenSSH 10 says it
            connection.close()

        threading.Thread(target=refuse, daemon=True).start()
        error = refusal(HostAddress("127.0.0.1", listener.getsockname()[1]), HostCredential(password="x"))
    assert error.kind is HostErrorKind.UNREACHABLE and "PerSourcePenalties" in error.message


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
