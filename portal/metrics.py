"""/metrics: the installation's figures and those of its clusters, in the text format of Prometheus. Rows only; nobody is asked."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Count, Min, Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.permissions import needs
from deployon.models import Rollout, Target
from installs.bundle.product import version_of
from installs.health.shown import verdict_of
from installs.models import Certificate, Checkup
from inventory.health.values import Health
from inventory.models import Cluster, Environment
from orchestration.models import Execution
from runs.models import Lease, Run, Step
from runs.states import StepState
from runs.sweeper import LEASE_SECONDS
from runs.workers import living

NEEDED = "installation.manage"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Figure:
    """One metric with its values."""

    name: str
    help: str
    values: Sequence[tuple[Labels, float]]


@require_GET
def metrics(request: HttpRequest) -> HttpResponseBase:
    """For a Prometheus by the token of METRICS_TOKEN_FILE, for system administrators by signing in."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        reply: HttpResponseBase = for_people(request)
        return reply
    token = token_of_settings()
    if not token or not hmac.compare_digest(given.strip().encode(), token.encode()):
        refused = HttpResponse(
            "This token does not open /metrics. METRICS_TOKEN_FILE names the file with the one that does.\n", status=401
        )
        refused["WWW-Authenticate"] = "Bearer"
        return refused
    return HttpResponse(text_of(figures()), content_type=CONTENT_TYPE)


metrics.needs = {"*": NEEDED}  # type: ignore[attr-defined]


@needs(NEEDED)
def for_people(request: HttpRequest) -> HttpResponse:
    return HttpResponse(text_of(figures()), content_type=CONTENT_TYPE)


def token_of_settings() -> str:
    """Read anew each time, so that it can be changed without a restart; "" where there is none."""
    try:
        return Path(settings.METRICS_TOKEN_FILE).read_text().strip() if settings.METRICS_TOKEN_FILE else ""
    except OSError:
        return ""


