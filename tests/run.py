"""`make test`: installs what is missing, runs all tests on SQLite and then those of both databases on PostgreSQL, and sums up.

python tests/run.py [pytest arguments]      e.g. python tests/run.py -k rollout
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.services import packages, postgres  # noqa: E402
from tests.services.shared import Missing, open_session  # noqa: E402

NO_TESTS = 5  # pytest's exit status where nothing matched


def run_pytest(arguments: list[str], env: dict[str, str]) -> tuple[int, Counter[str]]:
    """Exit status and counts of one run. Two workers; the tests of a file share one, in their order."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as counts:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            os.environ.get("TEST_WORKERS", "2"),
            "--dist",
            "loadfile",
            "--no-loadscope-reorder",
            "--durations=10",
        ]
        status = subprocess.run(
            [*command, *arguments], cwd=ROOT, env=os.environ | env | {"TEST_COUNTS": counts.name}
        ).returncode
        text = counts.read()
    return status, Counter(json.loads(text)) if text else Counter(error=1)


def main(arguments: list[str]) -> int:
    packages.install_missing()
    open_session()  # one PostgreSQL and one RabbitMQ for both runs
    status, counts = run_pytest(arguments, {})
    statuses = [status]
    try:
        url = postgres.make_database()
    except Missing as missing:
        print(f"The tests of both databases were skipped on PostgreSQL. {missing}", flush=True)
        counts["skipped"] += 1
        statuses.append(1 if os.environ.get("REQUIRE_ALL") == "1" else 0)
    else:
        print("\nThe tests of both databases, now on PostgreSQL:", flush=True)
        status, again = run_pytest([*arguments, "-m", "both_databases"], {"TEST_DATABASE_URL": url})
        counts += again
        statuses.append(status)
    # A selection may leave one of the runs without tests, but not both.
    failed = [status for status in statuses if status not in (0, NO_TESTS)] or (
        statuses if set(statuses) == {NO_TESTS} else []
    )
    print(
        f"\n{counts['passed']} passed, {counts['failed'] + counts['error']} failed, {counts['skipped']} skipped",
        flush=True,
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
