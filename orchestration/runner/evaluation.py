"""Evaluates intrinsic functions against rows that stay with the portal: every question goes over the pipe."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from dsl_parser import functions

from .wire import Channel


class Secret(dict[str, Any]):
    """A secret as the library reads it."""

    @property
    def value(self) -> Any:
        """Its value."""
        return self["value"]


class Storage:
    """What functions are evaluated against: every question goes to the portal, each once a job."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._known: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not name.startswith("get_"):
            raise AttributeError(name)

        def ask(*arguments: Any) -> Any:
            key = json.dumps([name, arguments], default=str)
            if key not in self._known:
                self._known[key] = self._channel.ask(name, *arguments)
            return copy.deepcopy(self._known[key])

        return ask

    def get_secret(self, key: str) -> Secret:
        """One secret."""
        return Secret(key=key, value=self._channel.ask("get_secret", key))

    secret_method = get_secret


def evaluate(channel: Channel, job: dict[str, Any]) -> Any:
    """Evaluate the functions in `payload`; `of` says what it is."""
    storage = Storage(channel)
    payload = job["payload"]
    if job["of"] == "payload":
        return functions.evaluate_functions(payload, job.get("context") or {}, storage)
    if job["of"] == "nodes":
        instance_id = (job.get("context") or {}).get("self")
        return [functions.evaluate_node_functions(node, storage, instance_context=instance_id) for node in payload]
    if job["of"] == "node_instance":
        return functions.evaluate_node_instance_functions(payload, storage)
    if job["of"] == "capabilities":
        return functions.evaluate_capabilities(payload, storage)
    if job["of"] == "outputs":
        return functions.evaluate_outputs(payload, storage)
    raise ValueError(f"nothing known of '{job['of']}'")
