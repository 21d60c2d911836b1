"""Prepared plans as lists show them: each one that differs is read and made JSON once, however many deployments have it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.db.models import ExpressionWrapper, F, Min, TextField

from orchestration.models import LocalDeployment
from orchestration.wire.plain import encode, text_of
from orchestration.workflows import listed_workflows

KEPT = 512  # plans that a process remembers


class Plan:
    """The prepared plan of deployments; it is shown and never changed."""

    def __init__(self, text: str) -> None:
        self.content: dict[str, Any] = json.loads(text) or {}
        self._texts: dict[str, str] = {}
        self._workflows: dict[tuple[str, ...], tuple[list[dict[str, Any]], str]] = {}

    def text(self, name: str) -> str:
        """A part of it as JSON."""
        found = self._texts.get(name)
        if found is None:
            found = self._texts[name] = text_of(self.content.get(name))
        return found

    def workflows(self, states: tuple[str, ...]) -> tuple[list[dict[str, Any]], str]:
        """The workflows for instances in these states, and the same as JSON."""
        found = self._workflows.get(states)
        if found is None:
            listed = listed_workflows(self.content, states)
            found = listed, encode(listed)
            if len(self._workflows) >= KEPT:
                self._workflows.clear()
            self._workflows[states] = found
        return found


_KNOWN: dict[str, Plan] = {}


def plans_of(digests: Sequence[str]) -> dict[str, Plan]:
    """The plans with these digests. What has the same digest is the same plan, so nothing here goes stale."""
    wanted = set(digests)
    found = {digest: plan for digest in wanted if (plan := _KNOWN.get(digest)) is not None}
    if missing := wanted - found.keys():
        # One deployment of each: the others would have to be read to see that they have the same.
        keys = LocalDeployment.objects.filter(plan_digest__in=missing).values("plan_digest").annotate(key=Min("pk"))
        rows = LocalDeployment.objects.filter(pk__in=[row["key"] for row in keys])
        as_text = ExpressionWrapper(F("plan"), output_field=TextField())  # it is parsed here, once
        read = {digest: Plan(text) for digest, text in rows.values_list("plan_digest", as_text)}
        found |= read
        if len(_KNOWN) + len(read) > KEPT:
            _KNOWN.clear()
        _KNOWN.update(list(read.items())[:KEPT])
    return found
