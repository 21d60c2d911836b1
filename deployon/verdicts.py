"""What a rollout would do with one environment, judged from what we know of it; pure: no database, no network."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import Any

from deployon.inputs import canonical
from deployon.models import Placement, Rollout, ServiceVersion
from inventory.driver import Situation, inputs_hash
from inventory.models import Environment

KINDS = ("create", "remove", "differs", "stays", "excluded")


@dataclasses.dataclass(frozen=True)
class Row:
    """One environment of a preview. `code` is the reason in one word (part of the digest), `why` the reason for people."""

    environment: int
    name: str
    site: str = ""
    code: str = ""
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the rollout wants on every environment."""

    action: str
    version: ServiceVersion
    inputs: dict[str, Any]
    inputs_hash: str


@dataclasses.dataclass(frozen=True)
class Found:
    """What a survey saw at the sub-manager; `error` where it could not look. Stored as JSON with the preview."""

    situation: str = ""  # an inventory.driver Situation
    difference: str = ""  # owner, digest, blueprint or inputs: in what it is not what is wanted; "" in nothing
    why: str = ""  # the same in words
    error: str = ""
    kind: str = ""  # of the error: an ErrorKind


_STATE_REASONS = {
    Environment.State.UNREACHABLE: "It is unreachable: {why} Repair the connection and preview again.",
    Environment.State.MAINTENANCE: "It is in maintenance: {why} Preview again when that is over.",
    Environment.State.UNKNOWN: "Nobody has reached it yet: {why} Probe it and preview again.",
}


def judge(
    wanted: Wanted, environment: Environment, placement: Placement | None, holder: str = "", found: Found | None = None
) -> tuple[str, Row]:
    """(one of KINDS, its row). `holder` names the active run that works at this placement, if any."""
    kind, code, why = _verdict(wanted, environment, placement, holder, found)
    deployment = environment.deployment
    site = deployment.site.name if deployment.site else ""
    return kind, Row(environment.pk, deployment.display_name, site, code, why)


def _verdict(
    wanted: Wanted, environment: Environment, placement: Placement | None, holder: str, found: Found | None
) -> tuple[str, str, str]:
    if environment.state in _STATE_REASONS:
        said = environment.why.rstrip(". ")
        why = _STATE_REASONS[Environment.State(environment.state)].format(why=f"{said}." if said else "")
        return "excluded", environment.state, " ".join(why.split())
    if found is not None and found.error:
        return "excluded", found.kind or "survey", found.error
    if wanted.action == Rollout.Action.UNINSTALL:
        return _verdict_to_remove(placement, found)
    if reason := cannot_upload(wanted.version, environment):
        return "excluded", "role", reason
    if found is not None:
        return _compare_found(found, holder)
    if placement is None:
        return "create", "", ""
    return _compare_known(wanted, placement, holder)


def _verdict_to_remove(placement: Placement | None, found: Found | None) -> tuple[str, str, str]:
    if found is not None:
        is_there = found.situation != Situation.ABSENT
    else:
        is_there = placement is not None and placement.state != Placement.State.ABSENT
    if placement is None or not is_there:
        return "stays", "absent", "The service is not there."
    return "remove", "", ""


def _compare_found(found: Found, holder: str) -> tuple[str, str, str]:
    if found.difference:
        return "differs", found.difference, found.why
    if found.situation == Situation.REMOVING:
        return (
            "differs",
            "removing",
            f"It is being removed{f' by {holder}' if holder else ''}. Preview again when that has ended.",
        )
    if found.situation == Situation.INSTALLED and not holder:
        return "stays", "", "The same version with the same inputs is there."
    if found.situation == Situation.ABSENT:
        return "create", "", ""
    return "create", "", "It was begun there before; the rollout goes on with it."


