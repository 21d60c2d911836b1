"""Parsing, preparing and evaluating, each in a short-lived child under limits; the portal itself never imports the parser."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestration.runner_process import Child, LineTooLong
from orchestration.runner_types import BlueprintProblem, EvaluationStorage, JobHost, PlanStorage, Row

COPIED_FILE = 2 << 20
COPIED_TOTAL = 32 << 20


def parse(host: JobHost, folder: Path, main_file: str) -> Row:
    """See RunnerHost.parse. The child sees a copy: the portal's own folders are closed to it."""

    def fill(work: Path) -> None:
        copy_for_parser(folder, work / "blueprint", main_file)

    settings = host.settings
    message = {"name": "parse", "folder": "blueprint", "main_file": main_file}
    plan = host.job("parser", message, None, settings.parse_wall, fill=fill, limits={"cpu": settings.parse_cpu})
    return dict(plan)


def prepare(host: JobHost, plan: Row, inputs: Row, storage: PlanStorage, *, auto_correct_types: bool) -> Row:
    """See RunnerHost.prepare."""
    message = {"name": "prepare", "plan": plan, "inputs": inputs, "auto_correct_types": auto_correct_types}
    settings = host.settings
    return dict(host.job("parser", message, storage, settings.parse_wall, limits={"cpu": settings.parse_cpu}))


def modify(host: JobHost, **parts: Any) -> dict[str, list[Row]]:
    """Instances to add and to remove, see runner.jobs.modify: nodes, previous_nodes, previous_node_instances, scaling_groups."""
    message = {"name": "modify", "modified_nodes": {}, **parts}
    settings = host.settings
    return dict(host.job("parser", message, None, settings.parse_wall, limits={"cpu": settings.parse_cpu}))


def evaluate(host: JobHost, of: str, payload: Any, context: Row | None, storage: EvaluationStorage) -> Any:
    """See RunnerHost.evaluate."""
    message = {"name": "evaluate", "of": of, "payload": payload, "context": context}
    settings = host.settings
    return host.job("parser", message, storage, settings.evaluate_wall, limits={"cpu": settings.parse_cpu})


def finish(messages: Iterator[Row], child: Child, storage: Any) -> Any:
    """Answer questions until the job is done."""
    try:
        for message in messages:
            if message.get("t") == "ask":
                child.send(answer(storage, message))
            elif message.get("t") == "done":
                if "problem" in message:
                    problem = message["problem"]
                    raise BlueprintProblem(problem["kind"], problem["message"], problem["code"], problem["line"])
                return message["value"]
            elif message.get("t") == "broken":
                raise BlueprintProblem("internal", f"The parser could not start: {message.get('error')}")
    except TimeoutError:
        raise BlueprintProblem("limit", "The blueprint takes too long to read; make it simpler.") from None
    except LineTooLong:
        raise BlueprintProblem("limit", "The blueprint's plan is too large; make it simpler.") from None
    raise BlueprintProblem(
        "limit", "The blueprint needs more processor time or memory than a blueprint may; make it simpler."
    )


def answer(storage: Any, message: Row) -> Row:
    """The answer to one question of a job."""
    allowed = ("secret_exists", "matching_values")
    name = str(message.get("name"))
    if storage is None or not (name in allowed or name.startswith("get_")) or not hasattr(storage, name):
        return {"missing": f"{name} is not available here"}
    try:
        value = getattr(storage, name)(*message.get("arguments", []))
        json.dumps(value)
    except (LookupError, TypeError) as error:
        return {"missing": str(error.args[0] if error.args else error)}
    return {"value": value}


def copy_for_parser(source: Path, target: Path, main_file: str) -> None:
    """Copy what the parser reads (YAML) and leave an empty file for all else, whose existence is all that it asks for."""
    total = 0
    wanted = os.path.normpath(main_file)
    target.mkdir()
    target.chmod(0o755)
    for folder, folders, files in os.walk(source):
        place = target / os.path.relpath(folder, source)
        for name in folders:
            (place / name).mkdir()
            (place / name).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                continue
            is_yaml = name.lower().endswith((".yaml", ".yml")) or os.path.relpath(path, source) == wanted
            if is_yaml and status.st_size <= COPIED_FILE and total + status.st_size <= COPIED_TOTAL:
                total += status.st_size
                shutil.copyfile(path, place / name)
            else:
                (place / name).touch()
            (place / name).chmod(0o644)
