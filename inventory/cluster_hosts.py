"""Hosts of a cluster: added, changed, removed, and the host keys by which they are known."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.actors import SYSTEM, Actor
from accounts.errors import Conflict
from accounts.revisions import check_seen
from inventory import cluster_secrets, editable
from inventory.connectors.ssh.values import fingerprint_of
from inventory.host_access import Access, StoredAccess, store_access
from inventory.host_names import as_usual, is_address, is_label
from inventory.layout import DEFAULT_NETWORK, EXTERNAL_NETWORK, Host
from inventory.models import Cluster, ClusterNode, HostKey


@transaction.atomic
def add_host(*, by: Actor, cluster: Cluster, host: Host, access: Access | None = None) -> ClusterNode:
    """One more host, last in order. Without `access` it is signed in to as the first host is."""
    _refuse_while_at_work(cluster)
    last = cluster.nodes.order_by("-position").first()
    position = last.position + 1 if last else 0
    return make_node(by=by, cluster=cluster, position=position, host=host, access=access, shared=_shared_of(cluster))


def make_node(
    *, by: Actor, cluster: Cluster, position: int, host: Host, access: Access | None, shared: StoredAccess
) -> ClusterNode:
    """Store one host; parts of signing in that it does not have itself are the shared ones."""
    columns = shared.columns() | {"ssh_address": ""}
    if access is not None:
        columns |= _own_columns(by, cluster, host.name, access)
    node = ClusterNode(cluster=cluster, position=position, **columns)
    _fill(node, host)
    _check(node)
    node.save(force_insert=True)
    audit.record(by=by, action="host.add", row=node, tenant=cluster.tenant, after=audit.snapshot(node))
    return node


@transaction.atomic
def change_host(
    *, by: Actor, node: ClusterNode, host: Host | None = None, access: Access | None = None, seen: str = ""
) -> ClusterNode:
    """Give a host other parts, addresses or a way to sign in; the name of an installed one stays.

    `seen` is the revision that was edited (accounts.revisions): Changed where it is another one by now.
    """
    node.refresh_from_db(from_queryset=ClusterNode.objects.select_for_update())
    check_seen(seen, editable.of_host(node), node, tenant=node.tenant)
    before = audit.snapshot(node)
    if host is not None:
        _refuse_another_life(node, host)
        _fill(node, host)
    if access is not None:
        for field, value in _own_columns(by, node.cluster, node.name, access).items():
            setattr(node, field, value)
    _check(node)
    node.save()
    after = audit.snapshot(node)
    if before != after:
        audit.record(by=by, action="host.change", row=node, tenant=node.tenant, before=before, after=after)
    return node


@transaction.atomic
def remove_host(*, by: Actor, node: ClusterNode, is_forced: bool = False) -> None:
    """Take a host out of the description; what is installed has to be taken out of the cluster first."""
    cluster = node.cluster
    if node.state != ClusterNode.State.PLANNED and not is_forced:
        raise Conflict(
            f"{node.name} is installed and has its share in {cluster.name}. Plan its removal, which moves its work first "
            "and says what to do where the machine is lost."
        )
    audit.record(by=by, action="host.remove", row=node, tenant=cluster.tenant, before=audit.snapshot(node))
    node.delete()
    cluster_secrets.drop_unused(by=by, tenant=cluster.tenant, cluster_name=cluster.name)


def begin_joining(cluster: Cluster) -> None:
    """An install begins: who is described alone is being added from now on, and rendered for all others."""
    for node in cluster.nodes.filter(state=ClusterNode.State.PLANNED):
        node.move(ClusterNode.State.JOINING, only_from=ClusterNode.State.PLANNED)


def begin_leaving(node: ClusterNode) -> None:
    """A removal begins: nothing is rendered for it any more."""
    node.move(
        ClusterNode.State.LEAVING,
        only_from=[ClusterNode.State.JOINING, ClusterNode.State.INSTALLED, ClusterNode.State.LEAVING],
    )


@transaction.atomic
def forget_host(*, node: ClusterNode) -> None:
    """For operations: the row of a host that has left, and what was stored for it alone."""
    cluster = node.cluster
    audit.record(by=SYSTEM, action="host.remove", row=node, tenant=cluster.tenant, before=audit.snapshot(node))
    node.delete()
    cluster_secrets.drop_unused(by=SYSTEM, tenant=cluster.tenant, cluster_name=cluster.name)


def record_offered_key(*, node: ClusterNode, public_key: str) -> HostKey:
    """Keep a key that the host showed; it counts for nothing until a person trusts it."""
    key_type, fingerprint = read_public_key(public_key)
    key, is_new = HostKey.objects.get_or_create(
        node=node,
        fingerprint=fingerprint,
        defaults={"key_type": key_type, "public_key": " ".join(public_key.split()[:2])},
    )
    if not is_new:
        HostKey.objects.filter(pk=key.pk).update(seen_at=timezone.now())
    return key


@transaction.atomic
def trust_host_key(*, by: Actor, node: ClusterNode, fingerprint: str = "", public_key: str = "") -> HostKey:
    """Trust a key that the host showed, by its fingerprint, or one that is known from elsewhere, as a whole; it replaces
    the one that was trusted."""
    if public_key:
        fingerprint = record_offered_key(node=node, public_key=public_key).fingerprint
    key = node.host_keys.filter(fingerprint=fingerprint).first()
    if key is None:
        shown = ", ".join(node.host_keys.values_list("fingerprint", flat=True)) or "none yet"
        raise ValidationError(
            {
                "fingerprint": f"{node.name} has not shown a key {fingerprint or 'at all'} (seen: {shown}). "
                "Compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there."
            }
        )
    before = ""
    for trusted in node.host_keys.filter(state=HostKey.State.TRUSTED).exclude(pk=key.pk):
        before = trusted.fingerprint
        trusted.move(HostKey.State.RETIRED, only_from=HostKey.State.TRUSTED)
    if key.state != HostKey.State.TRUSTED:
        key.move(
            HostKey.State.TRUSTED,
            only_from=[HostKey.State.OFFERED, HostKey.State.RETIRED],
            trusted_at=timezone.now(),
            trusted_by=by.user,
        )
        audit.record(
            by=by, action="host.trust_key", row=node, tenant=node.tenant,
            before={"fingerprint": before}, after={"fingerprint": key.fingerprint},
        )  # fmt: skip
    return key


def read_public_key(text: str) -> tuple[str, str]:
    """(type, "SHA256:..." as ssh-keygen prints it) of a line of known_hosts or of a .pub file, without a host before it."""
    try:
        return text.split()[0], fingerprint_of(text)
    except (ValueError, IndexError):
        raise ValidationError(
            {"public_key": "This is no public key of a host. Paste its line from /etc/ssh/ssh_host_ed25519_key.pub."}
        ) from None


def _refuse_another_life(node: ClusterNode, host: Host) -> None:
    """Members know a host by name and address, and no step takes a part away from one that serves."""
    if node.state == ClusterNode.State.PLANNED:
        return
    if host.name != node.name:
        raise Conflict(f"{node.name} is installed: its certificates and members have that name. Add a host instead.")
    if node.state == ClusterNode.State.JOINING:
        return
    present = node.host()
    if as_usual(host.private_address) != present.private_address:
        raise Conflict(
            f"{node.name} is installed: the others know it by {present.private_address}. Remove it, then add it with the other address."
        )
    if host.parts != present.parts:
        raise Conflict(
            f"{node.name} is installed: its parts stay. Add a host with the parts that you want, then remove this one."
        )


def _own_columns(by: Actor, cluster: Cluster, name: str, access: Access) -> dict[str, object]:
    """What the host's own words say; a credential in them replaces the shared one as a whole."""
    stored = store_access(by=by, tenant=cluster.tenant, cluster_name=cluster.name, prefix=name, access=access).columns()
    return stored if access.has_credential else {name: stored[name] for name in ("ssh_user", "ssh_address")}


