"""Looking at environments: climbs the connection ladder, keeps what was found, and says what state that is."""

from __future__ import annotations

import dataclasses
import threading
import time
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from inventory import ladder_words
from inventory.connections import address_of, credential_of
from inventory.connectors.address import Address, Credential, Timeouts
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.ladder import Climber
from inventory.connectors.policy import policy_from_settings
from inventory.connectors.rungs import TITLES, Climb, Rung, RungState
from inventory.models import Credential as CredentialRow
from inventory.models import Deployment, Environment, Probe, SubManager
from inventory.rollup import refresh_states
from runs import clock

KEPT = 200  # probes of one environment
CAP_SECONDS = 8.0  # of a whole climb: somebody waits for it
_QUICK = Timeouts(connect=3.0, read=4.0)


def probe(environment: Environment, *, cap_seconds: float = CAP_SECONDS) -> Probe:
    """Climb the ladder at an environment, keep what was found, and move its state; at most `cap_seconds`.

    The row given is brought up to date. Never raises for what is wrong at the other side: that is what it tells.
    """
    began_at = clock.now()
    try:
        address = address_of(environment.sub_manager, environment.remote_tenant)
    except ValueError as error:
        found = cannot_begin("name", ErrorKind.INPUT, str(error))
    else:
        try:
            found = climb_within(address, credential_of(environment), cap_seconds)
        except ManagerError as error:
            found = cannot_begin("credential", error.kind, error.message)
    return _keep(environment, found, began_at)


def climb_within(address: Address, credential: Credential, seconds: float = CAP_SECONDS) -> Climb:
    """Climb, but wait no longer than this: a rung under way then has failed, the others were not tried.

    A name server that does not answer cannot be interrupted, hence a thread; it ends by itself, for everything else has its own limit.
    """
    climber = Climber(address, credential, policy_from_settings(), _QUICK)
    rungs: list[Rung] = []
    has_ended = threading.Event()

    def run() -> None:
        try:
            rungs.extend(climber.rungs())  # grows rung by rung
        finally:
            has_ended.set()

    began = time.monotonic()
    threading.Thread(target=run, name="climb", daemon=True).start()
    if has_ended.wait(seconds) and len(rungs) == len(TITLES):
        return climber.result
    so_far = climber.result
    return _cut_off(so_far, tuple(rungs[: len(TITLES)]), address, time.monotonic() - began)


def _cut_off(climb: Climb, rungs: tuple[Rung, ...], address: Address, seconds: float) -> Climb:
    """What is known of a climb that took too long."""
    keys = list(TITLES)
    done = list(rungs)
    if len(done) == len(keys):
        return dataclasses.replace(climb, rungs=rungs)
    spent = sum(rung.milliseconds for rung in done)
    key = keys[len(done)]
    detail = f"{address.where} took longer than {seconds:.0f} s up to here."
    remedy = "It may be overloaded or hanging: look at the manager and at the network between it and this portal, then check again."
    done.append(Rung(key, TITLES[key], RungState.FAILED, detail, max(0, round(seconds * 1000) - spent), remedy))
    done += [Rung(key, TITLES[key], RungState.NOT_TRIED) for key in keys[len(done) :]]
    return dataclasses.replace(climb, rungs=tuple(done), error_kind=ErrorKind.UNREACHABLE)


def cannot_begin(key: str, kind: ErrorKind, message: str) -> Climb:
    """A climb that failed at one rung before anything was sent."""
    rungs = (
        Rung(each, TITLES[each], RungState.FAILED, message)
        if each == key
        else Rung(each, TITLES[each], RungState.NOT_TRIED)
        for each in TITLES
    )
    return Climb(tuple(rungs), error_kind=kind)


def as_json(climb: Climb) -> list[dict[str, Any]]:
    """Rungs as they are kept and shown: {"key", "title", "state", "detail", "milliseconds", "remedy"}."""
    return [dataclasses.asdict(rung) | {"state": str(rung.state)} for rung in climb.rungs]


@transaction.atomic
def _keep(environment: Environment, found: Climb, began_at: datetime) -> Probe:
    failed = found.failed_rung
    row = Probe.objects.create(
        environment=environment,
        at=began_at,
        is_ready=found.is_ready,
        failed_rung=failed.key if failed else "",
        milliseconds=found.milliseconds,
        rungs=as_json(found),
    )
    _forget_old(environment)
    _note_manager(environment.sub_manager, found)
    if environment.credential is not None:
        _note_credential(environment.credential, found)
    state, why = ladder_words.judge(found, environment.sub_manager)
    changes: dict[str, Any] = {"why": why[:512], "last_probe_at": began_at}
    if found.is_ready:
        changes["last_seen_at"] = began_at
    before = environment.state
    if state != before:
        changes["state_since"] = clock.now()
    environment.move(state, only_from=Environment.State.values, **changes)
    if found.is_ready:
        # As the genuine manager: an environment is installed from the moment that it was there.
        row_of = Deployment.objects.filter(
            pk=environment.deployment_id, installation_status=Deployment.InstallationStatus.INACTIVE
        ).exclude(kind=Deployment.Kind.LOCAL)  # what a blueprint made is installed by its workflow
        row_of.update(installation_status=Deployment.InstallationStatus.ACTIVE)
    if state != before:
        refresh_states(environment.deployment)
    return row


def _forget_old(environment: Environment) -> None:
    oldest = environment.probes.order_by("-at", "-pk").values_list("at", flat=True)[KEPT : KEPT + 1]
    for at in oldest:
        environment.probes.filter(at__lte=at).delete()


def _note_manager(manager: SubManager, found: Climb) -> None:
    known: dict[str, Any] = {
        "version": found.version,
        "edition": found.edition,
        "certificate_expires_at": found.certificate_expires_at,
    }
    changed: dict[str, Any] = {
        field: value for field, value in known.items() if value and getattr(manager, field) != value
    }
    if manager.protocol == SubManager.Protocol.HTTP and manager.certificate_expires_at is not None:
        changed["certificate_expires_at"] = None
    if changed:
        SubManager.objects.filter(pk=manager.pk).update(**changed)
        for field, value in changed.items():
            setattr(manager, field, value)


def _note_credential(credential: CredentialRow, found: Climb) -> None:
    """When it last opened the door, and when and why it last did not."""
    now = datetime.now(UTC)
    changes: dict[str, Any] = {}
    states = {rung.key: rung for rung in found.rungs}
    failed = found.failed_rung
    if states["credential"].state in (RungState.PASSED, RungState.WARNED):
        changes |= {"last_success_at": now, "token_expires_at": found.token_expires_at}
    if failed is not None and found.error_kind is ErrorKind.CREDENTIAL:
        changes |= {"last_failure_at": now, "last_failure": f"{failed.detail} {failed.remedy}".strip()[:512]}
    if changes:
        CredentialRow.objects.filter(pk=credential.pk).update(**changes)
        for field, value in changes.items():
            setattr(credential, field, value)
