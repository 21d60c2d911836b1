"""What a child may say: verbs and paths for each kind of pipe, sizes, counts, and the masking of secret values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from orchestration.runner_types import Row

ID = r"[\w.:@+-]{1,256}"
# What the library's workflow code asks (trusted code, but it handles data of blueprints).
WORKFLOW_CALLS = (
    ("PATCH", r"/executions/{execution}"),
    ("GET", r"/executions/{execution}"),
    ("GET", r"/deployments/{deployment}"),
    ("GET", r"/blueprints/{blueprint}"),
    (
        "GET",
        r"/(config|provider/context|plugins|nodes|node-instances|inter-deployment-dependencies|operations|resource)",
    ),
    ("GET", rf"/node-instances/{ID}"),
    ("PATCH", rf"/node-instances/{ID}"),
    ("GET", r"/tasks_graphs"),
    ("POST", r"/tasks_graphs/tasks_graphs"),
    ("PUT", rf"/operations/{ID}"),
    ("PATCH", rf"/operations/{ID}"),
    ("DELETE", rf"/operations/{ID}"),
    ("POST", r"/(events|evaluate/functions|deployment-modifications)"),
    ("GET", rf"/deployment-modifications(/{ID})?"),
    ("POST", rf"/deployment-modifications/{ID}/(finish|rollback)"),
)
# What the code of a blueprint may ask: it is hostile until proven otherwise.
OPERATION_CALLS = (
    ("GET", r"/executions/{execution}"),
    ("GET", r"/deployments/{deployment}"),
    ("GET", r"/blueprints/{blueprint}"),
    ("GET", r"/(config|provider/context|nodes|node-instances|resource)"),
    ("GET", rf"/node-instances/{ID}"),
    ("PATCH", r"/node-instances/({instances})"),
    ("POST", r"/(events|evaluate/functions)"),
    ("GET", r"/secrets/[^/]{{1,256}}"),
)
SHORTEST_MASKED = 4
MASK = "***"
CAUSE_LIMIT = 65_536


def compile_rules(calls: tuple[tuple[str, str], ...], **names: str) -> list[tuple[str, re.Pattern[str]]]:
    """The rules with this execution's own ids put in."""
    return [(method, re.compile(fill(pattern, names))) for method, pattern in calls]


def fill(pattern: str, names: dict[str, str]) -> str:
    """Replace {name}; braces of the expression itself stay."""
    for name, value in names.items():
        pattern = pattern.replace("{" + name + "}", value)
    return pattern.replace("{{", "{").replace("}}", "}")


def is_allowed(rules: list[tuple[str, re.Pattern[str]]], method: str, path: str) -> bool:
    """May this child make this call?"""
    return any(method == verb and pattern.fullmatch(path) for verb, pattern in rules)


class Masker:
    """Knows the secret values that were given to an execution, and takes them out of texts."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def learn(self, value: Any) -> None:
        """Remember a secret: each string in it, and each line of a long one, since scripts print line by line."""
        for text in strings_in(value):
            for part in {text, *text.split("\n"), text.strip()}:
                if len(part) >= SHORTEST_MASKED:
                    self._values.add(part)
        longest_first = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def mask(self, value: Any) -> Any:
        """The value with every known secret in its strings replaced."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self._pattern.sub(MASK, value)
        if isinstance(value, list):
            return [self.mask(item) for item in value]
        if isinstance(value, dict):
            return {key: self.mask(item) for key, item in value.items()}
        return value


def strings_in(value: Any) -> Iterator[str]:
    """All strings in a JSON value; one that is itself JSON is looked into as well."""
    if isinstance(value, str):
        yield value
        if value[:1] in "{[":
            import json

            try:
                yield from strings_in(json.loads(value))
            except ValueError:
                return
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and how much is missing."""
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text) - limit} more characters)"


class LogFilter:
    """Cuts and counts what an execution tells; after the limit one record says so and the rest is dropped."""

    def __init__(self, max_logs: int, message_limit: int) -> None:
        self.max_logs = max_logs
        self.message_limit = message_limit
        self.count = 0
        self._told = False

    def clean(self, body: Row, *, untrusted: bool) -> Row:
        """The body of POST /events as it may be stored."""
        events = [item for item in body.get("events") or [] if isinstance(item, dict)]
        if untrusted:
            # Only the workflow process tells what the workflow did.
            events = [item for item in events if item.get("event_type") == "plugin_event"]
        logs = [item for item in body.get("logs") or [] if isinstance(item, dict)]
        before = self.count
        self.count += len(logs) + (len(events) if untrusted else 0)
        if self.count > self.max_logs:
            logs, events = logs[: max(0, self.max_logs - before)], ([] if untrusted else events)
        if self.count > self.max_logs and not self._told:
            self._told = True
            text = f"The limit of {self.max_logs} log records for one execution is reached; what follows is not kept."
            logs = [*logs, {"level": "warning", "logger": "runner", "message": {"text": text}}]
        return {"events": [self._short(item) for item in events], "logs": [self._short(item) for item in logs]}

    def _short(self, item: Row) -> Row:
        message = item.get("message")
        text = str(message.get("text") if isinstance(message, dict) else message)
        return {**item, "message": {"text": cut(text, self.message_limit)}}
