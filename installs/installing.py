"""Work on clusters: planned as a person will see it, started by the digest of that plan, followed as a run of the engine."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from installs.asked import Asked, Kind
from installs.bundle.manifest import BundleError, find_bundle, place_of
from installs.bundle.product import version_of
from installs.certificates import ensure_certificates
from installs.findings import Finding, error, errors_of, refuse
from installs.models import ClusterRun
from installs.removal_findings import removal_findings
from installs.services import cluster_findings
from installs.topology import findings as topology_findings
from installs.wanted import invent_secrets
from inventory import cluster_hosts
from inventory.models import Cluster, ClusterNode
from runs import engine
from runs.models import Run, Step
from runs.plans import Stage, digest_of, store_plan
from runs.states import ACTIVE_RUN_STATES, RunState, StepState

State = Cluster.State
AT_WORK = [*ACTIVE_RUN_STATES, RunState.HELD]
PAST_STEPS = 200  # from which estimates are made


@dataclass(frozen=True)
class Planned:
    """A plan as it is shown: `digest` starts it.

    `seconds`: what it took in the past, None where nothing is known; `unknown`: how many of its steps are not in that figure.
    """

    kind: str
    title: str
    digest: str
    stages: Sequence[Stage]
    seconds: float | None
    findings: Sequence[Finding]
    unknown: int = 0
    host: str = ""  # of a removal
    is_lost: bool = False

    @property
    def steps(self) -> int:
        return sum(len(lane["operations"]) for stage in self.stages for lane in stage["lanes"])


@transaction.atomic
def plan_work(
    *, by: Actor, cluster: Cluster, kind: str, host: str = "", is_lost: bool = False, is_exposed: bool = False
) -> Planned:
    """What would be done, in order. Touches no host. An install invents what is missing of secrets and certificates first."""
    Asked(kind, host, is_lost).require(cluster)
    if kind == Kind.INSTALL:
        prepare(by=by, cluster=cluster)
    return read_plan(cluster, kind, host, is_lost, is_exposed=is_exposed)


def read_plan(
    cluster: Cluster, kind: str, host: str = "", is_lost: bool = False, *, is_exposed: bool = False
) -> Planned:
    """The same as it stands; writes nothing."""
    asked = Asked(kind, host, is_lost, is_exposed)
    asked.require(cluster)
    title, stages = asked.title(cluster), asked.stages(cluster)
    seconds, unknown = estimate(stages, is_check=kind == Kind.VERIFY)
    found = findings_for(cluster, kind, host, is_lost)
    return Planned(kind, title, digest_of(title, stages), stages, seconds, found, unknown, host, is_lost)


def prepare(*, by: Actor, cluster: Cluster) -> None:
    """Make what is missing of secrets and certificates, where the layout is right; a certificate that names too little is made anew."""
    if not errors_of(topology_findings(cluster.layout())):
        invent_secrets(by=by, cluster=cluster)
        ensure_certificates(by=by, cluster=cluster)


def findings_for(cluster: Cluster, kind: str, host: str = "", is_lost: bool = False) -> list[Finding]:
    """What keeps this work from being begun, or should be known before."""
    asked = Asked(kind, host, is_lost)
    found = list(cluster_findings(cluster)) if kind == Kind.INSTALL else []
    if kind == Kind.REMOVE_HOST:
        found += removal_findings(cluster, asked)
    for node in _touched(cluster, asked):
        if node.trusted_key() is None:
            found.append(
                error(
                    "host_key",
                    f"The host key of {node.name} is not trusted yet.",
                    "Look at its key, compare the fingerprint at the host, then trust it.",
                    host=node.name,
                )
            )
        if node.private_key_id is None and node.password_id is None:
            found.append(
                error(
                    "credential", f"{node.name} has no credential.", "Give a private key or a password.", host=node.name
                )
            )
    return [*found, *_bundle_findings(cluster.release)] if kind == Kind.INSTALL else found


def _touched(cluster: Cluster, asked: Asked) -> list[ClusterNode]:
    """The hosts that this work signs in to."""
    nodes = list(cluster.nodes.all())
    if asked.kind == Kind.UNINSTALL:
        return nodes
    if asked.kind == Kind.INSTALL:
        return [node for node in nodes if node.state != ClusterNode.State.LEAVING]
    names = {host.name for host in cluster.layout_at_work().hosts}
    names = names - {asked.host} if asked.is_lost else names | {asked.host}
    return [node for node in nodes if node.name in names]


def _bundle_findings(release: str) -> list[Finding]:
    place = place_of(release)
    remedy = (
        f"Run `manage.py bundle --release {release}` here, or on a connected machine with --out and copy the folder to "
        f"{place.parent.name}/{place.name} in DATA_DIR."
    )
    try:
        bundle = find_bundle(release)
    except BundleError as damage:
        return [error("bundle", f"The bundle of packages for {release} cannot be used.", damage.message)]
    if bundle is None:
        return [error("bundle", f"There is no bundle of packages for {release}.", remedy)]
    if bundle.version != version_of(settings.BASE_DIR):
        return [
            error("bundle", f"The bundle for {release} holds another version of DeployOn than this portal.", remedy)
        ]
    return []


@transaction.atomic
def start_work(
    *,
    by: Actor,
    cluster: Cluster,
    kind: str,
    digest: str,
    key: str = "",
    host: str = "",
    is_lost: bool = False,
    is_exposed: bool = False,
) -> ClusterRun:
    """Begin what was planned. Conflict where the plan is another by now, or other work on the cluster has not ended.

    The same `key` again gives what it started, and starts nothing.
    """
    asked = Asked(kind, host, is_lost, is_exposed)
    Cluster.objects.select_for_update().get(pk=cluster.pk)
    if key and (known := ClusterRun.objects.filter(cluster=cluster, key=key).select_related("run").first()):
        return known
    asked.require(cluster)
    if kind == Kind.INSTALL:
        prepare(by=by, cluster=cluster)
    refuse(findings_for(cluster, kind, host, is_lost))
    title, stages = asked.title(cluster), asked.stages(cluster)
    if digest_of(title, stages) != digest:
        raise Conflict("The plan has changed since it was shown: look at it again, then start it.")
    if at_work := active_run(cluster):
        raise Conflict(f"{at_work.run.title} has not ended (run R-{at_work.run_id}). Wait for it, or cancel it first.")
    run = engine.start_run(
        plan=store_plan(title, stages),
        digest=digest,
        title=title,
        tenant=cluster.tenant,
        started_by=by.user,
        mode=Run.Mode.CHECK if kind == Kind.VERIFY else Run.Mode.APPLY,
        lock=f"cluster:{cluster.pk}",
    )
    started = ClusterRun.objects.create(cluster=cluster, run=run, key=key, **asked.kept_as(cluster))
    _begin(cluster, asked)
    after = {"run": run.pk, "plan": digest} | ({"host": host, "is_lost": is_lost} if host else {})
    audit.record(by=by, action=f"cluster.{kind}", row=cluster, tenant=cluster.tenant, after=after)
    return started


def _begin(cluster: Cluster, asked: Asked) -> None:
    """The rows say that it is under way; what serves goes on serving while it is brought to its description."""
    if asked.kind == Kind.UNINSTALL:
        cluster.move(State.REMOVING, only_from=list(State.values), why="")
    elif asked.kind == Kind.INSTALL:
        cluster.move(State.INSTALLING, only_from=[State.PLANNED, State.FAILED, State.REMOVING], why="")
        cluster_hosts.begin_joining(cluster)
    elif asked.kind == Kind.REMOVE_HOST:
        cluster_hosts.begin_leaving(cluster.nodes.get(name=asked.host))


def active_run(cluster: Cluster) -> ClusterRun | None:
    """Work on it that has not ended; a preflight changes nothing and is in nobody's way."""
    rows = ClusterRun.objects.filter(cluster=cluster).exclude(kind=Kind.PREFLIGHT)
    return rows.filter(run__state__in=AT_WORK).select_related("run").first()


