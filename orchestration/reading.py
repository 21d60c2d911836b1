"""Reads what a blueprint archive says of itself, for inventory.blueprints (setting BLUEPRINT_READER); stores no rows."""

from __future__ import annotations

import hashlib

from django.core.exceptions import ValidationError

from inventory.blueprints import BlueprintFacts
from orchestration.archives import ArchiveError
from orchestration.folders import root, unpack_bytes
from orchestration.runner_types import BlueprintProblem, Row, RunnerError
from orchestration.supervisor import supervisor


def read_blueprint(content: bytes, main_file: str) -> BlueprintFacts:
    """See inventory.blueprints.read_blueprint. ValidationError under `archive` or `main_file`."""
    try:
        unpack_bytes(content)
        place = root() / hashlib.sha256(content).hexdigest()
        folder = next(entry for entry in place.iterdir() if entry.is_dir())
        if not (folder / main_file).is_file():
            found = ", ".join(sorted(path.name for path in folder.glob("*.y*ml"))[:5]) or "none"
            raise ValidationError(
                {
                    "main_file": f"{main_file} is not in the archive. Name the main file; YAML files in its top folder: {found}."
                }
            )
        plan = supervisor.host.parse(folder, main_file)
    except ArchiveError as error:
        raise ValidationError({"archive": str(error)}) from None
    except BlueprintProblem as problem:
        where = f" (line {problem.line})" if problem.line else ""
        raise ValidationError({"archive": f"The blueprint does not parse{where}: {problem.message}"}) from None
    except RunnerError as error:
        raise ValidationError({"archive": str(error)}) from None
    return facts_of(plan)


def facts_of(plan: Row) -> BlueprintFacts:
    """A parsed plan, reduced."""
    return BlueprintFacts(
        inputs=plan.get("inputs") or {},
        capabilities=sorted(plan.get("capabilities") or {}),
        nodes=[str(node.get("name") or node.get("id")) for node in plan.get("nodes") or ()],
        requirements=plan.get("requirements") or {},
        description=plan.get("description") or "",
    )
