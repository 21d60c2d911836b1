"""Writes of an adoption: services and versions where they are new, placements with their deployments; and our labels there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import Tenant
from deployon.adoption import Prospect, Wish, digest_of, prospects
from deployon.catalogue import Source, add_version, register_service
from deployon.models import Placement, Service, ServiceVersion
from deployon.orders import LABELS
from deployon.placing import label_all, new_deployment
from inventory.connections import client_for
from inventory.connectors.errors import ManagerError
from inventory.driver import inputs_hash
from inventory.driver.order import DIGEST, ENVIRONMENT, INPUTS, SERVICE
from inventory.models import Deployment, Environment
from inventory.rollup import refresh_many


def adopt(*, by: Actor, tenant: Tenant, wishes: Sequence[Wish], digest: str) -> list[Prospect]:
    """Adopt what a preview with this digest showed; Conflict where the answer is another by now.

    Those that are adopted already stay as they are. Each is adopted by itself: one that fails says why and stops no other.
    """
    found = prospects(by=by, tenant=tenant, wishes=wishes)
    if all(each.verdict == "known" for each in found):  # the same request once more
        return found
    if digest_of(found) != digest:
        raise Conflict("Things have changed since this preview. Look at it again, then adopt.")
    if not any(each.verdict == "adopt" for each in found):
        raise ValidationError({"deployments": "There is nothing to adopt: the preview says why for each."})
    environments = {
        row.pk: row
        for row in Environment.objects.filter(pk__in={each.environment for each in found})
        .for_connecting()
        .select_related("deployment")
    }
    done = [_adopt_one(by, tenant, each, environments) if each.verdict == "adopt" else each for each in found]
    refresh_many({environments[each.environment].deployment_id for each in done if each.verdict == "adopted"})
    return done


def _adopt_one(by: Actor, tenant: Tenant, row: Prospect, environments: dict[int, Environment]) -> Prospect:
    environment = environments[row.environment]
    try:
        version = _version(by, tenant, row, environment)
        # Our labels first: what is recorded here and bears none there could neither be updated nor removed.
        labels = {key: values for key, values in row.labels.items() if not key.startswith("portal-")}
        ours = {
            SERVICE: version.service.name,
            ENVIRONMENT: environment.deployment.wire_id,
            DIGEST: version.content_digest if version.source == ServiceVersion.Source.PUSHED else "",
            INPUTS: inputs_hash(row.inputs),
        }
        typed = {key: [value] for key, value in LABELS.items() if key not in labels}
        with client_for(environment) as client:
            client.set_labels(
                row.deployment, {**labels, **typed, **{key: [value] for key, value in ours.items() if value}}
            )
        _place(by, tenant, row, environment, version)
    except ManagerError as error:
        return _failed(row, error.message)
    except (ValidationError, Conflict) as error:
        return _failed(row, " ".join(getattr(error, "messages", [str(error)])))
    except IntegrityError:
        return _failed(row, "Somebody placed this service there a moment ago. Look again.")
    return _with(row, "adopted", f"It is {version} here now.")


def _version(by: Actor, tenant: Tenant, row: Prospect, environment: Environment) -> ServiceVersion:
    if row.version is not None:
        return ServiceVersion.objects.select_related("service").get(pk=row.version)
    if row.archive is not None:
        source = Source(content=row.archive, file_name=f"{row.blueprint}.archive", main_file=row.main_file)
    else:
        source = Source(remote_blueprint=row.blueprint, environment=environment)
    service = Service.objects.filter(tenant=tenant, name=row.service).first()
    if service is None:
        return register_service(by=by, tenant=tenant, name=row.service, source=source)
    return add_version(by=by, service=service, source=source)[0]


def _place(by: Actor, tenant: Tenant, row: Prospect, environment: Environment, version: ServiceVersion) -> None:
    why = "" if row.is_installed else "It is not installed there. Roll out the same version to install it."
    with transaction.atomic():
        known = Placement.objects.filter(service=version.service, environment=environment).first()
        if known is not None and known.state != Placement.State.ABSENT:
            raise Conflict(
                f"{version.service.name} stands on {environment} already. Name another service for this one."
            )
        deployment = known.deployment if known else new_deployment(by, version, environment)
        installed, status = Deployment.InstallationStatus, Deployment.DeploymentStatus
        deployment.installation_status = installed.ACTIVE if row.is_installed else installed.INACTIVE
        deployment.deployment_status = status.GOOD if row.is_installed else status.REQUIRES_ATTENTION
        deployment.save()
        placement, _ = Placement.objects.update_or_create(
            service=version.service,
            environment=environment,
            defaults={
                "deployment": deployment,
                "desired_version": version,
                "desired_inputs": row.inputs,
                "state": Placement.State.DEPLOYED if row.is_installed else Placement.State.FAILED,
                "why": why,
                "actual_digest": version.content_digest,
                "actual_inputs_hash": inputs_hash(row.inputs),
                "remote_blueprint": row.blueprint,
                "remote_deployment": row.deployment,
                "capabilities": row.capabilities,
                "updated_at": timezone.now(),
            },
        )
        label_all(by, version, {deployment.pk: environment})
        audit.record(by=by, action="placement.adopt", row=placement, tenant=tenant, after=audit.snapshot(placement))


def _failed(row: Prospect, why: str) -> Prospect:
    return _with(row, "failed", why)


def _with(row: Prospect, verdict: str, why: str) -> Prospect:
    return dataclasses.replace(row, verdict=verdict, why=why)
