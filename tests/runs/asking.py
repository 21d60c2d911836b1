"""What a test asks of the database of processes that it started.

python -m tests.runs.asking start 50 0.05 [file|slow|elsewhere [max_parallel]]    prints the id of a parent with 50 children
python -m tests.runs.asking look ID                                              prints {"state", "why", "children", ...}
python -m tests.runs.asking token                                                prints a token
"""

import json
import sys
from collections import Counter


def start(count, seconds, kind="file", max_parallel="0"):
    from django.db import transaction

    from accounts.models import Tenant
    from runs import engine
    from tests.runs.crossing import Elsewhere, SlowTouch, Touch

    tenant = Tenant.objects.get_or_create(name="acme")[0]
    first = {"file": Touch, "slow": SlowTouch, "elsewhere": Elsewhere}[kind]
    with transaction.atomic():
        parent = engine.start_parent(title="Crossing", tenant=tenant, started_by=None, max_parallel=int(max_parallel))
        children = [
            (
                [first(f"a{n}", float(seconds)), Touch(f"b{n}", float(seconds) if kind != "elsewhere" else 0.0)],
                f"Child {n}",
                f"thing:{n}",
            )
            for n in range(int(count))
        ]
        engine.add_children(parent, children)
        engine.advance(parent)
    return parent.pk


def look(run_id):
    from runs.models import Event, Run, Step

    run = Run.objects.get(pk=run_id)
    steps = Step.objects.filter(run__parent=run)
    events = Event.objects.filter(top=run)
    return {
        "state": run.state,
        "why": run.why,
        "seconds": (run.ended_at - run.started_at).total_seconds() if run.ended_at else None,
        "children": Counter(run.children.values_list("state", flat=True)),
        "steps": Counter(steps.values_list("state", flat=True)),
        "repeated": sorted(steps.filter(attempt__gt=1).values_list("args__name", flat=True)),
        "caught": events.filter(kind="step.pending", message__contains="caught in the middle").count(),
        "ends": max(
            Counter(events.filter(kind__in=["step.succeeded", "step.skipped"]).values_list("step", flat=True)).values(),
            default=0,
        ),
        "workers": len(set(steps.exclude(worker=None).values_list("worker", flat=True))),
    }


def token():
    """Of a system administrator."""
    from accounts import services, tokens
    from accounts.actors import SYSTEM
    from accounts.models import SystemRole

    user = services.create_user(
        by=SYSTEM, username="watcher", password="correct-horse-battery", role=SystemRole.SYS_ADMIN
    )
    return tokens.mint_token(by=SYSTEM, user=user)[1]


if __name__ == "__main__":
    import django

    django.setup()
    print(json.dumps({"start": start, "look": look, "token": token}[sys.argv[1]](*sys.argv[2:])))
