from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from django.core.exceptions import ValidationError

from accounts.errors import Conflict
from accounts.models import AuditEntry, Secret
from accounts.secrets import reveal
from installs import services
from installs.describing import Description
from inventory import cluster_hosts, cluster_secrets, clusters
from inventory.host_access import Access
from inventory.layout import Balancing, External, Part
from inventory.models import Cluster, ClusterNode, HostKey
from tests.factories import secret as stored_secret
from tests.installs import factories, layouts

pytestmark = pytest.mark.django_db


@pytest.fixture
def by(acme):
    return factories.actor(acme)


@pytest.fixture
def cluster(acme):
    return factories.cluster(acme)


def private_key(passphrase: bytes | None = None) -> str:
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, lock).decode()


def public_key() -> str:
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


# --- rows and layouts ---


@pytest.mark.parametrize(
    "layout",
    [
        layouts.ten(is_strict=True, failover="calm"),
        layouts.compact(),
        layouts.all_in_one(release="bookworm"),
        layouts.change(layouts.ten(), "mg1", public_address="192.0.2.1", networks={"agents": "10.9.0.1"}, machine="r1", ssh_port=2222),
        layouts.ten(queues=(), external_queue=External(("mq.example.org", "10.9.9.9"), 5671, "PEM", 15671)),
        layouts.ten(databases=(), external_database=External(("pg.example.org",), 5432, "PEM", user_suffix="@pg")),
    ],
    ids=["ten", "compact", "all in one", "networks", "external queue", "external database"],
)  # fmt: skip
def test_a_cluster_gives_back_the_layout_it_was_described_with(acme, layout):
    made = factories.cluster(acme, layout)
    assert Cluster.objects.get(pk=made.pk).layout() == layout


def test_a_layout_of_many_hosts_is_read_with_few_queries(cluster, django_assert_num_queries):
    with django_assert_num_queries(3):
        found = Cluster.objects.with_hosts().get(pk=cluster.pk)
        assert len(found.layout().hosts) == 10 and [node.trusted_key() for node in found.nodes.all()] == [None] * 10


def test_the_same_name_twice_is_a_conflict_in_one_tenant_and_fine_in_another(acme, other, cluster):
    with pytest.raises(Conflict, match="There is a cluster west here already"):
        factories.cluster(acme)
    assert factories.cluster(other).name == "west"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda x: replace(x, name="West_1"), "name"),
        (lambda x: replace(x, entrance="https://west"), "entrance"),
        (lambda x: replace(x, release="sarge"), "release"),
        (lambda x: replace(x, failover="hasty"), "failover"),
        (lambda x: layouts.change(x, "db1", name="db_1"), "name"),
        (lambda x: layouts.change(x, "db1", private_address="db1"), "private_address"),
        (lambda x: layouts.change(x, "db1", public_address="192.0.2.256"), "public_address"),
        (lambda x: layouts.change(x, "db1", networks={"agents": "here"}), "networks"),
        (lambda x: layouts.change(x, "db1", networks={"external": "10.9.0.1"}), "networks"),
        (lambda x: layouts.change(x, "db1", ssh_port=70000), "ssh_port"),
    ],
)
def test_a_row_cannot_hold_what_is_no_name_and_no_address(acme, change, field):
    with pytest.raises(ValidationError) as refused:
        factories.cluster(acme, change(layouts.ten()))
    assert field in refused.value.message_dict
    assert not Cluster.objects.exists() and not Secret.objects.exists()


def test_describing_refuses_a_layout_with_errors_and_keeps_a_draft_in_spite_of_them(acme, by):
    wrong = Description(replace(layouts.ten(), balancing=Balancing.NONE))
    with pytest.raises(ValidationError) as refused:
        services.describe_cluster(by=by, tenant=acme, description=wrong)
    assert "Several managers without a balancer" in str(refused.value.message_dict["balancing"])
    draft = services.describe_cluster(by=by, tenant=acme, description=wrong, is_draft=True)
    assert {finding.rule for finding in services.cluster_findings(draft)} == {"no-balancer", "idle-balancer"}


def test_changes_are_kept_audited_and_named_by_field(cluster, by):
    clusters.change_cluster(by=by, cluster=cluster, entrance="10.0.0.99", failover="calm")
    entry = AuditEntry.objects.filter(action="cluster.change").last()
    assert entry.before == {"entrance": "west.example.org", "failover": "fast"}
    assert entry.after == {"entrance": "10.0.0.99", "failover": "calm"}
    with pytest.raises(ValidationError, match="A name stays"):
        clusters.change_cluster(by=by, cluster=cluster, name="east")


