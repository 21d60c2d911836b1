from __future__ import annotations

import datetime
import socket
import ssl
import threading
from dataclasses import replace

import pytest
from cryptography import x509

from installs.pki import making, rules
from installs.pki.making import Pair
from installs.pki.naming import names_of
from installs.pki.reading import Certificate, read_certificates
from installs.pki.rules import Client, Given, Material
from inventory.layout import Balancing, Host, Layout, Part
from tests.installs import authorities, layouts
from tests.installs.authorities import CLIENT, SERVER

CA = authorities.make("Company CA", ca=True)
OTHER = authorities.make("Another CA", ca=True)
TEN = layouts.ten()
DB1, MG1 = TEN.host("db1"), TEN.host("mg1")


def given(pair: Pair) -> Given:
    return Given(pair.certificate, pair.key)


def signed(host: Host, layout: Layout = TEN, *, by: Pair = CA, **wrong) -> Given:
    return given(authorities.make(host.name, by=by, **{"names": names_of(layout, host)} | wrong))


RIGHT = Material(authority=Given(CA.certificate), hosts={host.name: signed(host) for host in TEN.hosts})


def with_host(pair: Given, name: str = "db1") -> Material:
    return replace(RIGHT, hosts={**RIGHT.hosts, name: pair})


def found(material: Material, layout: Layout = TEN, **more) -> list[tuple[str, str]]:
    return [(finding.rule, finding.host) for finding in rules.findings(layout, material, **more)]


def entrance(pair: Pair, authority: str = CA.certificate) -> Material:
    return replace(RIGHT, entrance=given(pair), entrance_authority=authority)


# --- what is right stays quiet ---


def test_what_the_clusters_own_ca_makes_has_nothing_wrong():
    authority = making.make_authority("west")
    hosts = {host.name: given(making.sign_host(authority, host.name, names_of(TEN, host))) for host in TEN.hosts}
    clients = (Client("deployon", given(making.sign_client(authority, "deployon"))),)
    assert rules.findings(TEN, Material(Given(authority.certificate, rules.KEPT), hosts, clients)) == []


def test_what_a_companys_ca_signed_has_nothing_wrong():
    assert rules.findings(TEN, RIGHT) == []


def test_nothing_given_for_one_host_alone_is_fine_as_the_cluster_makes_its_own():
    assert found(Material(), layouts.all_in_one()) == []


def test_rsa_certificates_are_as_welcome_as_those_on_curves():
    assert found(with_host(signed(DB1, key="rsa2048"))) == []


def test_a_certificate_under_an_intermediate_ca_is_fine_where_that_comes_with_it():
    middle = authorities.make("Issuing CA", by=CA, ca=True)
    leaf = signed(DB1, by=middle)
    assert found(with_host(replace(leaf, certificate=leaf.certificate + middle.certificate))) == []
    assert found(replace(with_host(leaf), authority=Given(middle.certificate + CA.certificate))) == []
    assert found(with_host(leaf)) == [("C4", "db1")]


def test_wildcards_count_for_one_label():
    certificate = Certificate(
        x509.load_pem_x509_certificate(authorities.make("x", names=("*.a.org",)).certificate.encode())
    )
    assert (
        certificate.answers_to("b.a.org")
        and not certificate.answers_to("c.b.a.org")
        and not certificate.answers_to("a.org")
    )


# --- each rule, with a certificate made wrong on purpose ---