def estimate(stages: Sequence[Stage], *, is_check: bool = False) -> tuple[float | None, int]:
    """(seconds that the whole would take, how many of its steps are unknown and left out); (None, all) where none is known.

    The slowest lane of each stage, by the median of past steps of each kind.
    """
    keys = [each["key"] for stage in stages for lane in stage["lanes"] for each in lane["operations"]]
    known = _past_seconds(set(keys), is_check)
    unknown = sum(key not in known for key in keys)
    if not known:
        return None, unknown
    lanes = [
        [sum(known.get(each["key"], 0.0) for each in lane["operations"]) for lane in stage["lanes"]] for stage in stages
    ]
    return sum(max(times, default=0.0) for times in lanes), unknown


def _past_seconds(keys: set[str], is_check: bool) -> dict[str, float]:
    """Of steps that did their work, or only looked and found it done."""
    mode, state = (Run.Mode.CHECK, StepState.SKIPPED) if is_check else (Run.Mode.APPLY, StepState.SUCCEEDED)
    taken: dict[str, list[float]] = {}
    rows: Any = (
        Step.objects.filter(
            operation__in=keys, state=state, run__mode=mode, started_at__isnull=False, ended_at__isnull=False
        )
        .order_by("-pk")
        .values_list("operation", "started_at", "ended_at")[:PAST_STEPS]
    )
    for key, started_at, ended_at in rows:
        taken.setdefault(key, []).append((ended_at - started_at).total_seconds())
    return {key: statistics.median(seconds) for key, seconds in taken.items()}
