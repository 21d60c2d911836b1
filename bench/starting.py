"""From start to ready, and memory at rest: `manage.py up` with a fresh data folder, and once more with the same.

python -m bench.starting [--repeat 5]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time

from bench.installation import BASE, SECONDS, Installation, folder, separate
from bench.rows import Row, median, show
from tests.services.portal import PortalProcess
from tests.services.shared import Missing

TITLE = "Start to ready, and memory at rest"
REST = 8.0  # seconds after ready


def start(portal: PortalProcess) -> tuple[float, float]:
    """Seconds of time, and of processor, until /readyz answers 200."""
    began = time.perf_counter()
    portal.start(SECONDS)
    return time.perf_counter() - began, Installation(portal, []).processor()


def run(repeat: int = 5) -> list[Row]:
    cold, warm, stop, memory, idle = [], [], [], [], []
    for _ in range(repeat):
        with folder() as path:
            env = BASE | {"EMBEDDED_WORKERS": "4"}
            portal = PortalProcess(["up", "--port", "{port}"], data_dir=path, env=env, is_new=True)
            try:
                cold.append(start(portal))
                began = time.perf_counter()
                portal.interrupt()
                stop.append(time.perf_counter() - began)
                warm.append(start(portal))
                installation = Installation(portal, [])
                time.sleep(2)
                used = installation.processor()
                time.sleep(REST)
                idle.append((installation.processor() - used) / REST * 100)
                memory.append(installation.memory())
            finally:
                portal.close()
    rows = [
        median("one process, first start, database made", [seconds for seconds, _ in cold], "s"),
        median("  of that processor", [seconds for _, seconds in cold], "s"),
        median("one process, later start", [seconds for seconds, _ in warm], "s"),
        median("  of that processor", [seconds for _, seconds in warm], "s"),
        median("Ctrl-C to end, at rest", stop, "s"),
        median("memory at rest, 4 worker threads (PSS)", memory, "MB"),
        median("processor at rest, of one core", idle, "%"),
    ]
    with contextlib.suppress(Missing):
        with separate(workers=1) as installation:
            time.sleep(REST)
            web, worker = installation.portal, installation.extra[0]
            rows += [
                Row("memory at rest, web process on PostgreSQL (PSS)", Installation(web, []).memory(), "MB"),
                Row("memory at rest, worker of its own (PSS)", Installation(worker, []).memory(), "MB"),
            ]
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    show(TITLE, run(parser.parse_args().repeat))
    return 0


if __name__ == "__main__":
    sys.exit(main())
