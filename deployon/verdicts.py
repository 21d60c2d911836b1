"""What a rollout would do with one environment, judged from what we know of it; pure: no database, no network."""

from __future__ import annotations

import dataclasses
from typing import Any

from deployon.models import Placement, Rollout, ServiceVersion
from inventory.driver import Situation, inputs_hash
from inventory.models import Environment

KINDS = ("create", "update", "run", "remove", "differs", "stays", "excluded")
ACTING = KINDS[:4]


@dataclasses.dataclass(frozen=True)
class Row:
    """One environment of a preview. `code` is the reason in one word (part of the digest), `why` the reason for people."""

    environment: int
    name: str
    site: str = ""
    code: str = ""
    why: str = ""
    own: dict[str, list[Any]] = dataclasses.field(default_factory=dict)  # {input: [value, where it comes from]}
    inputs_hash: str = ""  # of all inputs, where it has some of its own
    steps: list[str] = dataclasses.field(default_factory=list)  # of an update, as the sub-manager says


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the rollout wants on an environment. `own` as in Row; `problem`: why this environment cannot have it."""

    action: str
    version: ServiceVersion
    inputs: dict[str, Any]
    inputs_hash: str
    own: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    problem: str = ""
    workflow: str = ""
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_put_there(self) -> bool:
        """Whether it ends with the service there, in this version, with these inputs."""
        return self.action in (Rollout.Action.DEPLOY, Rollout.Action.UPDATE)


@dataclasses.dataclass(frozen=True)
class Found:
    """What a survey saw at the sub-manager; `error` where it could not look. Stored as JSON with the preview."""

    situation: str = ""  # an inventory.driver Situation
    difference: str = ""  # owner, digest, blueprint or inputs: in what it is not what is wanted; "" in nothing
    why: str = ""  # the same in words
    error: str = ""
    kind: str = ""  # of the error: an ErrorKind
    steps: list[str] = dataclasses.field(
        default_factory=list
    )  # of an update, where the sub-manager could be asked for them
    dependents: list[str] = dataclasses.field(default_factory=list)  # ids of deployments there that stand on it


CHANGEABLE = frozenset(
    {"digest", "blueprint", "content", "inputs"}
)  # codes of differences that an update does away with
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
    own_hash = wanted.inputs_hash if wanted.own else ""
    steps = found.steps if found is not None and kind == "update" else []
    return kind, Row(environment.pk, deployment.display_name, site, code, why, wanted.own, own_hash, steps)


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
    if wanted.action == Rollout.Action.WORKFLOW:
        return _verdict_to_run(placement, holder, found)
    if wanted.problem:
        return "excluded", "inputs", wanted.problem
    if reason := cannot_upload(wanted.version, environment):
        return "excluded", "role", reason
    if found is not None:
        verdict = _compare_found(found, holder)
    elif placement is None:
        return "create", "", ""
    else:
        verdict = _compare_known(wanted, placement, holder)
    if wanted.action == Rollout.Action.UPDATE and placement is not None and not holder:
        return _updated(verdict, placement)
    return verdict


def _updated(verdict: tuple[str, str, str], placement: Placement) -> tuple[str, str, str]:
    """What an update makes of a verdict: other content and inputs of our own are no obstacle any more."""
    kind, code, _ = verdict
    if kind != "differs" or code not in CHANGEABLE:
        return verdict
    version = placement.desired_version
    now = f"It is there as version {version.number}" if version else "It is there with another content"
    words = {"inputs": "It is there with other inputs."}
    return "update", code, words.get(code, f"{now}.")


def _verdict_to_run(placement: Placement | None, holder: str, found: Found | None) -> tuple[str, str, str]:
    """A workflow runs where the service stands, however it is."""
    is_there = placement is not None and bool(placement.actual_digest)
    if found is not None:
        is_there = placement is not None and found.situation != Situation.ABSENT
    if not is_there:
        return "stays", "absent", "The service is not there."
    if holder:
        return "run", "", f"{holder} works there now; this one waits for it."
    return "run", "", ""


def _verdict_to_remove(placement: Placement | None, found: Found | None) -> tuple[str, str, str]:
    if found is not None:
        is_there = found.situation != Situation.ABSENT
    else:
        is_there = placement is not None and placement.state != Placement.State.ABSENT
    if placement is None or not is_there:
        return "stays", "absent", "The service is not there."
    if found is not None and found.dependents:
        names = ", ".join(found.dependents[:5]) + (", ..." if len(found.dependents) > 5 else "")
        many = len(found.dependents)
        why = f"{many} deployment{'' if many == 1 else 's'} there stand{'s' if many == 1 else ''} on it: {names}. Uninstall first."
        return "differs", "dependents", why
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
