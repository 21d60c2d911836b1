"""Processes of the live measure: `up` as people start it, with a thread that writes events as the engine does; or that thread alone.

    python -m bench.live_process up --port N       the installation; it writes, too: the shape of one process
    python -m bench.live_process write             writes only: a worker of another shape
    python -m bench.live_process run               makes a run that stays at work; prints {"run", "token"}

What to write is ordered by a file DATA_DIR/order.json {"run", "step", "rate", "seconds"}, which is gone when it has been done.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

TICK = 0.01  # seconds between two transactions, where events are that frequent


def write_as_ordered() -> None:
    """Carry out orders for as long as the process lives."""
    order = Path(os.environ["DATA_DIR"]) / "order.json"
    while True:
        if order.exists():
            write(**json.loads(order.read_text()))
            order.unlink()
        time.sleep(0.02)


def write(run: int, step: int, rate: float, seconds: float) -> None:
    """Transactions of the ledger, with so many events a second that tell when they were about to be committed."""
    from django.utils import timezone

    from runs.events import NewEvent
    from runs.ledger import opened

    began, written, total = time.monotonic(), 0, int(rate * seconds)
    while written < total:
        due = min(total, int((time.monotonic() - began) * rate) + 1)
        if due > written:
            with opened([run]) as book:
                now = time.time()
                book.events += [
                    NewEvent(run, run, step, "message", f"{number} {now:.6f}", {"t": now}, timezone.now())
                    for number in range(written, due)
                ]
            written = due
        time.sleep(min(TICK, 0.5 / rate) if rate < 1 / TICK else TICK)


def make_run() -> dict[str, object]:
    """A run at work with a step that nobody is to begin, and somebody who may look on."""
    from django.utils import timezone

    from accounts.actors import SYSTEM
    from accounts.models import Tenant, User
    from accounts.services import create_tenant, create_user, set_membership
    from accounts.tokens import mint_token
    from runs.models import Plan, Run, Step

    tenant = Tenant.objects.filter(name="bench").first() or create_tenant(by=SYSTEM, name="bench")
    user = User.objects.filter(username="bench").first()
    if user is None:
        user = create_user(by=SYSTEM, username="bench", password=PASSWORD)
        set_membership(by=SYSTEM, tenant=tenant, user=user, role="user")
    plan = Plan.objects.create(title="Chatter", stages=[], digest="")
    run = Run.objects.create(title="Chatter", plan=plan, tenant=tenant, state="running", started_at=timezone.now())
    step = Step.objects.create(run=run, stage=0, lane=0, position=0, operation="bench.none", args={}, title="Chatter")
    return {"run": run.pk, "step": step.pk, "token": mint_token(by=SYSTEM, user=user)[1]}


PASSWORD = "not-a-secret-of-anybody"


def main() -> int:
    import django

    django.setup()
    if sys.argv[1] == "run":
        print(json.dumps(make_run()))
        return 0
    if sys.argv[1] == "write":
        write_as_ordered()
    threading.Thread(target=write_as_ordered, daemon=True).start()
    from django.core.management import call_command

    call_command(*sys.argv[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
