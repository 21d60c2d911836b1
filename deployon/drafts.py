"""A rollout that is being put together: from an address, from an earlier rollout, from a preview, or from what was typed."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.shortcuts import get_object_or_404

from accounts.requests import TenantRequest
from deployon import previews, sources
from deployon.forms import InputsForm, PaceForm
from deployon.models import Rollout, ServiceVersion
from deployon.origins import read_lines
from deployon.reviewing import the_preview
from deployon.sources import Sources
from deployon.tables import LONGEST, read_table, refused
from inventory.choosing import chosen, read_choice
from inventory.rule_fields import FIELDS, add_rule

UNINSTALL, WORKFLOW = Rollout.Action.UNINSTALL.value, Rollout.Action.WORKFLOW.value


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
    note: str = ""
    own: Sources = dataclasses.field(default_factory=Sources)

    @property
    def environments(self) -> list[int]:
        """Ids, where they were chosen one by one."""
        return [int(pk) for pk in self.data.get("environments", "").split(",") if pk.strip().isdigit()]

    @property
    def action(self) -> str:
        action = self.data.get("action", "")
        return action if action in Rollout.Action.values else Rollout.Action.DEPLOY.value

    @property
    def has_inputs(self) -> bool:
        return self.action not in (UNINSTALL, WORKFLOW)


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
    data["workflow"], data["raw_parameters"] = preview.workflow, as_text(sources.shown_all(preview.parameters))
    own = Sources.stored(preview.sources)
    data["inputs_from"] = "\n".join(f"{name} = {text}" for name, text in preview.from_environment.items())
    data["table_text"] = as_text({place: _seen(row) for place, row in own.table.items()})
    inputs = InputsForm(preview.version.inputs_schema, given=_seen(preview.inputs), elsewhere=own.names)
    pace = PaceForm(initial={name: request.GET.get(name) for name in PaceForm.base_fields})
    is_all = all(_seen(row) == row for row in (preview.inputs, *own.table.values()))
    note = (
        "" if is_all else "Values of secret inputs are not shown again. Enter them once more, or their defaults hold."
    )
    return Draft(data, preview.version, inputs, pace, note=note, own=own)


def read_own(data: QueryDict, upload: UploadedFile | None, version: ServiceVersion | None) -> Sources:
    """Inputs that differ by environment, as the form has them; a file wins over what was typed. ValidationError."""
    if upload is not None:
        if upload.size is None or upload.size > LONGEST:
            raise refused(f"It is longer than {LONGEST // 1024} kB. Roll out in parts.")
        try:
            data["table_text"] = upload.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise refused("It is no text in UTF-8. Save it as CSV UTF-8.") from None
    return Sources.read(
        read_lines(data.get("inputs_from", "")), read_table(data.get("table_text", ""), schema_of(version))
    )


def as_text(values: dict[str, Any]) -> str:
    """For a text area; nothing where there is nothing."""
    return json.dumps(values, indent=1, ensure_ascii=False) if values else ""


def _seen(values: dict[str, Any]) -> dict[str, Any]:
    """Those that may be shown."""
    return {name: value for name, value in values.items() if sources.shown(name, value) == value}


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
