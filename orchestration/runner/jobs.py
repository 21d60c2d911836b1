"""The short jobs of a child: parse a blueprint, prepare a deployment, evaluate functions; nothing here runs a script."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

import dsl_parser.utils
import yaml
from dsl_parser import exceptions
from dsl_parser import tasks as parser_tasks
from dsl_parser.framework import parser as framework_parser

from .checks import check_plan
from .evaluation import evaluate
from .output import cut
from .resolver import FolderResolver, read_limited
from .wire import Channel, MissingError
from .wrappers import check_wrappers

MESSAGE_LIMIT = 1_000
NO_LINE = None


class Problem(Exception):
    """What is wrong with a blueprint or its inputs, for a person."""

    def __init__(self, kind: str, message: str, code: int | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.value = {"kind": kind, "message": message, "code": code, "line": line}


KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (exceptions.MissingRequiredInputError, "missing_input"),
    (exceptions.UnknownInputError, "unknown_input"),
    (exceptions.ConstraintException, "constraint"),
    (exceptions.UnknownSecretError, "unknown_secret"),
    (exceptions.UnsupportedGetSecretError, "unknown_secret"),
    (exceptions.FunctionEvaluationError, "function"),
    (exceptions.EvaluationRecursionLimitReached, "function"),
    (exceptions.DSLParsingException, "dsl"),
    (yaml.YAMLError, "yaml"),
    (RecursionError, "too_deep"),
    (MemoryError, "too_big"),
)


def run(channel: Channel) -> None:
    """Take one job, answer with its value or its problem."""
    job = channel.receive()
    folder = os.path.realpath(job.get("folder") or ".")
    try:
        value = JOBS[job["name"]](channel, job)
    except Problem as problem:
        answer: dict[str, Any] = {"t": "done", "problem": problem.value}
    except Exception as error:
        answer = {"t": "done", "problem": describe(error, folder)}
    else:
        answer = {"t": "done", "value": value}
    channel.send(answer)


def describe(error: BaseException, folder: str) -> dict[str, Any]:
    """An exception as {kind, message, code, line}; paths of this machine are taken out."""
    kind = next((kind for types, kind in KINDS if isinstance(error, types)), "internal")
    message = {"too_deep": "the blueprint is nested too deeply", "too_big": "the blueprint needs too much memory"}.get(
        kind
    )
    if message is None:
        message = str(error) or type(error).__name__
        for prefix in (folder, os.path.dirname(folder)):
            message = (
                message.replace(f"file://{prefix}/", "")
                .replace(f"file:{prefix}/", "")
                .replace(f"{prefix}/", "")
                .replace(prefix, ".")
            )
    if kind == "internal":
        message = f"the blueprint cannot be used: {type(error).__name__}: {message}"
    code = getattr(error, "err_code", None)
    return {
        "kind": kind,
        "message": cut(message, MESSAGE_LIMIT),
        "code": code if isinstance(code, int) else None,
        "line": line_of(error),
    }


def line_of(error: BaseException) -> int | None:
    """The line, counted from 1, if the exception knows it."""
    element = getattr(error, "element", None)
    for name in ("name_start_line", "start_line"):
        line = getattr(element, name, None)
        if isinstance(line, int):
            return line + 1
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return int(mark.line) + 1
    found = re.search(r"in line: (\d+)|line (\d+), column", str(error))
    return int(found.group(1) or found.group(2)) if found else NO_LINE


def parse(channel: Channel, job: dict[str, Any]) -> dict[str, Any]:
    """The plan of a blueprint folder."""
    folder = os.path.realpath(job["folder"])
    main = os.path.realpath(os.path.join(folder, job["main_file"]))
    if os.path.commonpath([main, folder]) != folder or not os.path.isfile(main):
        raise Problem("no_main_file", f"The archive has no file '{job['main_file']}': name the blueprint's main file.")
    resolver = FolderResolver(folder)
    resolver.texts[job["main_file"]] = read_limited(main)
    os.makedirs("empty", exist_ok=True)
    os.chdir("empty")
    dsl_parser.utils.url_exists = _file_exists_in(folder)
    try:
        plan = parser_tasks.parse_dsl(main, folder, resolver=resolver)
    except exceptions.DSLParsingException as error:
        if not resolver.absent_plugins:
            raise
        told = describe(error, folder)
        names = ", ".join(f"'{name}'" for name in resolver.absent_plugins)
        hint = f"The blueprint imports {names}, which is not here: only scripts and components run on this manager."
        told["message"] = cut(f"{hint} {told['message']}", MESSAGE_LIMIT)
        raise Problem(**told) from None
    plain = json.loads(json.dumps(plan))
    check_plan(plain, folder, Problem)
    return {**plain, "warnings": warnings_of(plain, resolver)}


def warnings_of(plan: dict[str, Any], resolver: FolderResolver) -> list[str]:
    """What its author should know and what does no harm; Problem for mistakes in what reaches a remote manager."""
    found = [
        f"The plugin '{name}' is not here; the blueprint uses nothing of it, so its import is passed over."
        for name in resolver.absent_plugins
    ]
    for name, text in resolver.texts.items():

        def fail(message: str, line: int, file: str = name) -> Problem:
            return Problem("component", f"{file}, line {line}: {message}", line=line)

        check_wrappers(text, plan, fail, lambda message, file=name: found.append(f"{file}, {message}"))  # type: ignore[misc]
    return found


def _file_exists_in(folder: str) -> Callable[[str], bool]:
    """The parser asks this for each implementation; it must neither open addresses nor look outside the folder."""

    def exists(url: str) -> bool:
        real = os.path.realpath(re.sub(r"^file:(//)?", "", url))
        return os.path.commonpath([real, folder]) == folder and os.path.isfile(real)

    return exists


class ValuesGetter:
    """Answers constraints of inputs such as `type: deployment_id` by asking the portal which values match."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def has_deployment_id(self) -> bool:
        """Is there a deployment to look in?"""
        return False

    def get(self, data_type: str, value: Any, **constraints: Any) -> set[Any]:
        """The values of this type that match."""
        return set(self.channel.ask("matching_values", data_type, value, constraints))


