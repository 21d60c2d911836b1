"""Taking environments away from here: what stands in the way, what goes with one; at the remote manager nothing changes."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from django.db.models import ProtectedError

from accounts import audit
from accounts.actors import Actor
from accounts.errors import Conflict
from inventory import standing
from inventory.credentials import delete_credential
from inventory.deployments import delete_deployment
from inventory.environment_words import told
from inventory.label_rules import PARENT_KEY
from inventory.labels import remove_labels
from inventory.models import Deployment, Environment
from inventory.sub_managers import forget_unused, listed
from runs.models import Run
from runs.states import FINAL_RUN_STATES

# How the rows of what was deployed here from a blueprint go: said by the app above that owns them.
_REMOVERS: list[Callable[[Actor, Deployment, bool], None]] = []


def register_remover(remove: Callable[[Actor, Deployment, bool], None]) -> None:
    """Called once by the app that owns local deployments, when it is ready; `remove(by, deployment, force)`, Conflict where it is at work."""
    _REMOVERS.append(remove)


def hide(*, by: Actor, environment: Environment, force: bool = False) -> None:
    """Forget an environment with its deployment. Conflict names what stands on it, or is at work there.

    With `force` what stands on it is forgotten with it, and left untouched there.
    """
    try:
        with transaction.atomic():
            conceal(by=by, environment=environment, force=force)
            deployment = environment.deployment
            if force:
                detach_children(by=by, deployment=deployment)
            if deployment.kind == Deployment.Kind.LOCAL:
                for remove in _REMOVERS:
                    remove(by, deployment, force)
            else:
                delete_deployment(by=by, deployment=deployment)
    except ProtectedError as error:
        shown = listed([f"{row._meta.verbose_name} {row}" for row in error.protected_objects])
        raise Conflict(f"{environment} is in use by {shown}. Remove those first.") from None


def conceal(*, by: Actor, environment: Environment, force: bool = False) -> None:
    """The same, but its deployment stays: it is no environment any more. To be called in a transaction."""
    Environment.objects.select_for_update(of=("self",)).filter(pk=environment.pk).first()
    _check_is_idle(environment)
    stands = standing.names_on(environment)
    if stands and not force:
        raise Conflict(
            f"{environment} carries {listed(stands)}. Uninstall first, or remove it by force (?force=true): "
            "what stands there is then forgotten here and left untouched there."
        )
    standing.forget_on(by=by, environment=environment)
    deployment, manager, credential = environment.deployment, environment.sub_manager, environment.credential
    before = told(environment) | ({"forgotten": stands} if stands else {})
    audit.record(by=by, action="environment.delete", row=environment, tenant=deployment.tenant, before=before)
    Environment.objects.filter(pk=environment.pk).delete()  # so that the row given keeps its id when this is undone
    forget_unused(by=by, manager=manager)
    if credential is not None and not credential.environments.exists():
        delete_credential(by=by, credential=credential)


def detach_children(*, by: Actor, deployment: Deployment) -> None:
    """What was deployed here below this deployment stands alone from now on."""
    for child in deployment.children.filter(kind=Deployment.Kind.LOCAL).select_related("tenant"):
        remove_labels(by=by, deployment=child, labels=[(PARENT_KEY, deployment.wire_id)])


def _check_is_idle(environment: Environment) -> None:
    """Conflict where a run is at work there or waits to be."""
    run = Run.objects.filter(lock=f"environment:{environment.pk}").exclude(state__in=FINAL_RUN_STATES).first()
    if run is not None:
        raise Conflict(
            f"{run} is at work on {environment} or waits for it. Wait until it has ended, or cancel it first."
        )
