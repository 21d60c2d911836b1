"""Rows of clusters: what is wanted, its hosts and how to reach them, the host keys that are trusted, and its secrets."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from accounts.models import Secret, Tenant
from inventory.layout import Balancing, External, Host, Layout, Part
from inventory.querysets import ClusterQuerySet
from runs.states import StateRow


class Cluster(StateRow):
    """A highly available manager cluster as it is wanted; its hosts are rows of their own."""

    class State(models.TextChoices):
        PLANNED = "planned", "Not built"
        INSTALLING = "installing", "Being built"
        READY = "ready", "Ready"
        DEGRADED = "degraded", "Degraded"
        FAILED = "failed", "Failed"
        REMOVING = "removing", "Being removed"

    class Release(models.TextChoices):
        TRIXIE = "trixie", "Debian 13"
        BOOKWORM = "bookworm", "Debian 12"

    class Failover(models.TextChoices):
        FAST = "fast", "Fast: 20/5/5 s"
        CALM = "calm", "Calm: 30/10/10 s"

    class Balancing(models.TextChoices):
        OURS = str(Balancing.OURS), "HAProxy, installed here"
        THEIRS = str(Balancing.THEIRS), "Your own balancer"
        NONE = str(Balancing.NONE), "None: a single manager"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="clusters")
    name = models.CharField(max_length=63)  # a host name label
    site = models.ForeignKey(
        "inventory.Site", null=True, blank=True, on_delete=models.SET_NULL, related_name="clusters"
    )
    description = models.TextField(blank=True)
    release = models.CharField(max_length=16, choices=Release, default=Release.TRIXIE)
    balancing = models.CharField(max_length=8, choices=Balancing, default=Balancing.OURS)
    entrance = models.CharField(max_length=253, blank=True)  # name or address; the virtual address of two balancers
    failover = models.CharField(max_length=8, choices=Failover, default=Failover.FAST)
    is_strict = models.BooleanField(default=False)  # rather no writes than a lost one
    # {"addresses": [...], "port", "ca_bundle", "management_port", "user_suffix"}; empty: a part of the cluster
    external_database = models.JSONField(default=dict, blank=True)
    external_queue = models.JSONField(default=dict, blank=True)
    service_settings = models.JSONField(default=dict, blank=True)  # {"ENDPOINT_NETWORKS": "10.9.0.0/16"}
    state = models.CharField(max_length=12, choices=State, default=State.PLANNED, editable=False)
    why = models.CharField(max_length=512, blank=True, editable=False)
    state_since = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ClusterQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="cluster_name_per_tenant")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_built(self) -> bool:
        """Something of it may stand on its hosts."""
        return self.state != self.State.PLANNED

    def layout(self) -> Layout:
        """What is wanted as plain values, hosts in their order; one query, none where `nodes` was prefetched."""
        return self._layout_of([node for node in self.nodes.all() if node.state != ClusterNode.State.LEAVING])

    def layout_at_work(self, including: str = "") -> Layout:
        """What is rendered: members and those being added. Not who is described alone, nor who leaves, except `including`.

        Before anything was begun: all that is wanted.
        """
        nodes = list(self.nodes.all())
        at_work = [node for node in nodes if node.is_at_work]
        chosen = at_work or [node for node in nodes if node.state != ClusterNode.State.LEAVING]
        return self._layout_of([node for node in nodes if node in chosen or node.name == including])

    def _layout_of(self, nodes: list[ClusterNode]) -> Layout:
        return Layout(
            name=self.name,
            hosts=tuple(node.host() for node in nodes),
            balancing=Balancing(self.balancing),
            entrance=self.entrance,
            release=self.release,
            external_database=_external(self.external_database),
            external_queue=_external(self.external_queue),
            failover=self.failover,
            is_strict=self.is_strict,
            service_settings=dict(self.service_settings),
        )


class ClusterNode(StateRow):
    """One host of a cluster: its parts, its addresses, and how it is reached by SSH."""

    class State(models.TextChoices):
        PLANNED = "planned", "Not installed"  # described, nothing is on it
        JOINING = "joining", "Being added"  # an install of it was begun and has not come to its end
        INSTALLED = "installed", "Installed"  # a member
        LEAVING = "leaving", "Being removed"  # a removal was begun: nothing is rendered for it any more

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="nodes")
    position = models.PositiveIntegerField()  # the first of each part begins
    name = models.CharField(max_length=63)  # its short host name
    private_address = models.GenericIPAddressField()
    public_address = models.GenericIPAddressField(null=True, blank=True)  # none: the same as the private one
    parts = models.JSONField(default=list)  # values of inventory.layout.Part
    networks = models.JSONField(default=dict, blank=True)  # further networks: name -> its address there
    machine = models.CharField(max_length=128, blank=True)  # the physical machine below, where known
    ssh_address = models.CharField(max_length=253, blank=True)  # empty: the address for users
    ssh_port = models.PositiveIntegerField(default=22, validators=[MinValueValidator(1), MaxValueValidator(65535)])
    ssh_user = models.CharField(max_length=64, default="root")
    private_key = models.ForeignKey(Secret, null=True, blank=True, on_delete=models.PROTECT, related_name="opens_hosts")
    password = models.ForeignKey(
        Secret, null=True, blank=True, on_delete=models.PROTECT, related_name="signs_in_at_hosts"
    )
    # Of that user, where sudo asks for it; none: sudo asks for nothing, or the user is root.
    sudo_password = models.ForeignKey(
        Secret, null=True, blank=True, on_delete=models.PROTECT, related_name="becomes_root_at_hosts"
    )
    state = models.CharField(max_length=12, choices=State, default=State.PLANNED, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "name"], name="host_name_per_cluster")]
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def tenant(self) -> Tenant:
        return self.cluster.tenant

    @property
    def reach_address(self) -> str:
        """Where SSH goes."""
        return self.ssh_address or self.public_address or self.private_address

    @property
    def is_at_work(self) -> bool:
        """A member, or about to be one."""
        return self.state in (self.State.JOINING, self.State.INSTALLED)

    def host(self) -> Host:
        """The same as plain values."""
        return Host(
            name=self.name,
            private_address=self.private_address,
            public_address=self.public_address or "",
            parts=frozenset(Part(part) for part in self.parts),
            networks=dict(self.networks),
            ssh_port=self.ssh_port,
            machine=self.machine,
        )

    def trusted_key(self) -> HostKey | None:
        """The key by which the host proves that it is the one meant; None: nobody has confirmed one yet."""
        return next((key for key in self.host_keys.all() if key.state == HostKey.State.TRUSTED), None)


class HostKey(StateRow):
    """A public key that a host showed, and what a person made of it."""

    class State(models.TextChoices):
        OFFERED = "offered", "Offered"  # seen, not confirmed
        TRUSTED = "trusted", "Trusted"
        RETIRED = "retired", "Replaced"  # was trusted until another was

    node = models.ForeignKey(ClusterNode, on_delete=models.CASCADE, related_name="host_keys")
    key_type = models.CharField(max_length=64)  # ssh-ed25519, ...
    public_key = models.TextField()  # "<type> <base64>", as in known_hosts
    fingerprint = models.CharField(max_length=64)  # "SHA256:..." as ssh-keygen prints it
    state = models.CharField(max_length=8, choices=State, default=State.OFFERED)
    seen_at = models.DateTimeField(default=timezone.now)
    trusted_at = models.DateTimeField(null=True, blank=True)
    trusted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["node", "fingerprint"], name="host_key_once_per_host"),
            models.UniqueConstraint(
                fields=["node"], condition=models.Q(state="trusted"), name="one_trusted_key_per_host"
            ),
        ]
        ordering = ["-seen_at"]

    def __str__(self) -> str:
        return f"{self.key_type} {self.fingerprint}"

    @property
    def tenant(self) -> Tenant:
        return self.node.cluster.tenant


class ClusterSecret(models.Model):
    """One of the passwords and keys that a cluster works with, by what it is for ("postgres", "erlang_cookie", ...)."""

    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, related_name="cluster_secrets")
    purpose = models.CharField(max_length=64)
    secret = models.ForeignKey(Secret, on_delete=models.PROTECT, related_name="used_by_clusters")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "purpose"], name="secret_once_per_cluster")]
        ordering = ["purpose"]

    def __str__(self) -> str:
        return f"{self.purpose} of {self.cluster}"

    @property
    def tenant(self) -> Tenant:
        return self.cluster.tenant


def _external(stored: dict[str, Any]) -> External | None:
    return External(**{**stored, "addresses": tuple(stored["addresses"])}) if stored else None
