"""From the commit of an event to its arrival at a websocket client and to its line on a page in a browser.

python -m bench.live [--seconds 5] [--no-browser]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from bench.installation import Installation, embedded, separate
from bench.live_process import PASSWORD
from bench.rows import Row, percentile, show
from tests.services import chromium
from tests.services.portal import PortalProcess
from tests.services.shared import Missing

TITLE = "From the commit of an event to whoever looks on"
RATES, SOCKETS = (2.0, 200.0, 2000.0), (1, 50)
PROGRAM = [sys.executable, "-m", "bench.live_process"]
SETTLE = 3.0  # seconds after the last event in which late ones may come
# Each line that appears in the tail of events: its text and when it was there.
OBSERVE = """() => {
  window.seen = [];
  new MutationObserver((changes) => {
    const now = Date.now() / 1000;
    for (const change of changes) for (const node of change.addedNodes) if (node.textContent) window.seen.push([node.textContent, now]);
  }).observe(document.getElementById("tail"), { childList: true });
}"""


@contextlib.contextmanager
def one_process() -> Iterator[tuple[Installation, Path]]:
    """SQLite, the layer in memory; and the folder that takes orders."""
    with embedded(program=PROGRAM) as installation:
        yield installation, installation.portal.data_dir


@contextlib.contextmanager
def two_processes() -> Iterator[tuple[Installation, Path]]:
    """PostgreSQL with NOTIFY; who writes is a process of its own, as workers are."""
    with separate(workers=0) as installation:
        folder = installation.portal.data_dir.parent / "writer"
        writer = PortalProcess(
            ["write"],
            data_dir=folder,
            env=installation.portal.env | {"DATA_DIR": str(folder)},
            ready=None,
            program=PROGRAM,
        )
        try:
            writer.start()
            yield installation, folder
        finally:
            writer.close()


def write(folder: Path, run: dict[str, Any], rate: float, seconds: float) -> None:
    """Have events written; returns when they are."""
    draft, order = folder / "order.draft", folder / "order.json"
    draft.write_text(json.dumps({"run": run["run"], "step": run["step"], "rate": rate, "seconds": seconds}))
    draft.rename(order)
    until = time.monotonic() + seconds * 4 + 20
    while order.exists():
        if time.monotonic() > until:
            raise RuntimeError(f"{rate:.0f} events a second could not be written.")
        time.sleep(0.05)


async def listen(url: str, token: str, run: int, heard: list[tuple[float, str]], ready: asyncio.Semaphore) -> None:
    """One viewer: keeps what comes and when; what it says is read after the measure."""
    address = f"{url.replace('http', 'ws', 1)}/ws/runs/{run}/"
    headers = {"Authorization": f"Token {token}"}
    async with connect(address, additional_headers=headers, proxy=None, max_size=None, compression=None) as socket:
        await socket.recv()  # the snapshot
        ready.release()
        async for text in socket:
            heard.append((time.time(), str(text)))


async def look_on(
    installation: Installation, folder: Path, run: dict[str, Any], sockets: int, rate: float, seconds: float
) -> list[list[Any]]:
    """What each of so many viewers heard while events were written."""
    ready = asyncio.Semaphore(0)
    heard: list[list[tuple[float, str]]] = [[] for _ in range(sockets)]
    tasks = [asyncio.create_task(listen(installation.url, run["token"], run["run"], each, ready)) for each in heard]
    try:
        for _ in range(sockets):
            await asyncio.wait_for(ready.acquire(), 30)
        await asyncio.sleep(1)
        await asyncio.to_thread(write, folder, run, rate, seconds)
        await asyncio.sleep(SETTLE)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return heard


def delays(heard: list[tuple[float, str]]) -> dict[int, float]:
    """Milliseconds from commit to arrival, by event; the first arrival counts."""
    found: dict[int, float] = {}
    for at, text in heard:
        message = json.loads(text)
        for event in message.get("events") or ():
            if "t" in event["data"]:
                found.setdefault(event["id"], (at - event["data"]["t"]) * 1000)
    return found


def measure(name: str, installation: Installation, folder: Path, seconds: float) -> list[Row]:
    rows: list[Row] = []
    for sockets in SOCKETS:
        for rate in RATES:
            run = installation.run("bench.live_process", "run")
            heard = asyncio.run(look_on(installation, folder, run, sockets, rate, seconds))
            each = [delays(one) for one in heard]
            lost = sum(int(rate * seconds) - len(one) for one in each)
            all_of_them = [delay for one in each for delay in one.values()]
            messages = len(heard[0]) / seconds
            what = f"{name}, {sockets} socket{'s' if sockets > 1 else ''}, {rate:.0f} events/s"
            note = f"{messages:.1f} messages/s a socket" + (f", {lost} LOST" if lost else "")
            rows.append(Row(f"{what}: P50", percentile(all_of_them, 0.5), "ms", note=note))
            rows.append(Row(f"{what}: P99", percentile(all_of_them, 0.99), "ms"))
    return rows


def in_a_browser(name: str, installation: Installation, folder: Path, seconds: float) -> list[Row]:
    """The page of a run in Chromium. Lines that pushed each other out before the page was drawn are not seen by anybody."""
    rows: list[Row] = []
    with chromium.running() as browser:
        page = browser.new_page()
        run = installation.run("bench.live_process", "run")
        page.goto(f"{installation.url}/login/")
        page.fill("input[name=username]", "bench")
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        for rate in RATES:
            run = installation.run("bench.live_process", "run")
            page.goto(f"{installation.url}/runs/{run['run']}/")
            page.wait_for_timeout(1500)
            page.evaluate(OBSERVE)
            write(folder, run, rate, seconds)
            page.wait_for_timeout(SETTLE * 1000)
            seen = [
                (float(text.split()[-1]), at)
                for text, at in page.evaluate("window.seen")
                if text.split()[-1].count(".") == 1
            ]
            found = [(at - committed) * 1000 for committed, at in seen]
            what = f"{name}, a page in Chromium, {rate:.0f} events/s"
            note = f"{len(found)} of {int(rate * seconds)} lines drawn"
            rows.append(Row(f"{what}: P50", percentile(found, 0.5), "ms", note=note))
            rows.append(Row(f"{what}: P99", percentile(found, 0.99), "ms"))
    return rows


def run(seconds: float = 5.0, *, with_browser: bool = True) -> list[Row]:
    rows: list[Row] = []
    for name, shape in (("SQLite", one_process), ("PostgreSQL", two_processes)):
        with contextlib.suppress(Missing):
            with shape() as (installation, folder):
                rows += measure(name, installation, folder, seconds)
                if with_browser:
                    rows += in_a_browser(name, installation, folder, seconds)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--no-browser", action="store_true")
    given = parser.parse_args()
    show(TITLE, run(given.seconds, with_browser=not given.no_browser))
    return 0


if __name__ == "__main__":
    sys.exit(main())