def _shared_of(cluster: Cluster) -> StoredAccess:
    first = cluster.nodes.select_related("private_key", "password", "sudo_password").first()
    if first is None:
        return StoredAccess("root", "")
    return StoredAccess(first.ssh_user, "", first.private_key, first.password, first.sudo_password)


def _fill(node: ClusterNode, host: Host) -> None:
    node.name = host.name
    node.private_address = as_usual(host.private_address)
    node.public_address = as_usual(host.public_address) or None
    node.parts = sorted(str(part) for part in host.parts)
    node.networks = {network: as_usual(address) for network, address in host.networks.items()}
    node.ssh_port = host.ssh_port
    node.machine = host.machine.strip()


def _check(node: ClusterNode) -> None:
    """What a row may hold at all; ValidationError by field."""
    faults: dict[str, str] = {}
    if not is_label(node.name):
        faults["name"] = f"{node.name!r} is no host name. Use lower-case letters, digits and hyphens, such as db-1."
    addresses = {"private_address": node.private_address, "public_address": node.public_address or "", **node.networks}
    for field, address in addresses.items():
        if not is_address(address) and (address or field != "public_address"):
            faults[field if field.endswith("_address") else "networks"] = (
                f"{node.name}: {address!r} is no address. Write an IPv4 or IPv6 address, such as 10.0.0.11."
            )
    if {DEFAULT_NETWORK, EXTERNAL_NETWORK} & set(node.networks):
        faults["networks"] = "The networks default and external are the private and the public address. Change those."
    if not 1 <= node.ssh_port <= 65535:
        faults["ssh_port"] = f"There is no port {node.ssh_port}. Use 1 to 65535."
    if faults:
        raise ValidationError(faults)
    taken = ClusterNode.objects.filter(cluster=node.cluster, name=node.name).exclude(pk=node.pk)
    if taken.exists():
        raise Conflict(f"{node.cluster.name} has a host {node.name} already. Choose another name.")


def _refuse_while_at_work(cluster: Cluster) -> None:
    if cluster.state == Cluster.State.REMOVING:
        raise Conflict(f"Cluster {cluster.name} is being removed. Wait for its end.")
