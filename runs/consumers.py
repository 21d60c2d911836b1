"""The websocket of a run: a snapshot, all events after a cursor, then what happens, as it happens."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from accounts.websockets import still_may
from runs.hub import PAGE, Subject, Tail, Viewer, encode_events, hub, read_events, read_state
from runs.models import Run

RECHECK_SECONDS = 30.0  # how long somebody who was signed out or lost a role may look on
UNPROVEN, FORBIDDEN, UNKNOWN = 4401, 4403, 4404


def find_run(run_id: int) -> Run | None:
    return Run.objects.select_related("tenant").filter(pk=run_id).first()


class RunConsumer(AsyncWebsocketConsumer):
    """/ws/runs/<id>/?after=<cursor>. Events may come twice after a reconnect: drop them by id."""

    needs = "run.view"  # in the tenant of the run

    async def connect(self) -> None:
        self.viewer: Viewer | None = None
        self.sender: asyncio.Task[None] | None = None
        run_id = int(self.scope["url_route"]["kwargs"]["run_id"])
        await self.accept()  # a code can only be told on an open socket
        if not self.scope["user"].is_authenticated:
            await self.close(UNPROVEN, "Sign in, or send `Authorization: Token ctok-...`.")
            return
        run = await database_sync_to_async(find_run)(run_id)
        if run is None:
            await self.close(UNKNOWN, "There is no such run.")
            return
        self.tenant, self.subject = run.tenant, Subject(run.pk, run.top_id)
        if not await still_may(self.scope, self.needs, self.tenant):
            await self.close(FORBIDDEN, "You may not see this run: ask for a role in its tenant.")
            return
        after = parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get("after", ["0"])[0]
        cursor = int(after) if after.isdecimal() and len(after) < 19 else 0
        self.viewer = Viewer(cursor)
        self.sender = asyncio.create_task(self.send_all(self.viewer))

    async def disconnect(self, code: int) -> None:
        if self.sender is not None:
            self.sender.cancel()
        if self.viewer is not None:
            hub().leave(self.subject, self.viewer)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Nothing is expected from a viewer."""

    async def send_all(self, viewer: Viewer) -> None:
        """Everything this socket sends, in order."""
        tail = await hub().join(self.subject, viewer)
        state = await database_sync_to_async(read_state)(self.subject)
        await self.send(json.dumps({"type": "snapshot", **(state or {}), "cursor": tail.cursor}))
        checked_at = time.monotonic()
        while True:
            if not viewer.is_live:
                await self.catch_up(viewer, tail)
            try:
                text, cursor = await asyncio.wait_for(viewer.queue.get(), RECHECK_SECONDS)
            except TimeoutError:
                text, cursor = "", 0
            if text:
                await self.send(text)
                viewer.cursor = max(viewer.cursor, cursor)
            if time.monotonic() - checked_at >= RECHECK_SECONDS:
                checked_at = time.monotonic()
                if not await still_may(self.scope, self.needs, self.tenant):
                    await self.close(FORBIDDEN, "You may not see this run any more.")
                    return

    async def catch_up(self, viewer: Viewer, tail: Tail) -> None:
        """Read from the database until nothing lies between this viewer and what the tail sends."""
        while True:
            events: list[dict[str, Any]] = await database_sync_to_async(read_events)(self.subject, viewer.cursor)
            if events:
                viewer.cursor = events[-1]["id"]
                viewer.sent = {*sorted(viewer.sent)[-PAGE:], *(event["id"] for event in events)}
                await self.send(encode_events(events, viewer.cursor))
            # No pause between this test and going live: what the tail reads from now on comes through the queue.
            if len(events) < PAGE and viewer.cursor >= tail.cursor:
                viewer.is_live = True
                if tail.state_text:
                    viewer.put(tail.state_text)
                return