def prepare(channel: Channel, job: dict[str, Any]) -> dict[str, Any]:
    """The plan with inputs put in and node instances made; `secrets` are the names that it may ask for later."""
    names: list[str] = []

    def secret_exists(name: str) -> str:
        if not channel.ask("secret_exists", name):
            raise MissingError(name)
        names.append(name)
        return "unknown-at-plan-time"

    plan = parser_tasks.prepare_deployment_plan(
        job["plan"],
        get_secret_method=secret_exists,
        inputs=job["inputs"],
        values_getter=ValuesGetter(channel),
        auto_correct_types=bool(job.get("auto_correct_types")),
        existing_ni_ids=job.get("existing_ni_ids"),
    )
    plain = json.loads(json.dumps(plan))
    check_secret_names(plain)
    plain["secrets"] = sorted(set(names))
    return dict(plain)


def check_secret_names(value: Any) -> None:
    """What may be asked for at run time is what was named at plan time: refuse names that are functions themselves."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            waiting += item.values()
            name = item.get("get_secret") if len(item) == 1 else None
            name = name[0] if isinstance(name, list) and name else name
            if name is not None and not isinstance(name, str):
                raise Problem(
                    "dynamic_secret",
                    "A secret's name must be known when the deployment is created: get_secret of a function is not supported.",
                )


def modify(channel: Channel, job: dict[str, Any]) -> dict[str, Any]:
    """The instances to add and to remove when nodes are scaled."""
    names = ("nodes", "previous_nodes", "previous_node_instances", "modified_nodes", "scaling_groups")
    return dict(json.loads(json.dumps(parser_tasks.modify_deployment(**{name: job[name] for name in names}))))


def patch_points(channel: Channel, job: dict[str, Any]) -> list[str]:
    """For a test and the status page: what of the library is missing."""
    from .boot import missing_patch_points

    assert framework_parser.recursive_simple_cycles.__module__.endswith("patches")
    return missing_patch_points()


JOBS: dict[str, Callable[[Channel, dict[str, Any]], Any]] = {
    "parse": parse,
    "prepare": prepare,
    "modify": modify,
    "evaluate": evaluate,
    "patch_points": patch_points,
}
