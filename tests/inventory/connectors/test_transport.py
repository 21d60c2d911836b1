"""The conversation below v3.1: whom we believe, what we send, how long and how much we listen."""

import ssl
import time

import pytest

from inventory.connectors import policy, tls
from inventory.connectors.address import Address, Credential, Timeouts, Trust
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import EndpointPolicy
from inventory.connectors.pool import ClientPool
from inventory.doubles import Authority, Fault, FaultKind, ManagerDouble, refused_port
from inventory.doubles.server import default_authority
from tests.inventory.connectors.conftest import ALICE, ARCHIVE, LOOPBACK, QUICK


def failure(client) -> ManagerError:
    with pytest.raises(ManagerError) as caught:
        client.version()
    return caught.value


# --- trust


@pytest.mark.parametrize("days", [365, -1])
def test_a_pinned_certificate_is_trusted_whoever_issued_it_and_however_old_it_is(connect, days):
    certificate = Authority("somebody").issue(("other.example",), days=days)
    with ManagerDouble(certificate) as double:
        address = double.address(trust=Trust.pinned(certificate.fingerprint))
        assert connect(address).version().version == "7.1.0.dev1"


def test_another_certificate_than_the_pinned_one_is_found_out_before_anything_is_sent(secure, connect):
    error = failure(connect(secure.address(trust=Trust.pinned("ab" * 32))))
    assert error.kind is ErrorKind.UNREACHABLE
    assert "not the pinned one" in error.message
    assert not secure.requests


def test_a_bundle_admits_its_own_authority(secure, connect):
    assert connect(secure).version().edition == "community"


def test_a_chain_is_judged_alike_where_python_is_strict_by_default(secure, monkeypatch):
    default = ssl.create_default_context

    def strict(*args, **kwargs):
        context = default(*args, **kwargs)
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as from Python 3.13 on: no chain without key identifiers
        return context

    monkeypatch.setattr(tls.ssl, "create_default_context", strict)
    tls._bundle_context.cache_clear()
    try:
        assert not tls.tls_context(secure.address().trust).verify_flags & ssl.VERIFY_X509_STRICT
    finally:
        tls._bundle_context.cache_clear()


@pytest.mark.parametrize(
    ("certificate", "trust", "words"),
    [
        (lambda: default_authority().issue(days=-1), None, "expired"),
        (lambda: default_authority().issue(("other.example",)), None, "another name"),
        (lambda: Authority("somebody else").issue(), None, "was not issued by the CA bundle given"),
        (lambda: default_authority().issue(), Trust.system(), "this system trusts"),
    ],
)
def test_a_wrong_certificate_is_refused_in_words_and_nothing_is_sent(connect, certificate, trust, words):
    with ManagerDouble(certificate()) as double:
        error = failure(connect(double.address(trust=trust)))
        assert error.kind is ErrorKind.UNREACHABLE
        assert words in error.message
        assert not double.requests


def test_insecure_trust_takes_any_certificate(connect):
    with ManagerDouble(Authority().issue(("other.example",), days=-1)) as double:
        assert connect(double.address(trust=Trust.insecure("a lab"))).version().version


def test_the_trust_of_one_target_does_not_leak_into_another(secure, connect):
    connect(secure.address(trust=Trust.insecure("a lab"))).version()
    assert "this system trusts" in failure(connect(secure.address(trust=Trust.system()))).message


def test_a_bundle_that_cannot_be_read_says_so(secure, connect):
    broken = Trust.bundle("-----BEGIN CERTIFICATE-----\nhello\n-----END CERTIFICATE-----\n")
    error = failure(connect(secure.address(trust=broken)))
    assert error.kind is ErrorKind.INPUT


