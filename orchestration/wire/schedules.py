"""Execution schedules on the wire; each is named by its deployment and its own id."""

from __future__ import annotations

import datetime
import re
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from inventory.models import Deployment
from orchestration import deployments, schedules
from orchestration.errors import bad_parameters
from orchestration.schedule_models import ExecutionSchedule
from orchestration.wire.listing import find, listed
from orchestration.wire.shapes import Field, Shape, column, owned, read_bool, read_int, time
from orchestration.wire.times import read_time, wire_time
from orchestration.wire.views import WireView

DEPLOYMENT = "local__deployment"
COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)([+-]\d{4})")


def all_next(row: ExecutionSchedule) -> list[str]:
    """The next times in the form of v3.1, the next one first."""
    if row.next_at is None:
        return []
    before = row.next_at - datetime.timedelta(microseconds=1)
    return [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in schedules.timing_of(row).upcoming(before)]


SCHEDULE = Shape(
    "ExecutionSchedule",
    {
        "created_at": time("created_at"),
        "id": column("wire_id"),
        "visibility": column(f"{DEPLOYMENT}__visibility"),
        "next_occurrence": Field(lambda row: wire_time(row.next_at), "next_at", read_time),
        "since": time("since"),
        "until": time("until"),
        "rule": column("rule"),
        "slip": column("slip", read_int),
        "workflow_id": column("workflow"),
        "parameters": column("parameters"),
        "execution_arguments": column("arguments"),
        "stop_on_fail": column("stop_on_fail", read_bool),
        "enabled": column("is_enabled", read_bool),
        "deployment_id": column(f"{DEPLOYMENT}__wire_id"),
        "latest_execution_status": column("latest_execution__state"),
        **owned(f"{DEPLOYMENT}__tenant__name", f"{DEPLOYMENT}__visibility"),
        "all_next_occurrences": Field(all_next),
    },
    heavy=("local__plan", "local__inputs", "local__given_inputs", "latest_execution__parameters"),
)


class ScheduleView(WireView):
    """What all addresses of schedules share."""

    resource = "execution_schedule"

    def rows(self) -> QuerySet[ExecutionSchedule]:
        """What the caller may see: a schedule is as visible as its deployment."""
        return self.visible(ExecutionSchedule.objects.all(), "local__deployment__")

    def deployment(self) -> Deployment:
        """The deployment that the query names."""
        name = self.request.query_params.get("deployment_id")
        if not name:
            raise bad_parameters("Missing deployment_id in the query: schedules are named within a deployment.")
        return find(self.visible(Deployment.objects.select_related("tenant")), "Deployment", name)  # type: ignore[no-any-return]

    def of_deployment(self, wire_id: str) -> QuerySet[ExecutionSchedule]:
        """The schedules of the deployment that the query names; without one, that of this id, if there is just one."""
        rows = self.rows()
        if self.request.query_params.get("deployment_id"):
            return rows.filter(local__deployment=self.deployment())
        if rows.filter(wire_id=wire_id).count() > 1:
            raise bad_parameters(
                f"More than one deployment has a schedule {wire_id}: name one by deployment_id in the query."
            )
        return rows

    def found(self, wire_id: str) -> ExecutionSchedule:
        """The schedule, to be changed."""
        related = ("local__deployment__tenant", "latest_execution", "created_by")
        row: ExecutionSchedule = find(
            self.of_deployment(wire_id).select_related(*related), "ExecutionSchedule", wire_id
        )
        self.in_own_tenant(row.local.deployment, "Deployment")
        return row

    def shown(self, pk: int, status: int) -> Response:
        """One schedule as it is now."""
        row = SCHEDULE.load(ExecutionSchedule.objects.filter(pk=pk), list(SCHEDULE.fields)).get()
        return Response(SCHEDULE.render(row), status=status)

    def changes(self) -> schedules.Changes:
        """What the body says."""
        weekdays = self.optional("weekdays", list)
        return schedules.Changes(
            workflow=self.optional("workflow_id"),
            parameters=self.optional("parameters", dict),
            arguments=self.optional("execution_arguments", dict),
            since=self.moment("since"),
            until=self.moment("until"),
            recurrence=self.optional("recurrence"),
            count=self.whole("count"),
            weekdays=weekdays,
            rrule=self.optional("rrule"),
            slip=self.whole("slip"),
            stop_on_fail=self.given_flag("stop_on_fail"),
            is_enabled=self.given_flag("enabled"),
        )

    def moment(self, name: str) -> datetime.datetime | None:
        """A time of the body."""
        text = self.optional(name)
        return read_time(text, name) if text else None

    def whole(self, name: str) -> int | None:
        """A number of the body; text that reads as one does too."""
        value = self.optional(name, (int, str))
        return read_int(value, name) if isinstance(value, str) else value

    def given_flag(self, name: str) -> bool | None:
        """A boolean of the body, None where it is not there."""
        return self.boolean(name) if self.body().get(name) is not None else None


class ScheduleList(ScheduleView):
    """GET /execution-schedules."""

    needs = {"GET": "execution.view"}

    def get(self, request: Request) -> Response:
        return listed(self.rows(), request.query_params, SCHEDULE)


class ScheduleDetail(ScheduleView):
    """One schedule: read, made, changed, removed."""

    needs = {
        "GET": "execution.view",
        "PUT": "execution.start",
        "PATCH": "execution.start",
        "DELETE": "execution.start",
    }

    def get(self, request: Request, wire_id: str) -> Response:
        include = SCHEDULE.included(request.query_params.get("_include"))
        rows = SCHEDULE.load(self.of_deployment(wire_id), include)
        return Response(SCHEDULE.render(find(rows, "ExecutionSchedule", wire_id), include))

    def put(self, request: Request, wire_id: str) -> Response:
        self.required("workflow_id")
        self.required("since")
        deployment = self.in_own_tenant(self.deployment(), "Deployment")
        local = deployments.local_of(deployment)
        row = schedules.create(by=self.actor, local=local, wire_id=wire_id, changes=self.changes())
        return self.shown(row.pk, 201)

    def patch(self, request: Request, wire_id: str) -> Response:
        row = self.found(wire_id)
        schedules.update(by=self.actor, row=row, changes=self.changes())
        return self.shown(row.pk, 201)

    def delete(self, request: Request, wire_id: str) -> Response:
        schedules.delete(by=self.actor, row=self.found(wire_id))
        return Response(status=204)


def read_scheduled_time(text: Any) -> datetime.datetime:
    """`203001010000+0000`, as the command line sends it, or any time with its zone."""
    found = COMPACT.fullmatch(text.strip()) if isinstance(text, str) else None
    try:
        moment = (
            datetime.datetime.strptime("".join(found.groups()), "%Y%m%d%H%M%z")
            if found
            else datetime.datetime.fromisoformat(str(text).strip())
        )
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise bad_parameters(
            f"scheduled_time: `{text}` is not a time with a zone; write it as {timezone.now():%Y%m%d%H%M}+0000"
        )
    return moment.astimezone(datetime.UTC)
