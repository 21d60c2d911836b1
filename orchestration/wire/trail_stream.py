"""The audit trail as it grows, a line of JSON an entry: what `cfy auditlog list --follow` reads."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import StreamingHttpResponse
from django.utils import timezone
from rest_framework.request import Request

from accounts.models import AuditEntry, Tenant, User
from accounts.reads import visible_audit
from accounts.roles import may
from orchestration.wire.times import read_time
from orchestration.wire.trail import told
from orchestration.wire.views import WireView

LOOK_SECONDS = 1.0
BEAT_SECONDS = 15.0  # an empty line, so that an end of the other side is noticed
LONGEST_SECONDS = 3600.0  # then the client asks again
OVERLAP = 100  # entries that may be stored later than younger ones
AT_ONCE = 500


class Trail:
    """What one follower has been told."""

    def __init__(self, user: User, tenant: Tenant, chosen: dict[str, Any]) -> None:
        self.user, self.tenant, self.chosen = user, tenant, chosen
        self._told: set[int] = set()
        self._newest = 0

    def more(self) -> list[dict[str, object]] | None:
        """Entries that were not told yet, the oldest first; None where the user may not see them any more."""
        try:
            user = User.objects.filter(pk=self.user.pk, is_active=True).first()
            if user is None or not may(user, "audit.view", self.tenant):
                return None
            rows = visible_audit(user, self.tenant).filter(pk__gt=self._newest - OVERLAP, **self.chosen)
            found = list(rows.exclude(pk__in=self._told).order_by("pk")[:AT_ONCE])
            self._told |= {row.pk for row in found}
            self._newest = max([self._newest, *self._told])
            self._told = {pk for pk in self._told if pk > self._newest - 2 * OVERLAP}
            return [told(row) for row in found]
        finally:
            if not connection.in_atomic_block:
                connection.close()


async def lines(trail: Trail) -> AsyncIterator[bytes]:
    """Entry by entry, until the client goes, or may not look any more."""
    begun = said = time.monotonic()
    yield b"\n"
    while time.monotonic() - begun < LONGEST_SECONDS:
        found = await sync_to_async(trail.more, thread_sensitive=False)()
        if found is None:
            return
        if found or time.monotonic() - said > BEAT_SECONDS:
            said = time.monotonic()
            yield b"".join(json.dumps(entry).encode() + b"\n" for entry in found) or b"\n"
        if len(found) < AT_ONCE:
            await asyncio.sleep(LOOK_SECONDS)


class AuditStream(WireView):
    """GET /audit/stream: what is done from now on, or since a time."""

    needs = {"GET": "audit.view"}
    resource = "audit_log"

    def get(self, request: Request) -> StreamingHttpResponse:
        query = request.query_params
        since = query.get("since")
        chosen: dict[str, Any] = {"at__gte": read_time(since, "since") if since else timezone.now()}
        if name := query.get("creator_name"):
            chosen["actor"] = name
        if query.get("execution_id"):  # no entry names one
            chosen["pk__in"] = AuditEntry.objects.none()
        reply = StreamingHttpResponse(lines(Trail(self.user, self.tenant, chosen)), content_type="text/event-stream")
        reply["Content-Encoding"] = "identity"  # a compressor would hold lines back
        reply["X-Accel-Buffering"] = "no"
        reply["Cache-Control"] = "no-store"
        return reply
