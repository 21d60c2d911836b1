from __future__ import annotations

import datetime
from dataclasses import replace

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import AuditEntry, Secret
from accounts.secrets import reveal
from installs import certificates
from installs.models import Certificate
from installs.pki.making import Pair
from installs.pki.naming import names_of
from inventory import cluster_hosts
from inventory.layout import Part
from tests.installs import authorities, factories, layouts

pytestmark = pytest.mark.django_db
CA = authorities.make("Company CA", ca=True)


@pytest.fixture
def by(acme):
    return factories.actor(acme)


@pytest.fixture
def cluster(acme):
    return factories.cluster(acme)


def pair_for(cluster, name, **more) -> Pair:
    layout = cluster.layout()
    return authorities.make(name, by=CA, **{"names": names_of(layout, layout.host(name))} | more)


def all_pairs(cluster) -> dict[str, Pair]:
    return {host.name: pair_for(cluster, host.name) for host in cluster.layout().hosts}


def in_use(cluster, kind="host"):
    return {row.owner: row for row in Certificate.objects.filter(cluster=cluster, kind=kind, state="current")}


def sign(request: str, name: str, cluster) -> str:
    """What a company's CA would answer to a signing request: the names and the key of the request."""
    import cryptography.x509 as x509
    from cryptography.hazmat.primitives import hashes, serialization

    csr = x509.load_pem_x509_csr(request.encode())
    now = timezone.now()
    issuer = x509.load_pem_x509_certificate(CA.certificate.encode())
    builder = (
        x509.CertificateBuilder()
        .subject_name(csr.subject)
        .issuer_name(issuer.subject)
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=300))
    )
    for extension in csr.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    key = serialization.load_pem_private_key(CA.key.encode(), None)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_cluster_makes_its_ca_and_one_certificate_a_host_and_nothing_the_second_time(cluster, by):
    made = certificates.ensure_certificates(by=by, cluster=cluster)
    assert len(made) == 11 and certificates.ensure_certificates(by=by, cluster=cluster) == []
    assert certificates.check_certificates(cluster) == []
    assert set(in_use(cluster)) == {host.name for host in cluster.layout().hosts}


def test_keys_are_sealed_credentials_and_in_no_row_of_certificates_or_audit(cluster, by):
    certificates.ensure_certificates(by=by, cluster=cluster)
    for row in Certificate.objects.filter(cluster=cluster):
        assert row.key.purpose == Secret.Purpose.CREDENTIAL and "PRIVATE KEY" in reveal(row.key)
        assert "PRIVATE KEY" not in row.pem + row.request
    assert not any("PRIVATE KEY" in str((entry.before, entry.after)) for entry in AuditEntry.objects.all())


def test_a_host_with_a_new_address_gets_a_new_certificate_and_its_old_key_is_destroyed(cluster, by):
    certificates.ensure_certificates(by=by, cluster=cluster)
    old = in_use(cluster)["db1"]
    node = cluster.nodes.get(name="db1")
    cluster_hosts.change_host(by=by, node=node, host=replace(node.host(), public_address="192.0.2.5"))
    (made,) = certificates.ensure_certificates(by=by, cluster=cluster)
    assert made.owner == "db1" and "192.0.2.5" in made.names
    old_key = old.key_id
    old.refresh_from_db()
    assert old.state == "replaced" and old.key is None and not Secret.objects.filter(pk=old_key).exists()


def test_a_certificate_that_ends_within_thirty_days_is_renewed(cluster, by):
    certificates.ensure_certificates(by=by, cluster=cluster)
    Certificate.objects.filter(owner="mq2").update(not_after=timezone.now() + datetime.timedelta(days=29))
    assert [row.owner for row in certificates.ensure_certificates(by=by, cluster=cluster)] == ["mq2"]


def test_renewing_makes_all_hosts_certificates_anew_under_the_same_ca(cluster, by):
    certificates.ensure_certificates(by=by, cluster=cluster)
    before = in_use(cluster)
    certificates.ensure_certificates(by=by, cluster=cluster, is_renewal=True)
    after = in_use(cluster)
    assert all(after[name].fingerprint != before[name].fingerprint for name in before)
    assert certificates.check_certificates(cluster) == [] and len(in_use(cluster, "authority")) == 1


# --- which file goes where ---


def placed(cluster, name):
    return {file.path: file for file in certificates.files_for(cluster, cluster.layout().host(name))}


@pytest.mark.parametrize(
    "layout", [layouts.ten(), layouts.compact(), layouts.all_in_one()], ids=lambda layout: layout.name
)
def test_no_host_ever_gets_a_key_of_a_ca_or_of_another_host(acme, by, layout):
    cluster = factories.cluster(acme, layout)
    certificates.ensure_certificates(by=by, cluster=cluster)
    rows = Certificate.objects.filter(cluster=cluster, key__isnull=False)
    keys = {row.owner: reveal(row.key).strip() for row in rows}
    assert "ca" in keys
    for host in cluster.layout().hosts:
        files = certificates.files_for(cluster, host)
        whole = "".join(file.content for file in files)
        assert keys[host.name] in whole
        assert [name for name, key in keys.items() if key in whole and name != host.name] == []


