"""The steps of a drill: choose the hosts, have the counter written, strike, note that all is well again, read the counter back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, ClassVar

from django.utils import timezone

from installs import reaching
from installs.drills import kinds, striking, writing
from installs.drills.writing import Said
from installs.models import Drill
from installs.operations.database import fault_of, members_of
from installs.steps import HostStep
from installs.wanted import Wanted
from inventory.connectors.ssh import Command, Host, HostError
from inventory.layout import Layout, Part
from runs.models import Step
from runs.operations import Context, Later, Operation, OperationError, operation
from runs.states import StepState

MACHINE_ID = Path("/etc/machine-id")
AFTER_SECONDS = 5.0  # the counter goes on for so long once everything is well
PATIENCE = 900.0  # and at most for so long after the blow
QUIET_SECONDS = 2.0  # worth telling


def drill_of(context: Context) -> Drill:
    """The drill that this run is. OperationError where its row is gone."""
    found = Drill.objects.select_related("cluster__tenant").filter(run=context.run_id).first()
    if found is None:
        raise OperationError("This drill is not there any more, nothing is done. Start another.", cause="gone")
    return found


def note(changes: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Store what steps found out about their drills, with the outcome of the steps."""
    for drill_id, values in changes:
        Drill.objects.filter(pk=drill_id).update(**values)


@operation("drill.choose")
@dataclasses.dataclass(frozen=True)
class ChooseHosts(Operation):
    """Settle which host is struck and which one writes, by who leads now. Nothing is broken before this has been looked at."""

    cluster: int

    def describe(self) -> str:
        return "Choose the host that is struck and the one that writes"

    def check(self, context: Context) -> bool | Later:
        return bool(drill_of(context).host) or "chosen" in context.memory

    def apply(self, context: Context) -> Later | None:
        drill, wanted = drill_of(context), Wanted.load(self.cluster)
        for value in wanted.hidden:
            context.hide(value)
        asked = drill.run.of_cluster.host
        if why := kinds.refusal(drill.kind, wanted.layout, asked):
            raise OperationError(why, cause="quorum")
        leader, in_step = self._roles(wanted)
        struck, writer = choose(drill.kind, wanted.layout, asked=asked, leader=leader, in_step=in_step)
        self._look_at(drill.kind, struck)
        context.memory["chosen"] = [struck, writer]
        context.write(note, (drill.pk, {"host": struck, "writer": writer}))
        told = ", which leads the database" if struck == leader else ""
        context.say(f"{struck}{told} will be struck; the counter is written from {writer}.")
        return None

    def _roles(self, wanted: Wanted) -> tuple[str, list[str]]:
        """(who leads the database, who follows synchronously); "" where others run it. OperationError where it is not whole."""
        last = "no database host answers."
        for each in wanted.layout.having(Part.DATABASE):
            try:
                with reaching.session(self.cluster, each.name) as host:
                    members = members_of(host)
            except HostError as error:
                last = error.message
                continue
            if fault := fault_of(wanted, members):
                raise OperationError(f"Nothing was broken: the cluster is not whole. {fault}", cause="unhealthy")
            roles = {str(member["Member"]): str(member.get("Role")) for member in members}
            leader = next(name for name, role in roles.items() if role == "Leader")
            return leader, [name for name, role in roles.items() if role in ("Sync Standby", "Quorum Standby")]
        if not wanted.layout.having(Part.DATABASE):
            return "", []
        raise OperationError(f"Nothing was broken: {last}", cause="unhealthy")

    def _look_at(self, kind: str, struck: str) -> None:
        """OperationError where this host must not be struck, or cannot be as it should."""
        try:
            with reaching.session(self.cluster, struck) as host:
                its_id = host.run(Command.shell("cat /etc/machine-id 2>/dev/null || :")).text
                has_rules = host.test(Command.shell("command -v nft"))
        except HostError as error:
            raise OperationError(f"Nothing was broken: {error.message}", cause=str(error.kind)) from None
        if its_id and MACHINE_ID.exists() and its_id == MACHINE_ID.read_text().strip():
            raise OperationError(f"This portal itself runs on {struck}. Name another host.", cause="portal")
        if kind == Drill.Kind.QUEUE and not has_rules:
            raise OperationError(
                f"{struck} has no nft, by which it would be cut off. Install the package nftables there.", cause="nft"
            )


def choose(kind: str, layout: Layout, *, asked: str, leader: str, in_step: Collection[str] = ()) -> tuple[str, str]:
    """(the host that is struck, the one that writes). OperationError where there is none."""
    struck = kinds.choose_struck(kind, layout, asked=asked, leader=leader, in_step=in_step)
    if struck is None:
        raise OperationError(
            f"{leader} leads the database, not {asked}. Start the drill without naming a host."
            if leader
            else "Nobody leads the database.",
            cause="leader",
        )
    writer = kinds.choose_writer(layout, struck=struck.name, leader=leader)
    if writer is None:
        raise OperationError("No manager host is left from which to write.", cause="quorum")
    return struck.name, writer.name


