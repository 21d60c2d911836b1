from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading

import pytest
from django.core.exceptions import ValidationError

from accounts.errors import Conflict
from installs.fetching import fetch_authority
from installs.pki.reading import read_certificates
from tests.installs import authorities
from tests.services.shared import free_port

ROOT = authorities.make("Provider Root", ca=True)
MIDDLE = authorities.make("Provider CA", by=ROOT, ca=True)
LEAF = authorities.make("pg.example.org", by=MIDDLE, names=("pg.example.org",))
ALONE = authorities.make("self.example.org", names=("self.example.org",))


@pytest.fixture(autouse=True)
def loopback_is_allowed(settings):
    settings.ENDPOINT_NETWORKS = ["127.0.0.0/8"]


@contextlib.contextmanager
def service(folder, texts, key, *, answer=None):
    """A TLS service that shows these certificates; with `answer` it first takes PostgreSQL's request and says that."""
    path = folder / "chain.pem"
    path.write_text("".join(texts) + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.settimeout(5)
                    if answer is not None:
                        seen.append(connection.recv(8))
                        connection.sendall(answer)
                    with context.wrap_socket(connection, server_side=True) as wrapped:
                        seen.append(wrapped.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], seen
        thread.join(10)


def names(fetched):
    return [certificate.common_name for certificate in fetched.certificates]


def test_the_cas_that_a_queue_shows_are_told_without_its_own_certificate(tmp_path):
    chain = [LEAF.certificate, MIDDLE.certificate, ROOT.certificate]
    with service(tmp_path, chain, LEAF.key) as (port, seen):
        fetched = fetch_authority("external_queue", "127.0.0.1", port)
    assert names(fetched) == ["Provider CA", "Provider Root"]
    assert [one.fingerprint for one in read_certificates(fetched.ca_bundle)] == [
        one.fingerprint for one in fetched.certificates
    ]
    assert seen == [b""], "nothing is sent over the connection"


def test_postgresql_is_asked_for_tls_in_its_own_way(tmp_path):
    with service(tmp_path, [LEAF.certificate, MIDDLE.certificate], LEAF.key, answer=b"S") as (port, seen):
        assert names(fetch_authority("external_database", "127.0.0.1", port)) == ["Provider CA"]
    assert struct.unpack("!ii", seen[0]) == (8, 80877103)


def test_a_certificate_that_signed_itself_is_its_own_authority(tmp_path):
    with service(tmp_path, [ALONE.certificate], ALONE.key) as (port, _):
        assert names(fetch_authority("external_queue", "127.0.0.1", port)) == ["self.example.org"]


def test_a_service_that_keeps_its_ca_to_itself_is_told_with_the_cas_name(tmp_path):
    with (
        service(tmp_path, [LEAF.certificate], LEAF.key) as (port, _),
        pytest.raises(Conflict, match="signed by CN=Provider CA"),
    ):
        fetch_authority("external_queue", "127.0.0.1", port)


def test_a_postgresql_without_tls_is_told(tmp_path):
    with (
        service(tmp_path, [LEAF.certificate], LEAF.key, answer=b"N") as (port, _),
        pytest.raises(Conflict, match="without TLS"),
    ):
        fetch_authority("external_database", "127.0.0.1", port)


def test_nobody_there_and_no_address_are_told():
    with pytest.raises(Conflict, match="refuses connections"):
        fetch_authority("external_queue", "127.0.0.1", free_port())
    with pytest.raises(ValidationError, match="neither a host name nor an address"):
        fetch_authority("external_queue", "amqps://mq", 5671)


def test_addresses_that_the_portal_must_not_call_are_not_called(settings):
    settings.ENDPOINT_NETWORKS = []
    with pytest.raises(Conflict, match="must not call"):
        fetch_authority("external_queue", "127.0.0.1", 5671)
