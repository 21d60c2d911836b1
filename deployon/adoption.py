"""Adoption: what runs at a sub-manager already becomes a placement here. Nothing is run there; our labels are added to it."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.exceptions import ValidationError

from accounts.actors import Actor
from accounts.models import Tenant
from deployon.catalogue import NAME
from deployon.inputs import canonical
from deployon.models import Placement, ServiceVersion
from inventory.connections import client_for
from inventory.connectors.errors import ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.resources import Deployment as Remote
from inventory.driver import Situation, inputs_hash, remote_blueprint_id
from inventory.driver.deployments import find, judge_situation
from inventory.driver.order import DIGEST, ENVIRONMENT, SERVICE
from inventory.models import Environment

AT_ONCE, MOST = 8, 200
BUSY = (Situation.CREATING, Situation.INSTALLING, Situation.REMOVING, Situation.BUSY)


@dataclasses.dataclass(frozen=True)
class Wish:
    """A deployment that is to be adopted; `service` names one of ours, or one to be made ("": as it is called there)."""

    environment: int
    deployment: str
    service: str = ""


@dataclasses.dataclass(frozen=True)
class Prospect:
    """What adopting one would mean. `verdict`: adopt, known (it is adopted already) or excluded, with the reason."""

    environment: int
    environment_name: str
    deployment: str
    verdict: str
    why: str = ""
    service: str = ""
    is_new_service: bool = False
    version: int | None = None  # id of a ServiceVersion; None: one is made
    version_words: str = ""
    blueprint: str = ""
    inputs: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    # for the adoption itself, no part of what is shown
    archive: bytes | None = dataclasses.field(default=None, repr=False)
    main_file: str = ""
    labels: dict[str, list[str]] = dataclasses.field(default_factory=dict, repr=False)
    is_installed: bool = True
    capabilities: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def archive_digest(self) -> str:
        return hashlib.sha256(self.archive).hexdigest() if self.archive is not None else ""


@dataclasses.dataclass(frozen=True)
class _There:
    """What a sub-manager told of one deployment; `error` where it did not."""

    row: Remote | None = None
    archive: bytes | None = None
    main_file: str = ""
    capabilities: dict[str, Any] = dataclasses.field(default_factory=dict)
    error: str = ""


def prospects(*, by: Actor, tenant: Tenant, wishes: Sequence[Wish]) -> list[Prospect]:
    """What would become of each, asked of the sub-managers now: blueprint, inputs, version. Nothing is changed anywhere."""
    if not wishes:
        raise ValidationError({"deployments": "Choose at least one deployment to adopt."})
    if len(wishes) > MOST:
        raise ValidationError({"deployments": f"At most {MOST} deployments are adopted at once. Choose fewer."})
    keys = {wish.environment for wish in wishes}
    rows = Environment.objects.visible_to(by.user, tenant).filter(pk__in=keys, deployment__tenant=tenant)
    environments = {row.pk: row for row in rows.for_connecting().select_related("deployment__site")}
    there = _ask([wish for wish in wishes if wish.environment in environments], environments)
    known = _Known(tenant, list(keys))
    found, taken = [], set()
    for wish in dict.fromkeys(wishes):
        environment = environments.get(wish.environment)
        if environment is None:
            why = "There is no such environment in this tenant, or you may not see it."
            found.append(Prospect(wish.environment, "", wish.deployment, "excluded", why))
            continue
        prospect = _judge(wish, environment, there[wish], known)
        if prospect.verdict == "adopt":
            if (wish.environment, prospect.service) in taken:
                why = f"Another one of this list is to be {prospect.service} there. Name another service for it."
                prospect = dataclasses.replace(prospect, verdict="excluded", why=why)
            taken.add((wish.environment, prospect.service))
        found.append(prospect)
    return found


def digest_of(found: Sequence[Prospect]) -> str:
    """SHA-256 of everything that an adoption would do: it names this, and is refused where the answer is another by then."""
    content = [
        [
            row.environment,
            row.deployment,
            row.verdict,
            row.service,
            row.version or row.archive_digest,
            inputs_hash(row.inputs),
        ]
        for row in found
    ]
    return hashlib.sha256(canonical(content)).hexdigest()


def service_name(text: str) -> str:
    """A name that a service may have, as near as can be to what something is called there."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:200]
    return name if NAME.fullmatch(name) else f"s-{name}"[:200]