def test_the_name_entered_is_the_one_verified_and_sent_though_an_address_is_dialled(monkeypatch, bare_server, connect):
    monkeypatch.setattr(policy.socket, "getaddrinfo", lambda host, port, **_: [(2, 1, 6, "", ("127.0.0.1", port))])
    with ManagerDouble(default_authority().issue(("manager.test",))) as double:
        assert connect(double.address(endpoint="manager.test")).version().version
    port, received = bare_server(b"HTTP/1.1 204 NO\r\n\r\n")
    connect(Address("manager.test", port, "http")).ok()
    assert f"Host: manager.test:{port}".encode() in received[0]


# --- what is sent


def test_the_environment_sends_nothing_through_a_proxy_nor_adds_a_credential(double, monkeypatch, tmp_path, connect):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{refused_port()}")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login admin password admin-password\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert connect(double).version().version
    assert failure(connect(double, None)).status == 401


def test_ok_is_asked_without_the_credential(bare_server, connect):
    port, received = bare_server(b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"OK"')
    connect(Address("127.0.0.1", port, "http")).ok()
    assert b"ctok" not in received[0]


def test_a_redirect_is_not_followed(double, connect):
    double.faults = [Fault(FaultKind.REDIRECT)]
    error = failure(connect(double))
    assert (error.kind, error.status) == (ErrorKind.BROKEN, 302)
    assert "redirects are not followed" in error.message


# --- how long and how much


def test_a_manager_that_hangs_is_given_up_on_in_time(double, connect):
    double.faults = [Fault(FaultKind.HANG)]
    began = time.monotonic()
    error = failure(connect(double, timeouts=Timeouts(read=0.3)))
    assert time.monotonic() - began < 2
    assert (error.kind, error.is_unknown) == (ErrorKind.UNREACHABLE, False)
    assert "did not answer in time" in error.message


@pytest.mark.parametrize("is_secure", [False, True])
def test_a_manager_that_drips_bytes_cannot_stretch_the_time(double, secure, connect, is_secure):
    target = secure if is_secure else double
    target.faults = [Fault(FaultKind.DRIP)]
    began = time.monotonic()
    error = failure(connect(target, timeouts=Timeouts(read=0.4)))
    assert 0.3 < time.monotonic() - began < 2
    assert error.kind is ErrorKind.UNREACHABLE


def test_a_slow_answer_within_the_time_is_an_answer(double, connect):
    double.faults = [Fault(FaultKind.SLOW, seconds=0.2)]
    assert connect(double).version().version


def test_an_endless_reply_is_not_read(double, connect):
    double.faults = [Fault(FaultKind.HUGE)]
    error = failure(connect(double, timeouts=Timeouts(max_reply_bytes=100_000)))
    assert error.kind is ErrorKind.BROKEN
    assert "larger than" in error.message


def test_a_large_compressed_reply_counts_as_what_it_becomes(bare_server, connect):
    import gzip

    body = gzip.compress(b"[" + b"0," * 5_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    port, _ = bare_server(head + body)
    error = failure(connect(Address("127.0.0.1", port, "http"), timeouts=Timeouts(max_reply_bytes=100_000)))
    assert "larger than" in error.message


# --- when it breaks


def test_a_refused_port_says_that_nobody_listens(connect):
    error = failure(connect(Address("127.0.0.1", refused_port(), "http")))
    assert error.kind is ErrorKind.UNREACHABLE
    assert "no manager listens there" in error.message


def test_half_a_reply_is_broken(double, connect):
    double.faults = [Fault(FaultKind.HALF_REPLY)]
    error = failure(connect(double))
    assert error.kind is ErrorKind.BROKEN
    assert "in the middle of a reply" in error.message


def test_an_answer_that_is_no_http_says_so(double, connect):
    double.faults = [Fault(FaultKind.NOT_HTTP)]
    assert "not in HTTP" in failure(connect(double)).message


def test_the_wrong_protocol_is_told_in_both_directions(double, secure, connect):
    plain_to_tls = Address("127.0.0.1", secure.port, "http", "acme")
    assert failure(connect(plain_to_tls)).kind in (ErrorKind.BROKEN, ErrorKind.UNREACHABLE)
    tls_to_plain = Address("127.0.0.1", double.port, "https", "acme")
    error = failure(connect(tls_to_plain, timeouts=Timeouts(connect=0.3)))
    assert error.kind is ErrorKind.UNREACHABLE


@pytest.mark.parametrize("is_secure", [False, True])
def test_a_kept_connection_that_was_closed_meanwhile_is_made_anew(double, secure, connect, is_secure):
    target = secure if is_secure else double
    client = connect(target)
    client.version()
    target.close_connections()
    assert client.version().version
    assert client.upload_blueprint("b", ARCHIVE, "blueprint.yaml").id == "b"


def test_a_read_whose_kept_connection_breaks_is_tried_once_more_and_only_once(double, connect):
    client = connect(double)
    client.version()
    double.faults = [Fault(FaultKind.RESET, times=1)]
    assert client.version().version
    double.faults = [Fault(FaultKind.RESET)]
    assert failure(client).kind is ErrorKind.UNREACHABLE
    assert double.count("GET", "/version") == 5


@pytest.mark.parametrize(
    "kind", [FaultKind.RESET, FaultKind.LOST_AFTER_WRITE, FaultKind.HANG, FaultKind.ERROR_AFTER_WRITE]
)
def test_a_write_without_a_clear_answer_is_unknown_and_sent_once(double, connect, kind):
    client = connect(double, timeouts=Timeouts(upload=0.4))
    client.version()
    double.faults = [Fault(kind, method="PUT")]
    with pytest.raises(ManagerError) as caught:
        client.upload_blueprint("b", ARCHIVE, "blueprint.yaml")
    assert caught.value.is_unknown
    assert double.count("PUT") == 1


def test_a_write_that_never_left_is_not_unknown(connect):
    client = connect(Address("127.0.0.1", refused_port(), "http"))
    with pytest.raises(ManagerError) as caught:
        client.upload_blueprint("b", ARCHIVE, "blueprint.yaml")
    assert not caught.value.is_unknown


def test_after_a_failure_the_same_client_can_go_on(double, connect):
    client = connect(double)
    for kind in (FaultKind.HALF_REPLY, FaultKind.RESET, FaultKind.NOT_HTTP, FaultKind.HTML):
        double.faults = [Fault(kind, times=1)]
        failure(client) if kind is not FaultKind.RESET else client.close()
        double.faults = []
        assert client.version().version


# --- keeping connections


def test_a_client_keeps_one_connection(secure, connect):
    client = connect(secure)
    for _ in range(5):
        client.version()
    assert len(secure.open) == 1


def test_a_pool_gives_the_same_target_its_connection_back_and_nobody_elses(secure):
    pool = ClientPool(LOOPBACK, QUICK)
    with pool.lease(secure.address(), ALICE) as first:
        first.version()
    with pool.lease(secure.address(), ALICE) as second, pool.lease(secure.address(), ALICE) as third:
        assert second is first
        assert third is not first
    with pool.lease(secure.address(), Credential.by_password("alice", "alice-password")) as other:
        assert other is not first
    pool.close()


def test_a_pool_lets_go_of_what_is_too_many_or_too_old(double):
    pool = ClientPool(LOOPBACK, QUICK, max_idle=2)
    targets = double.add_targets(4)
    for address, credential in targets:
        with pool.lease(address, credential) as client:
            client.version()
    assert len(pool._idle) == 2
    pool._idle_seconds = 0.0
    with pool.lease(*targets[3]) as client:
        assert len(pool._idle) == 0
        assert client.version().version
    pool.close()


def test_a_policy_is_asked_before_any_connection(double):
    with ManagerClient(double.address(), ALICE, EndpointPolicy()) as client:
        assert failure(client).kind is ErrorKind.INPUT
    assert not double.requests
