"""What the calls about modifications of its deployment mean for a running `scale`."""

from __future__ import annotations

import re
from typing import Any, Protocol, cast

from orchestration.errors import Refused
from orchestration.runner_routes import error, listing, route
from orchestration.runner_types import Answer, Call, Row, Store

START = "/deployment-modifications"


class ModificationStore(Protocol):
    """What of a Store these calls use; see gateway_modifications."""

    def modifications(self, status: str | None) -> list[Row]: ...
    def modification(self, modification_id: str) -> Row: ...
    def start_modification(self, nodes: Row, context: Any) -> Row: ...
    def end_modification(self, modification_id: str, verb: str) -> Row: ...


def of(store: Store) -> ModificationStore:
    """The store, for these calls."""
    return cast(ModificationStore, store)


@route("GET", r"/deployment-modifications")
def get_modifications(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """Those of this deployment, all or in one state."""
    return listing(of(store).modifications(call.query.get("status")))


@route("GET", r"/deployment-modifications/([^/]+)")
def get_modification(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """One of them."""
    return Answer(200, of(store).modification(found[1]))


@route("POST", START)
def start_modification(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """Add what is to be added, and say what is to be installed or uninstalled."""
    try:
        return Answer(201, of(store).start_modification(call.body.get("nodes") or {}, call.body.get("context")))
    except Refused as refused:
        return error(refused.status, refused.code, refused.message)


@route("POST", r"/deployment-modifications/([^/]+)/(finish|rollback)")
def end_modification(store: Store, call: Call, found: re.Match[str]) -> Answer:
    """The workflow has done its part, or failed at it."""
    try:
        return Answer(200, of(store).end_modification(found[1], found[2]))
    except Refused as refused:
        return error(refused.status, refused.code, refused.message)
