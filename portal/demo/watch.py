"""Watches a rollout through the websocket: bars where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Origin

from portal.demo.installations import DemoError

SECONDS = 600.0
RECONNECTS = 20
FINAL = frozenset(("run.succeeded", "run.failed", "run.cancelled"))
Event = dict[str, Any]


class Display(Protocol):
    """Where the progress of environments is shown."""

    def show(self, name: str, words: str, part: float) -> None:
        """`part` is from 0 to 1."""


class Bars:
    """One bar an environment; a context manager."""

    def __init__(self, names: list[str], console: Console) -> None:
        self._progress = Progress(
            TextColumn("  {task.fields[name]:12}"), BarColumn(32), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(),
            TextColumn("{task.description}"), console=console,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {
            name: self._progress.add_task("waits", total=1.0, name=name) for name in names
        }

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, name: str, words: str, part: float) -> None:
        self._progress.update(self._tasks[name], completed=part, description=words)


class Lines:
    """A line at each change of words, and at each quarter; a context manager."""

    def __init__(self, names: list[str], console: Console) -> None:
        self._console = console
        self._last: dict[str, tuple[str, int]] = {}

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, name: str, words: str, part: float) -> None:
        now = (words, int(part * 4))
        if self._last.get(name) != now:
            self._last[name] = now
            self._console.print(f"  {name:12} {part:>4.0%}  {words}", markup=False, highlight=False)


class Story:
    """What the events tell so far: the state of each child run."""

    def __init__(self, names: dict[int, str], display: Display) -> None:
        self.names = names  # child run -> environment
        self.display = display
        self._seen: set[int] = set()
        self._steps: dict[int, set[int]] = {run: set() for run in names}  # steps that have ended
        self._parts: dict[int, float] = dict.fromkeys(names, 0.0)

    def take(self, event: Event) -> None:
        """One event; the same twice counts once."""
        run, kind = event["run"], str(event["kind"])
        if event["id"] in self._seen or run not in self.names:
            return
        self._seen.add(event["id"])
        words = {"run.succeeded": "deployed", "run.failed": f"failed: {event['message']}", "run.cancelled": "cancelled"}
        if kind in FINAL:
            self._show(run, words[kind], 1.0 if kind == "run.succeeded" else self._parts[run])
        elif kind in ("step.succeeded", "step.skipped"):
            self._steps[run].add(event["step"])
            self._show(run, str(event["message"]), self._part(run, 0.0))
        elif kind == "progress" and (total := event["data"].get("total")):
            finished = event["data"].get("finished", 0)
            self._show(run, f"operation {finished} of {total}", self._part(run, finished / total))
        elif kind == "step.running":
            self._show(run, str(event["message"]), self._parts[run])

    def _part(self, run: int, of_step: float) -> float:
        """Two short steps, the install that takes most of the time, one short step."""
        weights = (0.1, 0.1, 0.7, 0.1)
        done = len(self._steps[run])
        part = sum(weights[:done]) + (weights[done] * of_step if done < len(weights) else 0.0)
        self._parts[run] = max(self._parts[run], min(part, 0.99))
        return self._parts[run]

    def _show(self, run: int, words: str, part: float) -> None:
        self.display.show(self.names[run], words, part)


def events_of(url: str, token: str, run: int) -> Iterator[Event]:
    """The events of a run and its children from the first on, until the run itself has ended; reconnects where it left off.

    DemoError where that takes too long, or the socket cannot be had.
    """
    cursor, until, tries = 0, time.monotonic() + SECONDS, 0
    where = url.replace("http", "ws", 1)
    while True:
        try:
            address = f"{where}/ws/runs/{run}/?after={cursor}"
            headers = {"Authorization": f"Token {token}"}
            with connect(
                address, additional_headers=headers, origin=Origin(url), proxy=None, max_size=None, open_timeout=20
            ) as socket:
                while True:
                    message = json.loads(socket.recv(timeout=max(0.1, until - time.monotonic())))
                    cursor = message.get("cursor") or cursor
                    tries = 0
                    for event in message.get("events") or ():
                        yield event
                        if event["run"] == run and event["kind"] in FINAL:
                            return
        except TimeoutError:
            raise DemoError(f"The rollout has not ended after {SECONDS:.0f} s. Look at it at {url}.") from None
        except (OSError, WebSocketException) as error:
            tries += 1
            if tries > RECONNECTS:
                raise DemoError(f"The websocket of the rollout cannot be had: {error}") from None
            time.sleep(0.5)


def watch(url: str, token: str, run: int, names: dict[int, str], console: Console) -> None:
    """Show a rollout until it has ended. `names` maps the run of each target to its environment."""
    shown = list(names.values())
    with Bars(shown, console) if console.is_terminal else Lines(shown, console) as display:
        story = Story(names, display)
        for event in events_of(url, token, run):
            story.take(event)