class _Known:
    """Services, versions and placements of the tenant, read once."""

    def __init__(self, tenant: Tenant, environments: list[int]) -> None:
        versions = ServiceVersion.objects.filter(service__tenant=tenant).select_related("service").order_by("number")
        self.versions = list(versions.defer("inputs_schema", "capabilities"))
        self.services = {version.service.name for version in self.versions}
        placements = Placement.objects.filter(environment__in=environments, service__tenant=tenant)
        self.placements = list(placements.exclude(state=Placement.State.ABSENT).select_related("service"))

    def placed_as(self, environment: int, deployment: str) -> Placement | None:
        """The placement that this deployment is already."""
        same = (each for each in self.placements if each.environment_id == environment)
        return next((each for each in same if (each.remote_deployment or each.service.name) == deployment), None)

    def stands(self, environment: int, service: str) -> bool:
        return any(each.environment_id == environment and each.service.name == service for each in self.placements)

    def version_of(self, row: Remote, there: _There, service: str) -> ServiceVersion | None:
        """The version that it is: by our label, by the bytes of its archive, by the id of its blueprint; of that service if one is named."""
        digest = hashlib.sha256(there.archive).hexdigest() if there.archive is not None else ""
        versions = [each for each in self.versions if not service or each.service.name == service]

        def fits(version: ServiceVersion) -> bool:
            if version.source == ServiceVersion.Source.PRESENT:
                return version.remote_blueprint == row.blueprint_id
            pushed_as = remote_blueprint_id(version.service.name, version.content_digest)
            is_same = digest == version.digest and there.main_file in ("", version.main_file)
            return (
                is_same
                or (not digest and row.blueprint_id == pushed_as)
                or (not digest and row.label(DIGEST) == version.content_digest)
            )

        return next((each for each in reversed(versions) if fits(each)), None)


def _judge(wish: Wish, environment: Environment, there: _There, known: _Known) -> Prospect:
    row, name = there.row, environment.deployment.display_name
    excluded = Prospect(environment.pk, name, wish.deployment, "excluded", there.error)
    if row is None:
        return excluded
    placed = known.placed_as(environment.pk, row.id)
    if placed is not None:
        words = f"It is {placed.service.name} here already."
        return dataclasses.replace(excluded, verdict="known", why=words, service=placed.service.name)
    situation = judge_situation(row)
    if situation in BUSY or situation is Situation.CREATION_FAILED:
        why = f"The manager is still at work with it, or could not make it ({str(situation).replace('_', ' ')})."
        return dataclasses.replace(excluded, why=f"{why} Wait, or remove it there.")
    owner = row.label(ENVIRONMENT)
    if owner and owner != environment.deployment.wire_id:
        why = f"By its labels another portal put it there, for its environment {owner}. Remove the label portal-env there first."
        return dataclasses.replace(excluded, why=why)
    version = known.version_of(row, there, wish.service)
    service = wish.service or (version.service.name if version else row.label(SERVICE) or service_name(row.id))
    if not NAME.fullmatch(service):
        return dataclasses.replace(
            excluded, why="A service name has letters, digits, '-', '.' and '_', and begins with a letter."
        )
    if known.stands(environment.pk, service):
        why = f"Another deployment is {service} on this environment. Name another service for this one."
        return dataclasses.replace(excluded, why=why, service=service)
    words = f"v{version.number}" if version else "a new version from its archive"
    if version is None and there.archive is None:
        words = f"a new version that names the blueprint {row.blueprint_id} there: its archive could not be fetched"
    return Prospect(
        environment=environment.pk,
        environment_name=name,
        deployment=row.id,
        verdict="adopt",
        service=service,
        is_new_service=service not in known.services,
        version=version.pk if version else None,
        version_words=words,
        blueprint=row.blueprint_id,
        inputs=dict(row.inputs or {}),
        archive=there.archive,
        main_file=there.main_file,
        labels={key: sorted(values) for key, values in row.labels.items()},
        is_installed=situation is Situation.INSTALLED,
        capabilities=there.capabilities,
    )


def _ask(wishes: Sequence[Wish], environments: dict[int, Environment]) -> dict[Wish, _There]:
    clients: dict[Wish, ManagerClient] = {}
    answers: dict[Wish, _There] = {}
    for wish in wishes:
        try:  # reads the database, hence not in the threads
            clients[wish] = client_for(environments[wish.environment])
        except (ManagerError, ValidationError) as error:
            text = error.message if isinstance(error, ManagerError) else " ".join(error.messages)
            answers[wish] = _There(error=text)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="adopt") as threads:
        futures = {wish: threads.submit(_look, client, wish.deployment) for wish, client in clients.items()}
        return answers | {wish: future.result() for wish, future in futures.items()}


def _look(client: ManagerClient, deployment: str) -> _There:
    with client:
        try:
            row = find(client, deployment)
            if row is None:
                return _There(error="It is not there any more. Look at the environment again.")
            offered = client.capabilities(deployment)
        except ManagerError as error:
            return _There(error=error.message)
        try:
            archive, main_file = client.blueprint_archive(row.blueprint_id)
        except ManagerError:  # some managers keep no archive, some accounts may not read it: the blueprint's id must do
            return _There(row, capabilities=dict(offered))
    return _There(row, archive, main_file, dict(offered))