def text_of(found: Iterable[Figure]) -> str:
    """The text format 0.0.4; all of them are gauges."""
    lines = []
    for figure in found:
        lines += [f"# HELP {figure.name} {figure.help}", f"# TYPE {figure.name} gauge"]
        for labels, value in figure.values:
            told = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            lines.append(f"{figure.name}{{{told}}} {value:.12g}" if told else f"{figure.name} {value:.12g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return str(text).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def figures() -> Iterator[Figure]:
    """Everything; the number of queries does not grow with the rows."""
    yield Figure("deployon_build_info", "The version that runs", [({"version": version()}, 1)])
    yield _by_state("deployon_runs", "Runs of the engine by state", Run, "state", Run._meta.get_field("state").choices)
    yield from _queue()
    yield _by_state("deployon_environments", "Environments by state", Environment, "state", Environment.State.choices)
    yield _by_state("deployon_rollouts", "Rollouts by the state of their run", Rollout, "run__state", ())
    yield _by_state("deployon_targets", "Environments in rollouts, by the state of their run", Target, "run__state", ())
    yield _by_state("deployon_executions", "Executions by state", Execution, "state", Execution.State.choices)
    yield from _clusters()


@cache
def version() -> str:
    return version_of(settings.BASE_DIR)


def _by_state(name: str, text: str, model: Any, field: str, choices: Iterable[Any] | None) -> Figure:
    """How many rows in each state; states that do not occur are 0 where they are known."""
    counts = dict.fromkeys((str(value) for value, _ in choices or ()), 0)
    rows = model.objects.order_by().values_list(field).annotate(Count("pk"))
    counts |= {str(state): count for state, count in rows if state is not None}
    return Figure(name, text, [({"state": state}, count) for state, count in counts.items()])


def _queue() -> Iterator[Figure]:
    now = timezone.now()
    open_ones = Step.objects.filter(state__in=[StepState.PENDING, StepState.WAITING, StepState.RUNNING])
    is_due = Q(next_look_at__lte=now) & ~Q(state=StepState.RUNNING)
    told = open_ones.aggregate(
        due=Count("pk", filter=is_due),
        waiting=Count("pk", filter=Q(state=StepState.WAITING)),
        running=Count("pk", filter=Q(state=StepState.RUNNING)),
        oldest=Min("next_look_at", filter=is_due),
    )
    yield Figure(
        "deployon_steps",
        "Steps that have not ended: at work, waiting for something, and due for a worker",
        [({"state": state}, told[state]) for state in ("running", "waiting", "due")],
    )
    late = (now - told["oldest"]).total_seconds() if told["oldest"] else 0
    yield Figure("deployon_oldest_due_seconds", "How long the oldest step that is due has waited", [({}, late)])
    yield Figure("deployon_workers", "Worker processes whose heartbeat is fresh", [({}, len(living()))])
    until = Lease.objects.filter(name="sweeper").values_list("until", flat=True).first()
    age: list[tuple[Labels, float]] = [({}, max(0.0, (now - until).total_seconds() + LEASE_SECONDS))] if until else []
    yield Figure("deployon_sweeper_age_seconds", "Since a process last said that it hands on what is due", age)


def _clusters() -> Iterator[Figure]:
    clusters = list(Cluster.objects.select_related("tenant").order_by("tenant__name", "name"))
    rows = {row.cluster_id: row for row in Checkup.objects.filter(cluster__in=clusters)}
    names = {cluster.pk: {"tenant": cluster.tenant.name, "cluster": cluster.name} for cluster in clusters}
    yield Figure(
        "deployon_cluster_state",
        "1 for the state that each cluster has",
        [(names[cluster.pk] | {"state": cluster.state}, 1) for cluster in clusters],
    )
    seen = [(names[pk], row) for pk, row in rows.items()]
    yield Figure(
        "deployon_cluster_health",
        "1 for what was last seen of each cluster; unknown after a minute without a look",
        [(labels | {"verdict": state}, float(verdict_of(row) == state)) for labels, row in seen for state in Health],
    )
    yield Figure(
        "deployon_cluster_look_timestamp_seconds",
        "When it was last looked at",
        [(labels, row.looked_at.timestamp()) for labels, row in seen],
    )
    for key, text in (
        ("working", "Hosts on which the part works"),
        ("total", "Hosts that have the part"),
        ("needed", "Hosts on which it must work"),
    ):
        yield Figure(
            f"deployon_cluster_part_{key}",
            text,
            [
                (labels | {"part": group["part"]}, group[key])
                for labels, row in seen
                for group in row.told.get("groups", [])
                if not group["is_external"]
            ],
        )
    yield from _hosts([(labels, host) for labels, row in seen for host in row.told.get("hosts", [])])
    ends = Certificate.objects.filter(state=Certificate.State.CURRENT, not_after__isnull=False, cluster__in=clusters)
    yield Figure(
        "deployon_certificate_expiry_timestamp_seconds",
        "When a certificate in use ends",
        [
            (names[cluster] | {"kind": kind, "owner": owner}, not_after.timestamp())
            for cluster, kind, owner, not_after in ends.order_by("pk").values_list(
                "cluster", "kind", "owner", "not_after"
            )
            if not_after
        ],
    )


def _hosts(hosts: list[tuple[Labels, dict[str, Any]]]) -> Iterator[Figure]:
    named = [({**labels, "host": host["name"]}, host) for labels, host in hosts]
    yield Figure(
        "deployon_cluster_host_known",
        "Does any Prometheus tell of the host?",
        [(labels, float(bool(host["seen_by"]))) for labels, host in named],
    )
    parts = [({**labels, "part": part["part"]}, part) for labels, host in named for part in host["parts"]]
    yield Figure(
        "deployon_cluster_part_healthy",
        "1 where the part of the host is healthy; nothing where nobody knows",
        [(labels, float(part["state"] == Health.HEALTHY)) for labels, part in parts if part["state"] != Health.UNKNOWN],
    )
    for unit in ("bytes", "seconds"):
        yield Figure(
            f"deployon_cluster_replication_lag_{unit}",
            "How far a replica of the database is behind",
            [
                ({name: text for name, text in labels.items() if name != "part"}, part[f"lag_{unit}"])
                for labels, part in parts
                if part[f"lag_{unit}"] is not None
            ],
        )
