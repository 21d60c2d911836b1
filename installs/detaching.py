"""Following what runs apart from us on a host, from look to look of a step: started once, told as it goes, ended well or in words."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

from installs.remedies import explain
from inventory.connectors.ssh import Hidden, Host, Progress
from runs.models import Run
from runs.operations import Context, Later, OperationError

MEMORY = "detached"  # {name: {"unit", "offset", "starts", "since", "looks", "is_done", "told_at"}}; no output: it may hold secrets
MOST_STARTS = 5  # a script during which the host goes down each time is the reason for it
FIRST_LOOK_SECONDS, LOOK_GROWTH, LONGEST_LOOK_SECONDS = 0.5, 1.4, 5.0
# What writes all the time is looked at every 1.4 s or so: each look costs both machines some, and there are many hosts.
TALKING_LOOKS = 3
GAP_SECONDS = 1.0  # between two events with output
LONGEST_EVENT = 4000  # characters
MOST_PIECES = 32


@dataclass(frozen=True)
class Work:
    """A script and what it is for. `seconds` bounds it as a whole."""

    name: str
    script: str | Hidden
    title: str
    host: str
    seconds: float


def follow(context: Context, host: Host, work: Work) -> Later | None:
    """One look: `Later` while it runs, None once it has ended well. OperationError where it failed."""
    memory = context.memory.setdefault(MEMORY, {}).setdefault(work.name, _new(context, work.name))
    if memory["is_done"]:
        return None
    progress = host.look(memory["unit"], memory["offset"]) if memory["starts"] else None
    if progress is None or progress.is_lost:
        _start(context, host, work, memory, is_again=progress is not None)
        return Later(FIRST_LOOK_SECONDS, f"{work.title}: it has begun.")
    last = _tell(context, host, work, memory, progress)
    if progress.is_running:
        return _wait(context, host, work, memory, last)
    if progress.code == 0:
        memory["is_done"] = True
        return None
    known = explain(_last_words(host, memory), work.host)
    said = known.line if known else last or _last_line(host, memory) or "it said nothing"
    remedy = known.remedy if known else "Put right what its output in the events of this step names."
    host.forget(memory["unit"])
    del context.memory[MEMORY][work.name]  # who resumes has it run anew
    raise OperationError(
        f"{work.title} failed on {work.host} with code {progress.code}: {said.rstrip('.')}. {remedy} Then resume.",
        cause="failed",
    )


def is_begun(context: Context) -> bool:
    """Whether this step has started anything that it has not seen through."""
    return bool(context.memory.get(MEMORY))


def names(context: Context) -> list[str]:
    """Of what was started in this step and has not ended well yet."""
    return [name for name, memory in context.memory.get(MEMORY, {}).items() if not memory["is_done"]]


def stop_all(context: Context, host: Host) -> None:
    """A cancel: end it, with all that it started."""
    for name in names(context):
        memory = context.memory[MEMORY].pop(name)
        host.stop(memory["unit"])
        context.say(f"Stopped {name} on {host.address.host}.")
        host.forget(memory["unit"])


def clear(context: Context, host: Host) -> None:
    """The step has done all it had to do: were it done again, everything would run again."""
    for memory in context.memory.pop(MEMORY, {}).values():
        host.forget(memory["unit"])


def unit_of(context: Context, name: str) -> str:
    """The same for whoever takes this step over, another one for every other step of this and any other installation."""
    created_at = Run.objects.values_list("created_at", flat=True).get(pk=context.run_id)
    mark = hashlib.sha256(created_at.isoformat().encode()).hexdigest()[:8]
    return f"deployon-{context.run_id}-{context.step_id}-{mark}-{name}"


def _new(context: Context, name: str) -> dict[str, Any]:
    unit = unit_of(context, name)
    return {"unit": unit, "offset": 0, "starts": 0, "since": time.time(), "looks": 0, "is_done": False}


def _start(context: Context, host: Host, work: Work, memory: dict[str, Any], *, is_again: bool) -> None:
    if memory["starts"] >= MOST_STARTS:
        del context.memory[MEMORY][work.name]
        raise OperationError(
            f"{work.host} went down {MOST_STARTS} times during: {work.title}. Find out why (its memory, its power), then resume.",
            cause="broken",
        )
    if is_again:
        context.say(f"{work.host} went down during: {work.title}. It is started again.", kind="warning")
    host.start(memory["unit"], work.script)
    memory |= {"offset": 0, "looks": 0, "starts": memory["starts"] + 1}


def _tell(context: Context, host: Host, work: Work, memory: dict[str, Any], progress: Progress) -> str:
    """What it wrote becomes an event, at most one a second; returns its last line, "" where there is no new one."""
    if progress.is_running and time.time() - memory.get("told_at", 0.0) < GAP_SECONDS:
        return "\n".join(progress.output.rstrip().splitlines()[-1:])[-300:]
    pieces = [progress.output]
    offset = progress.next_offset
    while progress.has_more and len(pieces) < MOST_PIECES:
        progress = host.look(memory["unit"], offset)
        pieces.append(progress.output)
        offset = progress.next_offset
    memory["offset"] = offset
    text = "".join(pieces).rstrip()
    if not text:
        return ""
    if len(text) > LONGEST_EVENT:
        text = f"... {len(text) - LONGEST_EVENT} characters left out\n{text[-LONGEST_EVENT:]}"
    context.say(text, kind="output", host=work.host, script=work.name)
    memory |= {"told_at": time.time(), "looks": min(memory["looks"], TALKING_LOOKS)}
    return text.splitlines()[-1][-300:]


def _last_words(host: Host, memory: dict[str, Any]) -> str:
    """The end of what was told before."""
    return host.look(memory["unit"], max(0, memory["offset"] - 400)).output


def _last_line(host: Host, memory: dict[str, Any]) -> str:
    lines = _last_words(host, memory).rstrip().splitlines()
    return lines[-1][-300:] if lines else ""


def _wait(context: Context, host: Host, work: Work, memory: dict[str, Any], last: str) -> Later:
    last = last or _last_line(host, memory)
    if time.time() - memory["since"] > work.seconds:
        host.stop(memory["unit"])
        host.forget(memory["unit"])
        del context.memory[MEMORY][work.name]
        raise OperationError(
            f"{work.title} did not end on {work.host} within {work.seconds / 60:.0f} minutes and was stopped. Its last words: "
            f"{last or 'none'}. Look at that host, then resume.",
            cause="timeout",
        )
    memory["looks"] += 1
    seconds = min(LONGEST_LOOK_SECONDS, FIRST_LOOK_SECONDS * LOOK_GROWTH ** (memory["looks"] - 1))
    return Later(seconds, f"{work.title}: {last[:200]}" if last else f"{work.title}: it is at work.")