def _compare_known(wanted: Wanted, placement: Placement, holder: str) -> tuple[str, str, str]:
    """By our own knowledge: what is there, or what is about to be."""
    is_there = bool(placement.actual_digest)
    digest = (
        placement.actual_digest
        if is_there
        else (placement.desired_version.content_digest if placement.desired_version else "")
    )
    known_hash = placement.actual_inputs_hash if is_there else inputs_hash(placement.desired_inputs)
    if placement.state == Placement.State.DIFFERS:
        return "differs", "foreign", placement.why
    if placement.state == Placement.State.REMOVING and holder:
        return "differs", "removing", f"It is being removed by {holder}. Preview again when that has ended."
    if not is_there and not holder:
        return "create", "", ""
    if digest != wanted.version.content_digest:
        return "differs", "content", _other_content(placement, is_there, holder)
    if known_hash != wanted.inputs_hash:
        if not is_there:
            return (
                "differs",
                "inputs",
                f"{holder} is putting it there with other inputs. Preview again when that has ended.",
            )
        return "differs", "inputs", "It is there with other inputs. Uninstall it first to put it there with these."
    if placement.state == Placement.State.DEPLOYED:
        return "stays", "", "The same version with the same inputs is there."
    return "create", "", f"{holder} works there now; this one waits for it." if holder else ""


def _other_content(placement: Placement, is_there: bool, holder: str) -> str:
    version = placement.desired_version
    what = f"version {version.number}" if version else "another content"
    if is_there:
        return f"It is there as {what}. Uninstall it first to put this version there."
    return f"{holder} is putting {what} there. Preview again when that has ended."


def cannot_upload(version: ServiceVersion, environment: Environment) -> str:
    """Why this environment's credential may not receive an upload, by its last probe; "" where it may, or nobody knows."""
    if version.source != ServiceVersion.Source.PUSHED:
        return ""
    probe = getattr(environment, "last_probe", None)
    for rung in probe.rungs if probe is not None else ():
        if rung.get("key") == "role" and rung.get("state") in ("failed", "warned"):
            return (
                f"Its credential may not upload blueprints: {rung.get('detail', '')} {rung.get('remedy', '')}".strip()
            )
    return ""


def digest_of(wanted: Wanted, rows: dict[str, list[Row]]) -> str:
    """SHA-256 over everything that would happen: what, with which inputs, to which environments, and which are left alone."""
    content = {
        "action": wanted.action,
        "version": [wanted.version.pk, wanted.version.content_digest],
        "inputs": wanted.inputs_hash,
        **{kind: sorted([row.environment, row.code] for row in rows[kind]) for kind in KINDS},
    }
    return hashlib.sha256(canonical(content)).hexdigest()


def changes(before: dict[str, list[dict[str, Any]]], after: dict[str, list[dict[str, Any]]], shown: int = 5) -> str:
    """In words, which environments would now be treated in another way than a preview said."""
    words = {
        "create": "would be deployed to",
        "remove": "would be removed from",
        "differs": "differs and would be left alone",
        "stays": "needs nothing",
        "excluded": "is excluded",
    }

    def flat(content: dict[str, list[dict[str, Any]]]) -> dict[int, tuple[str, dict[str, Any]]]:
        return {row["environment"]: (kind, row) for kind in KINDS for row in content.get(kind, [])}

    old, new = flat(before), flat(after)
    found = [f"{row['name']} no longer matches" for key, (_, row) in old.items() if key not in new]
    for key, (kind, row) in new.items():
        if key not in old:
            found.append(f"{row['name']} is new and {words[kind]}")
        elif (old[key][0], old[key][1]["code"]) != (kind, row["code"]):
            found.append(f"{row['name']} now {words[kind]}" + (f" ({row['why']})" if row["why"] else ""))
    rest = len(found) - shown
    return "; ".join(found[:shown]) + (f"; and {rest} more" if rest > 0 else "")


def as_content(rows: dict[str, list[Row]]) -> dict[str, list[dict[str, Any]]]:
    """As stored and shown: lists by kind, environments by name."""
    return {kind: [dataclasses.asdict(row) for row in rows[kind]] for kind in KINDS}


def sort_rows(verdicts: Iterable[tuple[str, Row]]) -> dict[str, list[Row]]:
    """Rows by kind, each list by name."""
    rows: dict[str, list[Row]] = {kind: [] for kind in KINDS}
    for kind, row in verdicts:
        rows[kind].append(row)
    for found in rows.values():
        found.sort(key=lambda row: (row.name, row.environment))
    return rows
