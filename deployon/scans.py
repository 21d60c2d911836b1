"""Looks at what sub-managers list, side by side and within limits, and keeps it: nothing is changed there."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import F, Q

from deployon import drift
from deployon.models import Placement, Scan
from inventory.connections import client_for
from inventory.connectors.errors import ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.resources import Deployment as Remote
from inventory.driver.deployments import judge_situation
from inventory.driver.order import ENVIRONMENT, SERVICE
from inventory.label_rules import PARENT_KEY, TYPE_KEY
from inventory.models import Environment
from runs import clock

TASK = "deployon.scan_environments"
SECONDS = 60.0  # between two turns of the chore
PER_TURN = 200
AT_ONCE = 16
MOST = 1000  # environments that a person may ask for at once


@dataclasses.dataclass(frozen=True)
class Seen:
    """A deployment as a sub-manager listed it; `service` and `owner` are our labels, `owner` the id of an environment."""

    id: str
    name: str
    blueprint: str
    situation: str
    service: str = ""
    owner: str = ""
    parent: str = ""
    kind: str = ""

    @classmethod
    def read(cls, row: Remote) -> Seen:
        return cls(
            row.id,
            row.display_name or row.id,
            row.blueprint_id,
            str(judge_situation(row)),
            row.label(SERVICE),
            row.label(ENVIRONMENT),
            row.label(PARENT_KEY),
            row.label(TYPE_KEY),
        )


def scan(environments: Sequence[Environment]) -> list[Scan]:
    """Ask each of them now and keep what it says; of one that cannot be asked what was seen before stays, beside why it could not."""
    answers = _ask(environments)
    stood: dict[int, list[Placement]] = {row.pk: [] for row in environments}
    placements = Placement.objects.filter(environment__in=list(stood)).exclude(state__in=drift.AT_WORK)
    for placement in placements.select_related("service", "desired_version__service", "environment__deployment"):
        stood[placement.environment_id].append(placement)
    now, answered, silent = clock.now(), [], []
    for environment in environments:
        found = answers[environment.pk]
        if isinstance(found, str):
            silent.append(Scan(environment=environment, looked_at=now, error=found[:512]))
            continue
        deployments = [dataclasses.asdict(Seen.read(row)) for row in found]
        differences = [dataclasses.asdict(each) for each in drift.judge_all(stood[environment.pk], found)]
        answered.append(
            Scan(environment=environment, looked_at=now, seen_at=now, deployments=deployments, drift=differences)
        )
    _keep(answered, ["looked_at", "error", "seen_at", "deployments", "drift"])
    _keep(silent, ["looked_at", "error"])
    return answered + silent


def _keep(scans: list[Scan], fields: list[str]) -> None:
    """Store these fields, beside what was kept of the other ones before."""
    Scan.objects.bulk_create(
        scans, batch_size=100, update_conflicts=True, unique_fields=["environment"], update_fields=fields
    )


def for_asking(rows: Any, most: int = MOST) -> list[Environment]:
    """Environments with all that a connection needs."""
    return list(rows.for_connecting().select_related("deployment")[:most])


def _ask(environments: Iterable[Environment]) -> dict[int, list[Remote] | str]:
    """Environment id -> what it lists, or why it could not be asked."""
    answers: dict[int, list[Remote] | str] = {}
    clients: dict[int, ManagerClient] = {}
    for environment in environments:
        try:  # reads the database, hence not in the threads
            clients[environment.pk] = client_for(environment)
        except ManagerError as error:
            answers[environment.pk] = error.message
        except ValidationError as error:
            answers[environment.pk] = " ".join(error.messages)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="scan") as threads:
        futures = {key: threads.submit(_list, client) for key, client in clients.items()}
        return answers | {key: future.result() for key, future in futures.items()}


def _list(client: ManagerClient) -> list[Remote] | str:
    with client:
        try:
            return client.all_deployments()
        except ManagerError as error:
            return error.message


def due(count: int = PER_TURN) -> list[Environment]:
    """Ready environments whose last look is older than SCAN_EVERY_SECONDS, the oldest first; 0 switches it off."""
    if settings.SCAN_EVERY_SECONDS <= 0:
        return []
    before = clock.now() - timedelta(seconds=settings.SCAN_EVERY_SECONDS)
    answering = (Environment.State.READY, Environment.State.DEGRADED)
    rows = Environment.objects.filter(Q(scan__isnull=True) | Q(scan__looked_at__lt=before), state__in=answering)
    return for_asking(rows.order_by(F("scan__looked_at").asc(nulls_first=True)), count)


def scan_due() -> None:
    """Look again at the environments whose last look is too old, for one turn at most."""
    until, rows = time.monotonic() + SECONDS * 0.8, due()
    for start in range(0, len(rows), AT_ONCE):
        if time.monotonic() > until:
            return
        scan(rows[start : start + AT_ONCE])
