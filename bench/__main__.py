"""Runs the measures of docs/benchmarks.md, one after the other, and keeps all values: `python -m bench [names] [--out FILE] [--quick]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import executing, lists, live, rollout_1000, rows, starting, waiting, wire
from tests.services.shared import open_session

# Name: (title, the measure, the same in short: to see that it works).
MEASURES: dict[str, tuple[str, Callable[[], Sequence[rows.Row]], Callable[[], Sequence[rows.Row]]]] = {
    "starting": (starting.TITLE, starting.run, lambda: starting.run(1)),
    "filters": (lists.TITLE, lists.run, lambda: lists.run(500, 5)),
    "rollout": (rollout_1000.TITLE, rollout_1000.run, lambda: rollout_1000.run(50, 1)),
    "live": (live.TITLE, live.run, lambda: live.run(1.0)),
    "executing": (executing.TITLE, executing.run, lambda: executing.run(5)),
    "wire": (wire.TITLE, wire.run, lambda: wire.run(200, 5, 2)),
    "waiting": (waiting.TITLE, waiting.run, lambda: waiting.run(20, 3.0)),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(MEASURES)}; all where none is given")
    parser.add_argument("--out", type=Path, default=Path("var/bench.json"), help="where all values are kept")
    parser.add_argument(
        "--quick", action="store_true", help="small numbers: shows that the measures work, not how fast the product is"
    )
    given = parser.parse_args()
    if unknown := set(given.names) - set(MEASURES):
        parser.error(f"no measure is called {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    open_session()  # one PostgreSQL and one RabbitMQ for all of them
    print(rows.machine())
    found: dict[str, Sequence[rows.Row]] = {}
    failed = []
    for name in given.names or MEASURES:
        title, run, quick = MEASURES[name]
        began = time.monotonic()
        try:
            found[name] = (quick if given.quick else run)()
        except Exception as error:  # the other measures are worth having
            failed.append(name)
            print(f"\n{title}\n  FAILED: {error}", flush=True)
            continue
        rows.show(title, found[name])
        print(f"  (measured in {time.monotonic() - began:.0f} s)", flush=True)
        given.out.parent.mkdir(parents=True, exist_ok=True)
        rows.keep(given.out, found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