def test_every_service_of_a_host_has_its_own_folder_and_nobody_else_reads_its_key(cluster, by):
    certificates.ensure_certificates(by=by, cluster=cluster)
    files = placed(cluster, "db1")
    assert {path.rsplit("/", 1)[0] for path in files} == {"/etc/etcd/pki", "/etc/patroni/pki", "/etc/prometheus/pki"}
    key = files["/etc/patroni/pki/host.key"]
    assert (key.owner, key.group, key.mode) == ("postgres", "postgres", 0o600)
    for cluster_host in cluster.layout().hosts:
        for file in certificates.files_for(cluster, cluster_host):
            if "PRIVATE KEY" in file.content:
                assert file.mode & 0o037 == 0, f"{file.path} {file.mode:o}"


def test_a_balancer_gets_one_file_that_haproxy_reads_and_no_key_beside_it(cluster, by):
    certificates.ensure_certificates(by=by, cluster=cluster)
    files = placed(cluster, "lb1")
    assert {path for path in files if path.startswith("/etc/haproxy")} == {
        "/etc/haproxy/pki/ca.crt",
        "/etc/haproxy/pki/host.pem",
    }
    bundle = files["/etc/haproxy/pki/host.pem"]
    assert bundle.content.index("BEGIN CERTIFICATE") < bundle.content.index("PRIVATE KEY") and bundle.mode == 0o600


def test_client_certificates_go_to_managers_alone_with_the_user_as_common_name(cluster, by):
    certificates.ensure_certificates(by=by, cluster=cluster)
    row = certificates.make_client_certificate(by=by, cluster=cluster, user="deployon")
    assert row.subject == "CN=deployon"
    holders = [
        host for host in cluster.layout().hosts if any("deployon.key" in path for path in placed(cluster, host.name))
    ]
    assert holders == list(cluster.layout().having(Part.MANAGER))


def test_a_host_without_a_certificate_is_named_with_a_remedy(cluster):
    with pytest.raises(ValidationError, match="db1 has no certificate yet"):
        certificates.files_for(cluster, cluster.layout().host("db1"))


# --- the operator's CA ---


def test_requests_are_signed_by_the_operators_ca_and_come_back(cluster, by):
    requests = certificates.request_certificates(by=by, cluster=cluster)
    assert certificates.request_certificates(by=by, cluster=cluster) == requests
    assert certificates.ensure_certificates(by=by, cluster=cluster) == []
    signed = {name: sign(text, name, cluster) for name, text in requests.items()}
    made = certificates.accept_signed(by=by, cluster=cluster, authority=CA.certificate, signed=signed)
    assert {row.source for row in made} == {"operator"} and certificates.check_certificates(cluster) == []
    assert not Certificate.objects.filter(cluster=cluster, state="requested").exists()
    assert Certificate.objects.get(cluster=cluster, kind="authority", state="current").key is None
    assert CA.certificate in placed(cluster, "db1")["/etc/etcd/pki/ca.crt"].content


def test_a_signed_certificate_for_another_key_is_refused_and_the_request_stays(cluster, by):
    requests = certificates.request_certificates(by=by, cluster=cluster)
    signed = {name: sign(text, name, cluster) for name, text in requests.items()}
    signed["db1"] = pair_for(cluster, "db1").certificate
    with pytest.raises(ValidationError, match="The key does not belong to the certificate of db1"):
        certificates.accept_signed(by=by, cluster=cluster, authority=CA.certificate, signed=signed)
    assert Certificate.objects.filter(cluster=cluster, state="requested").count() == 10


def test_what_was_never_requested_is_not_accepted(cluster, by):
    with pytest.raises(ValidationError, match="Nothing was requested for db1"):
        certificates.accept_signed(by=by, cluster=cluster, authority=CA.certificate, signed={"db1": CA.certificate})


# --- ready-made files ---


def test_ready_made_files_are_taken_whole_or_not_at_all(cluster, by):
    pairs = all_pairs(cluster)
    with pytest.raises(ValidationError, match="It has no certificate"):
        some = {name: pair for name, pair in pairs.items() if name != "db1"}
        certificates.upload_certificates(by=by, cluster=cluster, authority=CA.certificate, pairs=some)
    assert in_use(cluster) == {}
    certificates.upload_certificates(by=by, cluster=cluster, authority=CA.certificate, pairs=pairs)
    assert len(in_use(cluster)) == 10 and certificates.check_certificates(cluster) == []


def test_a_certificate_for_users_is_shown_by_the_balancers_and_not_by_managers(cluster, by):
    entrance = authorities.make("west.example.org", by=CA, names=("west.example.org",))
    certificates.upload_certificates(
        by=by, cluster=cluster, authority=CA.certificate, pairs=all_pairs(cluster), entrance=entrance,
        entrance_authority=CA.certificate,
    )  # fmt: skip
    assert entrance.key in placed(cluster, "lb1")["/etc/haproxy/pki/host.pem"].content
    assert not any(entrance.key in file.content for file in placed(cluster, "mg1").values())
    assert certificates.check_certificates(cluster) == []


def test_expiry_is_seen_without_opening_a_key(cluster, by, monkeypatch):
    certificates.upload_certificates(by=by, cluster=cluster, authority=CA.certificate, pairs=all_pairs(cluster))
    monkeypatch.setattr("accounts.secrets.reveal", lambda secret: pytest.fail("a key was opened for a look"))
    later = timezone.now() + datetime.timedelta(days=360)
    assert {finding.rule for finding in certificates.check_certificates(cluster, now=later)} == {"expiry"}
    assert in_use(cluster)["db1"].days_left in (363, 364)
