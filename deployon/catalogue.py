"""Writes of services and their versions: what can be put on environments; putting it there is rollouts."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant
from deployon.models import Service, ServiceVersion
from inventory import content as contents
from inventory.blueprints import BlueprintFacts, read_blueprint
from inventory.connections import client_for
from inventory.connectors.errors import ManagerError
from inventory.models import Environment

NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,199}")
REMOTE_ID = re.compile(r"[A-Za-z][A-Za-z0-9._~-]{0,255}")


@dataclass(frozen=True)
class Source:
    """Where the content of a version comes from: an uploaded archive, or a blueprint that the sub-managers have already.

    `environment` is one whose blueprint of that name tells the inputs; without one they are read at the first preview.
    """

    content: bytes | None = None  # of the archive
    file_name: str = ""
    main_file: str = ""
    remote_blueprint: str = ""
    environment: Environment | None = None

    def check(self) -> None:
        """ValidationError where it is not exactly one of the two."""
        if (self.content is None) == (not self.remote_blueprint):
            raise ValidationError(
                {
                    "archive": "Upload a blueprint archive, or name a blueprint that the sub-managers have already: one of the two."
                }
            )
        if self.content is not None and len(self.content) > settings.ARCHIVE_MAX_BYTES:
            limit = settings.ARCHIVE_MAX_BYTES // (1024 * 1024)
            raise ValidationError(
                {"archive": f"The archive is larger than {limit} MB. Leave out what the blueprint does not need."}
            )
        if self.remote_blueprint and not REMOTE_ID.fullmatch(self.remote_blueprint):
            raise ValidationError(
                {
                    "remote_blueprint": "A blueprint id has letters, digits, '-', '.' and '_', and begins with a letter. Enter it as the sub-manager lists it."
                }
            )


def register_service(*, by: Actor, tenant: Tenant, name: str, source: Source, description: str = "") -> ServiceVersion:
    """A new service with its first version. Conflict where the name is taken."""
    if not NAME.fullmatch(name):
        raise ValidationError(
            {
                "name": "A service name has letters, digits, '-', '.' and '_', and begins with a letter: it becomes an id at the sub-managers."
            }
        )
    if Service.objects.filter(tenant=tenant, name=name).exists():
        raise Conflict(f"There is a service {name!r} already. Add a version to it, or choose another name.")
    facts = _facts(source)  # before the transaction: it parses in another process
    with transaction.atomic():
        service = Service.objects.create(
            tenant=tenant, name=name, description=description or facts.description, created_by=by.user
        )
        audit.record(by=by, action="service.create", row=service, tenant=tenant, after=audit.snapshot(service))
        version, _ = _store_version(by=by, service=service, source=source, facts=facts)
    return version


def add_version(*, by: Actor, service: Service, source: Source) -> tuple[ServiceVersion, bool]:
    """(version, is new): content that the service has already is that version; other content is the next one."""
    facts = _facts(source)
    with transaction.atomic():
        return _store_version(by=by, service=service, source=source, facts=facts)


def describe_service(*, by: Actor, service: Service, description: str) -> Service:
    """Change what people read about it."""
    before = audit.snapshot(service)
    service.description = description
    with transaction.atomic():
        service.save(update_fields=["description"])
        audit.record(
            by=by,
            action="service.update",
            row=service,
            tenant=service.tenant,
            before=before,
            after=audit.snapshot(service),
        )
    return service


def delete_service(*, by: Actor, service: Service) -> None:
    """Forget a service that was never rolled out. Conflict while something is placed or a rollout tells of it."""
    placed = service.placements.count()
    if placed:
        raise Conflict(f"{service.name} is placed on {placed} environment(s). Uninstall it there first.")
    if service.versions.filter(rollouts__isnull=False).exists():
        raise Conflict(f"Rollouts tell of {service.name}; it is kept for their sake.")
    with transaction.atomic():
        audit.record(by=by, action="service.delete", row=service, tenant=service.tenant, before=audit.snapshot(service))
        service.delete()


def read_present_schema(version: ServiceVersion, environment: Environment) -> None:
    """Learn the inputs of a blueprint that is already present, from one environment; ManagerError where it does not tell."""
    facts = _remote_facts(version.remote_blueprint, environment)
    version.inputs_schema, version.capabilities = facts.inputs, facts.capabilities
    version.save(update_fields=["inputs_schema", "capabilities"])


def _facts(source: Source) -> BlueprintFacts:
    source.check()
    if source.content is not None:
        return read_blueprint(source.content, source.main_file or "blueprint.yaml")
    if source.environment is None:
        return BlueprintFacts()
    try:
        return _remote_facts(source.remote_blueprint, source.environment)
    except ManagerError as error:
        raise ValidationError({"remote_blueprint": error.message}) from None


def _remote_facts(blueprint_id: str, environment: Environment) -> BlueprintFacts:
    with client_for(environment) as client:
        plan = client.blueprint_plan(blueprint_id)
    return BlueprintFacts(inputs=dict(plan.inputs), capabilities=list(plan.capabilities), description=plan.description)


def _store_version(
    *, by: Actor, service: Service, source: Source, facts: BlueprintFacts
) -> tuple[ServiceVersion, bool]:
    Service.objects.select_for_update().get(pk=service.pk)  # numbers are given one at a time
    main_file = source.main_file or "blueprint.yaml"
    archive = contents.store(source.content, source.file_name) if source.content is not None else None
    digest = archive.digest if archive else hashlib.sha256(f"present:{source.remote_blueprint}".encode()).hexdigest()
    known = service.versions.filter(digest=digest, main_file=main_file).first()
    if known:
        return known, False
    last = service.versions.aggregate(last=Max("number"))["last"] or 0
    version = ServiceVersion.objects.create(
        service=service,
        number=last + 1,
        source=ServiceVersion.Source.PUSHED if archive else ServiceVersion.Source.PRESENT,
        digest=digest,
        archive=archive,
        remote_blueprint=source.remote_blueprint,
        main_file=main_file,
        inputs_schema=facts.inputs,
        capabilities=facts.capabilities,
        created_by=by.user,
    )
    audit.record(by=by, action="service.add_version", row=version, tenant=service.tenant, after=audit.snapshot(version))
    return version, True
