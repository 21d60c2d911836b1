"""The page of permissions: a table of actions by roles, what a change would do to whom, and the change."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from accounts import rights
from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.models import TenantRole
from accounts.permissions import needs
from accounts.requests import PersonRequest
from accounts.rights_words import WORDS
from accounts.roles import ACTIONS, FIXED_ACTIONS, Rights, read_rights


@needs("permission.manage")
def permission_table(request: PersonRequest) -> HttpResponse:
    """Who may what. POST `what`: preview, reset (a preview of the defaults), apply (what was seen, by its digest)."""
    now, found = read_rights(), None
    what = request.POST.get("what", "") if request.method == "POST" else ""
    wanted = rights.defaults() if what == "reset" else ticked(request) if what else {}
    if what == "apply":
        try:
            cells = rights.change_rights(by=actor_of(request), wanted=wanted, digest=request.POST.get("digest", ""))
        except Conflict as error:
            messages.error(request, str(error))
        else:
            messages.success(request, f"{len(cells)} permission{'s' if len(cells) != 1 else ''} changed, from now on.")
            return redirect("permissions")
    if what:
        found = rights.preview(wanted)
    shown = {"groups": table(now, rights.changed(now, wanted)), "roles": list(TenantRole), "found": found}
    shown["is_changed"] = any(now[action] != ACTIONS[action] for action in ACTIONS)
    return render(request, "accounts/permissions.html", shown)


def ticked(request: PersonRequest) -> dict[rights.Cell, bool]:
    """Every cell of the table as it was sent: without its tick it is taken away."""
    sent = set(request.POST.getlist("may"))
    return {(role, action): f"{role.value}:{action}" in sent for role, action in rights.defaults()}


def table(now: Rights, then: Rights) -> list[dict[str, Any]]:
    """The table in its groups: of each cell whether it is ticked, differs from the default, or would change."""
    return [
        {"title": title, "rows": [row(action, words, now, then) for action, words in actions.items()]}
        for title, actions in WORDS.items()
    ]


def row(action: str, words: str, now: Rights, then: Rights) -> dict[str, Any]:
    """One action."""
    cells = [
        {
            "role": role,
            "name": f"{role.value}:{action}",
            "is_allowed": role in then[action],
            "is_default": role in ACTIONS[action],
            "differs": (role in then[action]) != (role in ACTIONS[action]),
            "changes": (role in then[action]) != (role in now[action]),
        }
        for role in TenantRole
    ]
    return {"action": action, "words": words, "is_fixed": action in FIXED_ACTIONS, "cells": cells}
