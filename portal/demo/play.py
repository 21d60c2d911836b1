"""The demo from start to end: folders, processes, the scenario, and the end of it all."""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from portal.demo.installations import (
    DemoError,
    Installation,
    check_ports,
    end_leftovers,
    remove_pages,
    start_all,
    stop_all,
)
from portal.demo.places import PLACES, USERNAME
from portal.demo.report import show_table, write_file
from portal.demo.rest import Api, mint_token
from portal.demo.scenario import Operator, Outcome
from portal.demo.watch import watch


def play(root: Path, port: int, *, ends: bool, console: Console) -> bool:
    """Run the demo in `root` (the folder var) on four ports; True where the rollout succeeded. `ends`: not before Ctrl-C otherwise."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "demo.json").unlink(missing_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with only_demo(root) as folder:
        names = [("central", "central"), *((place.slug, "sub-manager") for place in PLACES)]
        central, *managers = installations = [
            Installation(name, mode, port + number, folder / name, secrets.token_urlsafe(15))
            for number, (name, mode) in enumerate(names)
        ]
        has_succeeded = False
        try:
            check_ports([each.port for each in installations])
            console.print(
                f"Starting a central portal at {central.url} and sub-managers on ports {port + 1} to {port + 3}",
                highlight=False,
            )
            begun = time.monotonic()
            start_all(installations, folder)
            console.print(f"All are ready after {time.monotonic() - begun:.1f} s", highlight=False)
            has_succeeded = roll_out(root, folder, central, managers, console).state == "succeeded"
            console.print(
                f"\nDeployOn is at {central.url}/  user {USERNAME}, password {central.password}",
                highlight=False,
                markup=False,
            )
            if not ends:
                console.print("Look around; Ctrl-C ends it.", highlight=False)
                stay(installations)
        except KeyboardInterrupt:
            console.print("\nStopping.", highlight=False)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough: what follows must come to its end
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            stop_all(installations)
    return has_succeeded


@contextmanager
def only_demo(root: Path) -> Iterator[Path]:
    """An empty folder for this demo alone; what an earlier one left is ended and removed. DemoError while another one runs."""
    with (root / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(
                f"A demo runs already (it holds {root / 'demo.lock'}). End it with Ctrl-C, then start again."
            ) from None
        folder = root / "demo"
        end_leftovers(folder)
        remove_pages(folder)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        yield folder


def roll_out(
    root: Path, folder: Path, central: Installation, managers: list[Installation], console: Console
) -> Outcome:
    """The main job; tells what it does as it goes."""

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    token = mint_token(central.url, USERNAME, central.password, "demo")
    operator = Operator(Api(central.url, token), say)
    operator.make_sites()
    operator.expose(managers)
    operator.register()
    rollout = operator.start(operator.preview())
    write_file(root / "demo.json", central, token, rollout["id"], managers)
    say(f"Rollout {rollout['id']} has started: {central.url}/rollouts/{rollout['id']}/")
    names = {row["run"]: row["name"] for row in operator.targets(rollout) if row["run"]}
    watch(central.url, token, rollout["run"], names, console)
    outcome = operator.outcome(rollout)
    pages = [row["capabilities"].get("page") for row in outcome.targets]
    (folder / "pages.json").write_text(json.dumps([page for page in pages if page]))
    console.print()
    show_table(console, outcome)
    if outcome.state != "succeeded":
        say(f"The rollout ended as {outcome.state}. {outcome.why}")
    return outcome


def stay(installations: list[Installation]) -> None:
    """Until Ctrl-C, or until one of the processes has ended by itself."""
    while True:
        for each in installations:
            if each.process is not None and each.process.poll() is not None:
                time.sleep(1)  # where Ctrl-C ended it, ours is on its way
                raise DemoError(f"{each.name} has ended. The end of {each.log}:\n{each.last_words()}")
        time.sleep(0.2)