@dataclasses.dataclass(frozen=True)
class AtHostOfDrill(HostStep):
    """A step on a host that is known only once the run has chosen it: `role` is the drill's field that names it."""

    host: str = ""

    role: ClassVar[str]

    def check(self, context: Context) -> bool | Later:
        return HostStep.check(self._there(context), context)

    def apply(self, context: Context) -> Later | None:
        return HostStep.apply(self._there(context), context)

    def cancel(self, context: Context) -> Later | None:
        return self._there(context).let_go(context)

    def let_go(self, context: Context) -> Later | None:
        """A cancel, at that host."""
        return None

    def _there(self, context: Context) -> AtHostOfDrill:
        return dataclasses.replace(self, host=getattr(drill_of(context), self.role))


@operation("drill.write")
@dataclasses.dataclass(frozen=True)
class StartWriter(AtHostOfDrill):
    """Have a counter written through the entrance, and well so, before anything is broken."""

    role: ClassVar[str] = "writer"

    def describe(self) -> str:
        return "Write a counter through the entrance"

    def look(self, context: Context, host: Host) -> bool | Later:
        return said_by(host, drill_of(context), context).acknowledged >= writing.ENOUGH

    def act(self, context: Context, host: Host) -> Later | None:
        drill = drill_of(context)
        progress = host.look(writing.unit_of(drill, "writer"))
        if progress.code is not None:
            raise OperationError(
                f"Nothing was broken: the counter was not written on {self.host}: {progress.output[-300:].strip()}",
                cause="writer",
            )
        if not progress.is_running:
            writing.start(context, host, drill, self.wanted(context).layout)
        return Later(0.5, f"{self.host} has begun to write.", deadline=60)

    def let_go(self, context: Context) -> Later | None:
        return self._meet(context, lambda host: writing.tell_to_end(host, drill_of(context)))


@operation("drill.strike")
@dataclasses.dataclass(frozen=True)
class Strike(AtHostOfDrill):
    """Break what the drill breaks, once, and wait until the host answers again."""

    kind: str = ""

    role: ClassVar[str] = "host"
    is_interruptible: ClassVar[bool] = False  # what was begun mends by itself within a minute

    def describe(self) -> str:
        return kinds.DEEDS[Drill.Kind(self.kind)]

    def look(self, context: Context, host: Host) -> bool | Later:
        return striking.state_of(host, drill_of(context)) == "done"

    def act(self, context: Context, host: Host) -> Later | None:
        drill = drill_of(context)
        if striking.state_of(host, drill) == "at-work":
            return Later(2.0, f"{self.host} is struck.", deadline=300)
        if "struck" not in context.memory:
            context.memory["struck"] = True
            context.say(f"{self.host} is struck now.", kind="warning", host=self.host)
            context.write(note, (drill.pk, {"struck_at": timezone.now()}))
        striking.strike(host, drill, self.wanted(context).layout)
        if drill.kind != Drill.Kind.QUEUE:
            reaching.forget_host(self.cluster, self.host)  # nobody tells those sessions that they are dead
            host.close()
        return Later(2.0, f"{self.host} is struck.", deadline=300)


@operation("drill.healed")
@dataclasses.dataclass(frozen=True)
class NoteHealed(Operation):
    """Note when everything was well again."""

    cluster: int

    def describe(self) -> str:
        return "Note when everything is well again"

    def check(self, context: Context) -> bool | Later:
        return drill_of(context).healed_at is not None or "healed" in context.memory

    def apply(self, context: Context) -> Later | None:
        context.memory["healed"] = True
        context.write(note, (drill_of(context).pk, {"healed_at": timezone.now()}))
        return None