PAIR = authorities.make("west.example.org", by=CA, names=("west.example.org",))
USER = authorities.make("somebody", by=CA)
LOCKED = authorities.told(authorities.KEYS["ec"](), b"phrase")
WRONG = {
    "C1: a certificate without its key": (with_host(Given(RIGHT.hosts["db1"].certificate)), TEN, "C1"),
    "C1: a key without its certificate": (with_host(Given(key=RIGHT.hosts["db1"].key)), TEN, "C1"),
    "C2: a certificate that is none": (with_host(Given("hello", CA.key)), TEN, "C2"),
    "C2: a certificate that is broken": (
        with_host(Given("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", CA.key)),
        TEN,
        "C2",
    ),
    "C2: a key that is none": (with_host(Given(RIGHT.hosts["db1"].certificate, "hello")), TEN, "C2"),
    "C2: a key with a passphrase": (with_host(Given(RIGHT.hosts["db1"].certificate, LOCKED)), TEN, "C2"),
    "C3: the key of another certificate": (
        with_host(Given(RIGHT.hosts["db1"].certificate, RIGHT.hosts["db2"].key)),
        TEN,
        "C3",
    ),
    "C4: signed by another CA": (with_host(signed(DB1, by=OTHER)), TEN, "C4"),
    "C4: signed by a CA of the same name": (
        with_host(signed(DB1, by=authorities.make("Company CA", ca=True))),
        TEN,
        "C4",
    ),
    "C4: certificates without any CA": (replace(RIGHT, authority=Given()), TEN, "C4"),
    "C5: a CA alone": (Material(authority=Given(CA.certificate)), TEN, "C5"),
    "C5: a CA of the entrance alone": (replace(RIGHT, entrance_authority=CA.certificate), TEN, "C5"),
    "C6: a CA's key without its certificate": (Material(authority=Given(key=CA.key)), TEN, "C6"),
    "C6: a CA without key, and hosts without pairs": (
        Material(Given(CA.certificate), {"db1": Given(RIGHT.hosts["db1"].certificate)}),
        TEN,
        "C6",
    ),
    "C7: a certificate for users that only their balancer could show": (
        entrance(PAIR),
        replace(layouts.ten(balancers=()), balancing=Balancing.THEIRS),
        "C7",
    ),
    "C8: an entrance whose CA is not given": (entrance(PAIR, ""), TEN, "C8"),
    "C9: a manager without its public address": (
        with_host(signed(MG1), "mg1"),
        layouts.change(TEN, "mg1", public_address="192.0.2.7"),
        "C9",
    ),
    "C9: a manager without an address of another network": (
        with_host(signed(MG1), "mg1"),
        layouts.change(TEN, "mg1", networks={"agents": "10.9.0.1"}),
        "C9",
    ),
    "C9: a manager without the entrance": (
        with_host(
            signed(MG1, names=("mg1", "mg1.west", "localhost", "127.0.0.1", "10.0.0.17", "lb1", "10.0.0.20")), "mg1"
        ),
        TEN,
        "C9",
    ),
    "C10: a certificate of a name where the entrance is an address": (
        entrance(PAIR),
        replace(TEN, entrance="10.0.0.50"),
        "C10",
    ),
    "C11: an entrance's certificate for another name": (
        entrance(authorities.make("east", by=CA, names=("east.example.org",))),
        TEN,
        "C11",
    ),
    "C12: a client certificate of another user": (
        replace(RIGHT, clients=(Client("deployon", given(USER)),)),
        TEN,
        "C12",
    ),
    "C13: a superuser's certificate of another user": (
        replace(RIGHT, clients=(Client("postgres", given(USER), is_superuser=True),)),
        TEN,
        "C13",
    ),
    "C14: a host of a cluster without a certificate": (with_host(Given()), TEN, "C14"),
    "C15: the certificate of another host": (with_host(RIGHT.hosts["db2"]), TEN, "C15"),
    "expiry: expired yesterday": (with_host(signed(DB1, since=-9, days=-1)), TEN, "expiry"),
    "expiry: valid from tomorrow on": (with_host(signed(DB1, since=1)), TEN, "expiry"),
    "expiry: ends within 30 days": (with_host(signed(DB1, days=29)), TEN, "expiry"),
    "expiry: a CA that expired": (
        replace(RIGHT, authority=Given(authorities.make("Company CA", ca=True, since=-9, days=-1).certificate)),
        TEN,
        "expiry",
    ),
    "usage: a server only": (with_host(signed(DB1, usages=(SERVER,))), TEN, "usage"),
    "usage: a client only": (with_host(signed(DB1, usages=(CLIENT,))), TEN, "usage"),
    "usage: no digitalSignature": (with_host(signed(DB1, digital=False)), TEN, "usage"),
    "usage: a host that is a CA": (with_host(signed(DB1, ca=True)), TEN, "usage"),
    "usage: a short RSA key": (with_host(signed(DB1, key="rsa1024")), TEN, "usage"),
    "usage: a kind of key that RabbitMQ and HAProxy cannot share": (
        with_host(signed(DB1, key="ed25519")),
        TEN,
        "usage",
    ),
    "usage: a client certificate that is none": (
        replace(RIGHT, clients=(Client("deployon", given(authorities.make("deployon", by=CA, usages=(SERVER,)))),)),
        TEN,
        "usage",
    ),
    "usage: a CA that may sign nothing": (
        replace(RIGHT, authority=Given(authorities.make("Company CA", ca=True, signs=False).certificate)),
        TEN,
        "usage",
    ),
    "chain: signed by a host": (
        with_host(
            (lambda middle: replace(pair := signed(DB1, by=middle), certificate=pair.certificate + middle.certificate))(
                authorities.make("db9", by=CA)
            )
        ),
        TEN,
        "chain",
    ),
    "chain: a CA that is a host": (
        replace(RIGHT, authority=Given(authorities.make("db9", by=CA).certificate)),
        TEN,
        "chain",
    ),
    "names: a database without its address": (
        with_host(signed(DB1, names=("db1", "db1.west", "localhost", "127.0.0.1"))),
        TEN,
        "names",
    ),
    "names: a queue without the balancer in front": (
        with_host(signed(TEN.host("mq1"), names=("mq1", "mq1.west", "localhost", "127.0.0.1", "10.0.0.14")), "mq1"),
        TEN,
        "names",
    ),
    "names: a balancer without the entrance": (
        with_host(signed(TEN.host("lb1"), names=("lb1", "lb1.west", "localhost", "127.0.0.1", "10.0.0.20")), "lb1"),
        TEN,
        "names",
    ),
    "a CA's file with its key": (replace(RIGHT, authority=Given(CA.certificate + CA.key)), TEN, "ca-with-key"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_certificate_made_wrong_is_found_out_in_words(what):
    material, layout, rule = WRONG[what]
    hits = [finding for finding in rules.findings(layout, material) if finding.rule == rule]
    assert hits, f"{what}: only {found(material, layout)}"
    for finding in hits:
        assert finding.message.endswith(".") and finding.remedy.endswith(".")
        assert CA.key.splitlines()[1] not in finding.sentence and len(finding.sentence) < 500


def test_all_fifteen_rules_and_the_four_forgotten_ones_are_tested():
    tested = {rule for _, _, rule in WRONG.values()}
    assert tested >= {f"C{number}" for number in range(1, 16)} | {"expiry", "usage", "chain", "names"}


def test_one_thing_wrong_is_one_finding():
    for what in (
        "C3: the key of another certificate",
        "C12: a client certificate of another user",
        "C14: a host of a cluster without a certificate",
    ):
        material, layout, rule = WRONG[what]
        assert [hit for hit, _ in found(material, layout)] == [rule]


def test_an_entrance_named_by_its_address_in_the_certificate_is_a_warning_only():
    layout = replace(layouts.ten(), entrance="10.0.0.50")
    hosts = {host.name: signed(host, layout) for host in layout.hosts}
    pair = authorities.make("entrance", by=CA, names=("10.0.0.50",))
    material = Material(Given(CA.certificate), hosts, entrance=given(pair), entrance_authority=CA.certificate)
    (finding,) = rules.findings(layout, material)
    assert finding.rule == "C10" and not finding.is_error


def test_everything_wrong_comes_at_once():
    material = replace(
        RIGHT,
        hosts={**RIGHT.hosts, "db1": signed(DB1, by=OTHER), "db2": Given(), "mg1": signed(MG1, since=-9, days=-1)},
    )
    assert set(found(material)) == {("C4", "db1"), ("C14", "db2"), ("expiry", "mg1")}


def test_time_passing_makes_a_good_certificate_a_bad_one():
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=400)
    assert found(RIGHT) == [] and {rule for rule, _ in found(RIGHT, now=later)} == {"expiry"}


# --- names ---


def test_a_host_answers_to_its_names_all_its_addresses_and_loopback():
    host = replace(DB1, public_address="192.0.2.1", networks={"agents": "10.9.0.1"})
    layout = layouts.change(TEN, "db1", public_address="192.0.2.1", networks={"agents": "10.9.0.1"})
    own = {"db1", "db1.west", "localhost", "127.0.0.1", "10.0.0.11", "192.0.2.1", "10.9.0.1"}
    assert set(names_of(layout, host)) == own | {"west.example.org", "lb1", "10.0.0.20"}


def test_hosts_that_nothing_is_passed_through_to_do_not_answer_to_the_entrance():
    voter = layouts.bare("vote", 99, parts=frozenset({Part.ETCD}))
    assert set(names_of(TEN, voter)) == {"vote", "vote.west", "localhost", "127.0.0.1", "10.0.0.99"}


# --- what is made ---


def test_the_clusters_ca_says_that_it_is_no_companys_ca_and_signs_no_further_ca():
    certificate = read_certificates(making.make_authority("west").certificate)[0]
    constraints = certificate.parsed.extensions.get_extension_for_class(x509.BasicConstraints)
    assert "DeployOn cluster CA\\, not a company CA" in certificate.subject
    assert constraints.critical and constraints.value.ca and constraints.value.path_length == 0


def test_a_pair_never_shows_its_key():
    pair = making.make_authority("west")
    assert "PRIVATE" not in repr(pair) and "PRIVATE" not in repr(Given(pair.certificate, pair.key))


def test_a_request_names_everything_and_its_key_is_the_one_of_the_request():
    text, key = making.request_host("db1", names_of(TEN, DB1))
    request = x509.load_pem_x509_csr(text.encode())
    alternatives = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    named = alternatives.get_values_for_type(x509.DNSName) + [
        str(a) for a in alternatives.get_values_for_type(x509.IPAddress)
    ]
    assert set(named) == set(names_of(TEN, DB1)) and request.is_signature_valid and "PRIVATE KEY" in key


@pytest.mark.parametrize("name", ["db1", "10.0.0.11", "west.example.org", "localhost"])
def test_openssl_accepts_what_was_made_under_every_name_both_ways(name, tmp_path):
    authority = making.make_authority("west")
    pair = making.sign_host(authority, "db1", names_of(TEN, DB1))
    assert shake_hands(tmp_path, authority, pair, pair, name) == (("commonName", "db1"),)


def test_openssl_refuses_another_name(tmp_path):
    authority = making.make_authority("west")
    pair = making.sign_host(authority, "db1", names_of(TEN, DB1))
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(tmp_path, authority, pair, pair, "db2")


def shake_hands(folder, authority: Pair, server: Pair, client: Pair, name: str):
    """A real TLS connection in which both sides verify each other; what the server learnt of the client's subject."""
    (folder / "ca").write_text(authority.certificate)
    contexts = []
    for side, pair in ((ssl.PROTOCOL_TLS_SERVER, server), (ssl.PROTOCOL_TLS_CLIENT, client)):
        path = folder / f"pair{len(contexts)}"
        path.write_text(pair.certificate + pair.key)
        context = ssl.SSLContext(side)
        context.load_cert_chain(path)
        context.load_verify_locations(folder / "ca")
        context.verify_mode = ssl.CERT_REQUIRED
        contexts.append(context)
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    theirs.settimeout(5)
    learnt = []

    def serve() -> None:
        try:
            with contexts[0].wrap_socket(theirs, server_side=True) as connection:
                learnt.append(connection.getpeercert()["subject"][0])
                connection.send(b"x")
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with contexts[1].wrap_socket(ours, server_hostname=name) as connection:
            connection.recv(1)
    finally:
        ours.close()
        thread.join(5)
    return learnt[0]
