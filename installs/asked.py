"""Which work is asked for on a cluster: its title, its plan as a pure function of the rows, and how it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.core.exceptions import ValidationError

from installs import plans
from installs.models import ClusterRun
from installs.removal_plan import removal_stages
from inventory.layout import Layout
from inventory.models import Cluster, ClusterNode
from runs.plans import Stage

Kind = ClusterRun.Kind
KINDS = (Kind.INSTALL, Kind.VERIFY, Kind.UNINSTALL, Kind.REMOVE_HOST)
SERVING = (Cluster.State.READY, Cluster.State.DEGRADED)
LONGEST_HOST = 63


@dataclass(frozen=True)
class Asked:
    """One kind of work; a removal names its host, and whether that is lost: then nothing is asked of it."""

    kind: str
    host: str = ""
    is_lost: bool = False
    is_exposed: bool = False  # an install that ends with the cluster as an environment

    def require(self, cluster: Cluster) -> None:
        """ValidationError where there is no such work."""
        if self.kind not in KINDS:
            raise ValidationError({"kind": f"Choose one of: {', '.join(str(each) for each in KINDS)}."})
        if self.kind != Kind.REMOVE_HOST:
            if self.host or self.is_lost:
                raise ValidationError({"host": "Only the removal of a host names one. Leave it out."})
            return
        node = next((node for node in cluster.nodes.all() if node.name == self.host), None)
        if node is None:
            raise ValidationError(
                {"host": f"{cluster.name} has no host {self.host or 'of that name'}. Name one of its hosts."}
            )
        if node.state == ClusterNode.State.PLANNED:
            raise ValidationError(
                {"host": f"Nothing is installed on {self.host}: take it out of the description instead."}
            )

    def title(self, cluster: Cluster) -> str:
        """What the plan and its run are called."""
        if self.kind == Kind.REMOVE_HOST:
            return f"Remove {self.host}{', which is lost,' if self.is_lost else ''} from {cluster.name}"
        if self.kind == Kind.INSTALL and (joining := joining_of(cluster)):
            return f"Add {', '.join(joining)} to {cluster.name}"
        return f"{Kind(self.kind).label} {cluster.name}"

    def stages(self, cluster: Cluster) -> list[Stage]:
        """The plan itself."""
        if self.kind == Kind.UNINSTALL:
            return plans.remove_stages(cluster.pk, whole(cluster))
        if self.kind == Kind.VERIFY:
            return plans.verify_stages(cluster.pk, cluster.layout_at_work())
        if self.kind == Kind.REMOVE_HOST:
            leaving = whole(cluster).host(self.host)
            return removal_stages(cluster.pk, self.rest(cluster), leaving, is_lost=self.is_lost)
        return plans.install_stages(
            cluster.pk,
            cluster.layout(),
            is_rolling=serves(cluster),
            joining=joining_of(cluster),
            is_exposed=self.is_exposed,
        )

    def rest(self, cluster: Cluster) -> Layout:
        """What is rendered while the host leaves, and afterwards."""
        layout = cluster.layout_at_work()
        return replace(layout, hosts=tuple(host for host in layout.hosts if host.name != self.host))

    def kept_as(self, cluster: Cluster) -> dict[str, str]:
        """Kind and host of its ClusterRun."""
        if self.kind == Kind.INSTALL and (joining := joining_of(cluster)):
            return {"kind": str(Kind.ADD_HOST), "host": ", ".join(joining)[:LONGEST_HOST]}
        return {"kind": str(self.kind), "host": self.host}


def serves(cluster: Cluster) -> bool:
    """It is at work for others: what votes or serves in it is taken one after another."""
    return cluster.state in SERVING


def joining_of(cluster: Cluster) -> Sequence[str]:
    """Hosts that the members of a serving cluster are to let in; none where nobody is a member yet."""
    nodes = list(cluster.nodes.all())
    if not serves(cluster) or not any(node.state == ClusterNode.State.INSTALLED for node in nodes):
        return ()
    waiting = (ClusterNode.State.PLANNED, ClusterNode.State.JOINING)
    return tuple(node.name for node in nodes if node.state in waiting)


def whole(cluster: Cluster) -> Layout:
    """With every host that there is a row of, those that leave among them."""
    return replace(cluster.layout(), hosts=tuple(node.host() for node in cluster.nodes.all()))