@operation("drill.read")
@dataclasses.dataclass(frozen=True)
class ReadCounter(AtHostOfDrill):
    """Follow the counter through the blow, end it once all is well, and have every acknowledged number read back."""

    role: ClassVar[str] = "writer"

    def describe(self) -> str:
        return "Follow the counter, then read every acknowledged number back"

    def look(self, context: Context, host: Host) -> bool | Later:
        return "verdict" in context.memory

    def act(self, context: Context, host: Host) -> Later | None:
        drill = drill_of(context)
        if drill.ended_at is not None:  # a run that failed was resumed; the counter is read once
            raise OperationError(drill.why or "This drill has ended. Start another.", cause="drill")
        # In this order: what it says as it ends would else fall between the two looks.
        is_running = host.look(writing.unit_of(drill, "writer")).is_running
        said = said_by(host, drill, context)
        if said.result is not None:
            self._judge(context, host, drill, said)
            return None
        if not is_running:
            why = (
                f"The counter on {self.host} broke: {said.last_words or 'it said nothing'}. What was lost is not known."
            )
            raise self._failed(context, drill, why)
        tell_gap(context, said)
        if "ending" not in context.memory and must_end(context, drill):
            writing.tell_to_end(host, drill)
            context.memory["ending"] = True
        if "ending" in context.memory:
            return Later(1.0, f"{said.acknowledged} writes were acknowledged; they are read back.")
        return Later(1.0, f"{said.acknowledged} writes were acknowledged, the last one {said.quiet:.0f} s ago.")

    def let_go(self, context: Context) -> Later | None:
        return self._meet(context, lambda host: writing.tell_to_end(host, drill_of(context)))

    def _judge(self, context: Context, host: Host, drill: Drill, said: Said) -> None:
        writing.forget(host, drill)
        values = judged(said, is_healed=drill.healed_at is not None)
        context.say(told_of(values), kind="drill", host=drill.host, **{k: values[k] for k in SHOWN})
        context.write(note, (drill.pk, values | {"ended_at": timezone.now()}))
        if values["verdict"] == Drill.Verdict.FAILED:
            raise OperationError(values["why"], cause="lost" if values["lost"] else "drill")
        context.memory["verdict"] = values["verdict"]

    def _failed(self, context: Context, drill: Drill, why: str) -> OperationError:
        values = {"verdict": Drill.Verdict.FAILED, "why": why[:512], "ended_at": timezone.now()}
        context.write(note, (drill.pk, values))
        return OperationError(why, cause="writer")


SHOWN = ("acknowledged", "lost", "gap_seconds", "messages", "errors", "verdict")


def judged(said: Said, *, is_healed: bool) -> dict[str, Any]:
    """What the result comes to, as fields of the drill."""
    result, messages = said.result or {}, said.messages or {}
    lost = [part["lost"] for part in (result, messages) if part]
    if any(each is None for each in lost):
        why = (
            "What was acknowledged could not be read back: nobody knows what is lost. Look whether the cluster answers."
        )
    elif any(lost):
        why = f"{sum(lost)} acknowledged writes are lost. Keep the logs of all database and queue hosts, and find out why."
    elif not is_healed:
        why = "Nothing is lost, but the cluster did not become whole again: see what this run waited for."
    else:
        why = ""
    kept = ("acknowledged", "lost", "gap_seconds", "errors")
    return {
        "acknowledged": result.get("acknowledged"),
        "lost": result.get("lost"),
        "gap_seconds": result.get("gap_seconds"),
        "errors": result.get("errors", {}),
        "messages": {name: messages[name] for name in kept if name in messages},
        "verdict": Drill.Verdict.FAILED if why else Drill.Verdict.PASSED,
        "why": why,
    }


def told_of(values: dict[str, Any]) -> str:
    """In a sentence."""
    text = f"{values['lost']} of {values['acknowledged']} acknowledged writes are lost; the longest gap was {values['gap_seconds']} s."
    if messages := values["messages"]:
        text += f" Of {messages['acknowledged']} confirmed messages {messages['lost']} are lost; longest gap {messages['gap_seconds']} s."
    return text


def said_by(host: Host, drill: Drill, context: Context) -> Said:
    """What the counter has said until now; what was read before is kept in the step's memory."""
    offset, kept = context.memory.get("said", [0, {}])
    said = Said(**kept)
    while True:
        progress = host.look(writing.unit_of(drill, "writer"), offset)
        said, offset = Said.read(progress.output, said), progress.next_offset
        if not progress.has_more:
            break
    context.memory["said"] = [offset, dataclasses.asdict(said)]
    return said


def tell_gap(context: Context, said: Said) -> None:
    """An event when writes wait, and one when they go on."""
    if said.quiet > QUIET_SECONDS and "quiet" not in context.memory:
        context.memory["quiet"] = time.time() - said.quiet
        context.say(f"No write has been acknowledged for {said.quiet:.0f} s.", kind="warning")
    elif said.quiet < QUIET_SECONDS and "quiet" in context.memory:
        began = context.memory.pop("quiet")
        context.say(f"Writes go on, after about {time.time() - began - said.quiet:.0f} s.")


def must_end(context: Context, drill: Drill) -> bool:
    """Everything has been well for a while; or it will not be: another step failed, or it takes too long."""
    now = timezone.now()
    if drill.healed_at is not None:
        return (now - drill.healed_at).total_seconds() > AFTER_SECONDS
    if Step.objects.filter(run=context.run_id, state__in=[StepState.FAILED, StepState.CANCELLED]).exists():
        return True
    return drill.struck_at is not None and (now - drill.struck_at).total_seconds() > PATIENCE
