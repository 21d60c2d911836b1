"""Which cluster this installation is, and how it is: told by the installer's file and its hosts, or looked at here where it stands alone."""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from dataclasses import dataclass, field

from celery import current_app
from celery.exceptions import CeleryError
from django.conf import settings
from django.db import DatabaseError, connection
from kombu.exceptions import KombuError

from inventory.connectors.prometheus import Access
from inventory.health import asking, members
from inventory.health.facts import Answers
from inventory.health.judging import judge
from inventory.health.members import MembersError
from inventory.health.values import ClusterHealth, GroupHealth, Health, HostHealth, PartHealth, worst
from inventory.layout import External, Host, Layout, Part
from runs import workers

KEPT_SECONDS = 3.0  # a look is good for all who ask within them
BROKER_SECONDS = 3
LOOPBACK = "127.0.0.1"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """The cluster and how it is; `authority`: PEM of the CA by which its hosts know each other, empty where there is none."""

    layout: Layout
    health: ClusterHealth
    authority: str = field(default="", repr=False)


class _Kept:
    """The last look of this process; who comes meanwhile waits for it rather than asking the hosts once more."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.at = -KEPT_SECONDS
        self.standing: Standing | None = None

    def forget(self) -> None:
        self.at, self.standing = -KEPT_SECONDS, None


kept = _Kept()


def standing() -> Standing:
    """As it is, from a few seconds ago at most."""
    with kept.lock:
        if kept.standing is None or time.monotonic() - kept.at > KEPT_SECONDS:
            kept.standing = _of_cluster() if settings.CLUSTER_FILE else _alone()
            kept.at = time.monotonic()
        return kept.standing


def layout_here() -> tuple[Layout, str]:
    """(who belongs to it, PEM of its CA); asks nobody. MembersError where the installer's file cannot be used."""
    if not settings.CLUSTER_FILE:
        return _lone_layout(), ""
    found = members.read(settings.CLUSTER_FILE)
    access = _access(found)
    return found.layout, access.authority if access else ""


def _access(found: members.Members) -> Access | None:
    try:
        return found.access()
    except MembersError as error:
        logger.warning("%s", error)
        return None


def _of_cluster() -> Standing:
    found = members.read(settings.CLUSTER_FILE)
    access = _access(found)
    if access is None:
        answers = Answers({}, {host.name: "cannot be asked from here: see the log" for host in found.layout.hosts})
        return Standing(found.layout, judge(found.layout, answers))
    return Standing(found.layout, asking.look(found.layout, access), access.authority)


def is_database_alive() -> bool:
    """One small query."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def is_broker_alive() -> bool:
    """A connection of its own, which a broker inside this process takes, too."""
    try:
        with current_app.connection_for_write(connect_timeout=BROKER_SECONDS) as found:
            found.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)
    except (OSError, KombuError, CeleryError):
        return False
    return True


def _lone_layout() -> Layout:
    """One manager with what it works on: inside of it, or where its settings say."""
    database = str(settings.DATABASES["default"].get("HOST") or "")
    outside = [host for host in database.split(",") if host and not host.startswith("/") and not _is_here(host)]
    parts = {Part.MANAGER} | (set() if outside else {Part.DATABASE})
    queue: External | None = None
    if str(settings.BROKER_URL).startswith("memory"):
        parts.add(Part.QUEUE)
    else:
        urls = [url.rpartition("@")[2].partition("/")[0] for url in str(settings.BROKER_URL).split(";")]
        named = [url.rpartition(":") for url in urls]
        if all(_is_here(host or port) for host, _, port in named):
            parts.add(Part.QUEUE)
        else:
            queue = External(tuple(host or port for host, _, port in named), int(named[0][2]) if named[0][0] else 5672)
    return Layout(
        name=settings.NODE_NAME,
        hosts=(Host(settings.NODE_NAME, LOOPBACK, parts=frozenset(parts)),),
        external_database=External(tuple(outside), 5432) if outside else None,
        external_queue=queue,
    )


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _alone() -> Standing:
    layout = _lone_layout()
    host = layout.hosts[0]
    works = {Part.DATABASE: is_database_alive(), Part.QUEUE: is_broker_alive()}
    works[Part.MANAGER] = works[Part.DATABASE]
    services = {"deployon-web": True}
    if works[Part.DATABASE]:
        services["deployon-worker"] = bool(workers.living())
    why = {Part.DATABASE: "does not answer", Part.QUEUE: "does not answer", Part.MANAGER: "has no database"}
    found = {
        part: PartHealth(part, Health.HEALTHY if is_well else Health.FAILED, why="" if is_well else why[part])
        for part, is_well in works.items()
    }
    if found[Part.MANAGER].works and not services.get("deployon-worker"):
        found[Part.MANAGER] = PartHealth(Part.MANAGER, Health.DEGRADED, why="no worker is alive")
    parts = tuple(each for each in found.values() if host.has(each.part))
    state = worst(part.state for part in parts)
    told = HostHealth(host.name, host.private_address, state, seen_by=host.name, parts=parts, services=services)
    groups = tuple(
        GroupHealth(
            part=part,
            state=each.state,
            total=1,
            working=int(each.works),
            needed=1,
            says="",
            why=each.why,
            is_external=not host.has(part),
            members=((host.name, str(each.state)),) if host.has(part) else (),
        )
        for part, each in found.items()
    )
    all_of_it = worst(group.state for group in groups)
    reasons = tuple(f"{group.part}: {group.why}" for group in groups if group.why)
    return Standing(layout, ClusterHealth(all_of_it, reasons, groups, (told,)))