def test_a_built_cluster_keeps_its_release_and_is_not_forgotten_by_accident(cluster, by):
    assert clusters.move_cluster(cluster, Cluster.State.READY, only_from=[Cluster.State.PLANNED], why="")
    with pytest.raises(Conflict, match="release of a built cluster"):
        clusters.change_cluster(by=by, cluster=cluster, release="bookworm")
    with pytest.raises(Conflict, match="Uninstall it first"):
        clusters.delete_cluster(by=by, cluster=cluster)
    clusters.delete_cluster(by=by, cluster=cluster, is_forced=True)
    assert not Cluster.objects.exists()


# --- signing in ---


def test_a_shared_password_is_one_secret_and_goes_with_the_cluster(acme, cluster, by):
    (secret,) = Secret.objects.all()
    assert secret.name == "cluster.west.password" and reveal(secret) == factories.PASSWORD
    assert {node.password_id for node in cluster.nodes.all()} == {secret.pk}
    clusters.delete_cluster(by=by, cluster=cluster)
    assert not Secret.objects.exists()


def test_a_host_may_have_its_own_key_and_sudo_password(acme):
    own = Access(user="ops", private_key=private_key(), sudo_password="hidden-sudo")
    cluster = factories.cluster(acme, access_by_host={"db1": own})
    first = cluster.nodes.get(name="db1")
    assert (first.ssh_user, first.password, first.private_key.name) == ("ops", None, "cluster.west.db1-private_key")
    assert reveal(first.sudo_password) == "hidden-sudo" and cluster.nodes.get(name="db2").sudo_password is None


def test_a_stored_credential_is_used_and_outlives_the_cluster(acme, by):
    key = stored_secret(acme, "fleet-key", private_key())
    cluster = factories.cluster(acme, access=Access(private_key_secret="fleet-key"))
    assert {node.private_key_id for node in cluster.nodes.all()} == {key.pk}
    clusters.delete_cluster(by=by, cluster=cluster)
    assert list(Secret.objects.all()) == [key]


@pytest.mark.parametrize(
    ("access", "field", "words"),
    [
        (Access(user="Root User"), "ssh_user", "no user of a Debian host"),
        (Access(address="https://db1"), "ssh_address", "neither a host name nor an address"),
        (Access(private_key="hello"), "private_key", "This is no private key"),
        (Access(user="ops", private_key=private_key(b"phrase")), "private_key", "protected by a passphrase"),
        (Access(password="a", password_secret="b"), "password", "not both"),
        (Access(sudo_password="a"), "sudo_password", "needs no sudo"),
        (Access(password_secret="nosuch"), "password_secret", "There is no credential nosuch"),
    ],
)
def test_ways_to_sign_in_that_cannot_work_are_refused_with_a_remedy(acme, access, field, words):
    with pytest.raises(ValidationError) as refused:
        factories.cluster(acme, access=access)
    assert words in str(refused.value.message_dict[field])


def test_a_secret_for_blueprints_is_not_sent_to_hosts(acme):
    stored_secret(acme, "for-blueprints", "value", purpose=Secret.Purpose.BLUEPRINT)
    with pytest.raises(ValidationError, match="There is no credential for-blueprints"):
        factories.cluster(acme, access=Access(password_secret="for-blueprints"))


def test_no_value_of_a_secret_is_in_the_audit_trail(acme, by):
    factories.cluster(acme, access=Access(user="ops", password="swordfish", sudo_password="marlin"))
    told = " ".join(f"{entry.before} {entry.after}" for entry in AuditEntry.objects.all())
    assert "swordfish" not in told and "marlin" not in told and "db1" in told
    assert "swordfish" not in repr(Access(password="swordfish"))


# --- hosts ---


def test_a_host_that_is_added_comes_last_and_is_signed_in_to_as_the_others(cluster, by):
    node = cluster_hosts.add_host(by=by, cluster=cluster, host=layouts.bare("mg4", 40, parts=frozenset({Part.MANAGER})))
    assert cluster.layout().hosts[-1].name == "mg4" and node.password == cluster.nodes.first().password
    assert AuditEntry.objects.filter(action="host.add", object_name="mg4").exists()


def test_two_hosts_of_a_cluster_have_two_names(cluster, by):
    with pytest.raises(Conflict, match="has a host db1 already"):
        cluster_hosts.add_host(by=by, cluster=cluster, host=layouts.bare("db1", 40))
    with pytest.raises(Conflict, match="has a host db2 already"):
        cluster_hosts.change_host(by=by, node=cluster.nodes.get(name="db1"), host=layouts.bare("db2", 40))


