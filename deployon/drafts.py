"""A rollout that is being put together: from an address, from an earlier rollout, from a preview, or from what was typed."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.http import QueryDict
from django.shortcuts import get_object_or_404

from accounts.requests import TenantRequest
from deployon import previews
from deployon.forms import InputsForm, PaceForm
from deployon.models import Rollout, ServiceVersion
from deployon.reviewing import the_preview
from inventory.choosing import chosen, read_choice
from inventory.rule_fields import FIELDS, add_rule

UNINSTALL = Rollout.Action.UNINSTALL.value


@dataclasses.dataclass
class Draft:
    """A rollout that is being put together: what was entered, and what is wrong with it."""

    data: QueryDict
    version: ServiceVersion | None
    inputs: InputsForm
    pace: PaceForm
    errors: list[str] = dataclasses.field(default_factory=list)  # of no field
    rules_error: str = ""
    wrong_rule: Any = None

    @property
    def environments(self) -> list[int]:
        """Ids, where they were chosen one by one."""
        return [int(pk) for pk in self.data.get("environments", "").split(",") if pk.strip().isdigit()]

    @property
    def is_uninstall(self) -> bool:
        return self.data.get("action") == UNINSTALL


def asked(request: TenantRequest) -> QueryDict | None:
    """What other pages hand over (service=3, and a choice of environments) in the fields of the form; None: it means none."""
    data = request.GET.copy()
    choice = read_choice(request.GET, request.user, request.tenant)
    if choice.is_only_rules:
        for field in FIELDS:  # among the choice's rules already
            data.pop(field, None)
        for rule in choice.rules:
            add_rule(data, rule)
        return data
    found = chosen(choice, request.user, request.tenant).order_by("pk").values_list("pk", flat=True)
    data["environments"] = ",".join(map(str, found))
    return data if data["environments"] else None


def draft_of_undo(request: TenantRequest) -> Draft:
    """Take away what a rollout brought."""
    done = get_object_or_404(
        Rollout.objects.select_related("version__service"), pk=number(request.GET["undo"]), tenant=request.tenant
    )
    data = QueryDict(mutable=True)
    data.update({"action": UNINSTALL, "version": str(done.version_id)})
    data["environments"] = ",".join(map(str, previews.placed_environments(done)))
    return Draft(data, done.version, InputsForm({}), PaceForm(initial={"max_parallel": done.max_parallel}))


def draft_of_preview(request: TenantRequest) -> Draft:
    """The form as it led to a preview."""
    preview = the_preview(request, request.GET["again"])
    data = QueryDict(mutable=True)
    data.update({"action": preview.action, "version": str(preview.version_id)})
    if preview.content.get("found"):
        data["survey"] = "1"
    for rule in preview.rules:
        add_rule(data, rule)
    data["environments"] = ",".join(map(str, preview.environments or []))
    inputs = InputsForm(preview.version.inputs_schema, given=preview.inputs)
    pace = PaceForm(initial={name: request.GET.get(name) for name in PaceForm.base_fields})
    return Draft(data, preview.version, inputs, pace)


def number(text: str) -> int:
    """An id from an address; one that is none finds nothing."""
    return int(text) if text.isdigit() and len(text) < 19 else 0


def chosen_version(request: TenantRequest, data: QueryDict) -> ServiceVersion | None:
    """The version that the form names, the newest of the named service, or the first there is."""
    rows = ServiceVersion.objects.filter(service__tenant=request.tenant).select_related("service")
    if data.get("version"):
        return rows.filter(pk=number(data.get("version", ""))).first()
    if data.get("service"):
        rows = rows.filter(service=number(data.get("service", "")))
    return rows.order_by("service__name", "-number").first()


def schema_of(version: ServiceVersion | None) -> dict[str, Any]:
    """The inputs that the version declares."""
    return version.inputs_schema if version else {}