def test_an_installed_host_keeps_its_name_and_is_not_removed_by_accident(cluster, by):
    node = cluster.nodes.get(name="db1")
    node.move(ClusterNode.State.INSTALLED, only_from=ClusterNode.State.PLANNED)
    with pytest.raises(Conflict, match="is installed"):
        cluster_hosts.change_host(by=by, node=node, host=replace(node.host(), name="db9"))
    with pytest.raises(Conflict, match="Plan its removal"):
        cluster_hosts.remove_host(by=by, node=node)
    cluster_hosts.remove_host(by=by, node=node, is_forced=True)
    assert cluster.nodes.count() == 9


def test_a_removed_hosts_own_secrets_go_with_it_and_shared_ones_stay(acme, by):
    cluster = factories.cluster(acme, access_by_host={"db1": Access(password="its-own")})
    cluster_hosts.remove_host(by=by, node=cluster.nodes.get(name="db1"))
    assert [secret.name for secret in Secret.objects.all()] == ["cluster.west.password"]


# --- host keys ---


def test_the_fingerprint_is_the_one_that_ssh_keygen_prints():
    line = public_key()
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    kind, fingerprint = cluster_hosts.read_public_key(f"{line} root@db1")
    assert kind == "ssh-ed25519" and fingerprint == "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def test_an_offered_key_counts_for_nothing_until_a_person_trusts_it(cluster, by):
    node = cluster.nodes.get(name="db1")
    offered = cluster_hosts.record_offered_key(node=node, public_key=public_key())
    assert node.trusted_key() is None
    cluster_hosts.trust_host_key(by=by, node=node, fingerprint=offered.fingerprint)
    trusted = cluster.nodes.get(name="db1").trusted_key()
    assert trusted == offered and trusted.trusted_by == by.user
    assert AuditEntry.objects.get(action="host.trust_key").after == {"fingerprint": offered.fingerprint}


def test_trusting_another_key_retires_the_one_before_it(cluster, by):
    node = cluster.nodes.get(name="db1")
    first, second = public_key(), public_key()
    cluster_hosts.trust_host_key(by=by, node=node, public_key=first)
    cluster_hosts.trust_host_key(by=by, node=node, public_key=second)
    assert [key.state for key in HostKey.objects.order_by("pk")] == ["retired", "trusted"]
    cluster_hosts.trust_host_key(by=by, node=node, public_key=first)
    assert [key.state for key in HostKey.objects.order_by("pk")] == ["trusted", "retired"]


def test_a_fingerprint_that_the_host_never_showed_is_not_trusted(cluster, by):
    with pytest.raises(ValidationError, match="has not shown a key SHA256:nosuch"):
        cluster_hosts.trust_host_key(by=by, node=cluster.nodes.get(name="db1"), fingerprint="SHA256:nosuch")


@pytest.mark.parametrize(
    "text", ["", "hello", "ssh-ed25519 AAAA", "ssh-ed25519 ****", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA"]
)
def test_what_is_no_public_key_is_refused(cluster, by, text):
    with pytest.raises(ValidationError, match="no public key"):
        cluster_hosts.record_offered_key(node=cluster.nodes.get(name="db1"), public_key=text)


# --- the cluster's own secrets ---


def test_passwords_are_invented_once_and_differ(cluster, by):
    first = cluster_secrets.ensure_secrets(by=by, cluster=cluster, purposes=["postgres", "queue"])
    again = cluster_secrets.ensure_secrets(by=by, cluster=cluster, purposes=["postgres", "queue", "admin"])
    values = {purpose: reveal(secret) for purpose, secret in again.items()}
    assert values["postgres"] == reveal(first["postgres"]) and len(set(values.values())) == 3
    assert all(len(value) == 40 and value.isalnum() and value[0].isalpha() for value in values.values())


def test_logins_of_external_services_are_secrets_of_the_cluster(cluster, by):
    clusters.set_external_login(by=by, cluster=cluster, service="external_queue", user="boss", password="hush")
    found = cluster_secrets.secrets_of(cluster)
    assert reveal(found["external_queue_user"]) == "boss" and reveal(found["external_queue_password"]) == "hush"
    assert "hush" not in str([(entry.before, entry.after) for entry in AuditEntry.objects.all()])


def test_a_deleted_cluster_leaves_no_secret_behind(acme, cluster, by):
    cluster_secrets.ensure_secrets(by=by, cluster=cluster, purposes=["postgres"])
    from installs.certificates import ensure_certificates

    ensure_certificates(by=by, cluster=cluster)
    assert Secret.objects.count() == 13
    clusters.delete_cluster(by=by, cluster=cluster)
    assert Secret.objects.count() == 0
