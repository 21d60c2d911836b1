"""What clients of v3.1 do on PostgreSQL: lists of 1,000 and 10,000 deployments with labels, searches, single calls, creating, a group of 100.

python -m bench.wire [--rows 10000] [--group 100]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import requests

from bench.executing import NO_SCRIPT, Manager
from bench.installation import SECONDS, separate
from bench.rows import Row, median, show

TITLE = "The calls of v3.1 that operators wait for, PostgreSQL, one client after the other"
SHORT = "_include=id,labels,deployment_status,installation_status,blueprint_id,site_name"
FACTOR = 20  # how much faster than the old manager, whose seconds are in OLD
OLD = {"page": 4.3, "whole": 40.0}


def fill(count: int, tenant_name: str) -> dict[str, Any]:
    """So many deployments with ten labels each, as an old manager had them; run in the installation's environment."""
    import django

    django.setup()
    from django.db import connection

    from accounts.models import Tenant
    from inventory.models import Deployment, Label, Site
    from orchestration.models import Blueprint, LocalDeployment

    tenant = Tenant.objects.get(name=tenant_name)
    blueprint = Blueprint.objects.get(wire_id="app")
    sites = Site.objects.bulk_create(Site(tenant=tenant, name=f"site{number}") for number in range(40))
    rows = Deployment.objects.bulk_create(
        (
            Deployment(
                tenant=tenant, wire_id=f"old{number:05}", display_name=f"Deployment {number}", kind=Deployment.Kind.LOCAL,
                site=sites[number % 40], blueprint_name=blueprint.wire_id,
            )
            for number in range(count)
        ),
        batch_size=2000,
    )  # fmt: skip
    plan = {name: value for name, value in (blueprint.plan or {}).items() if name in ("workflows", "capabilities")}
    LocalDeployment.objects.bulk_create(
        (LocalDeployment(deployment=row, blueprint=blueprint, plan=plan, inputs={}) for row in rows), batch_size=1000
    )
    Label.objects.bulk_create(
        (
            Label(deployment=row, key=key, value=value)
            for number, row in enumerate(rows)
            for key, value in {
                "env": ["prod", "stage", "test", "dev"][number % 4], "region": f"r{number % 5}", "ring": str(number % 10),
                "team": f"t{number % 30}", "few": f"f{number % 500}", "os": "debian", "tier": f"x{number % 3}",
                "owner": f"o{number % 100}", "rack": f"k{number % 50}", "unique": f"u{number}",
            }.items()
        ),
        batch_size=5000,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return {"rows": count}


def timed(what: Callable[[], Any], repeat: int) -> list[float]:
    """Seconds of each call; the first one warms up and does not count."""
    what()
    found = []
    for _ in range(repeat):
        began = time.perf_counter()
        what()
        found.append(time.perf_counter() - began)
    return found


class Reader:
    """A client that reads answers to their last byte, compressed as genuine clients ask for them, and does not look into them."""

    def __init__(self, manager: Manager) -> None:
        self.url = f"{manager.installation.url}/api/v3.1/"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"Authorization": f"Token {manager.token}", "Tenant": "default_tenant"})

    def ask(self, method: str, path: str, **more: Any) -> int:
        """How many bytes came."""
        with self.session.request(method, self.url + path, stream=True, timeout=SECONDS, **more) as reply:
            reply.raise_for_status()
            return len(reply.raw.read())


def seconds(
    title: str, manager: Manager | Reader, repeat: int, path: str, *, old: float = 0, method: str = "GET", **more: Any
) -> Row:
    """The median of some calls, with the rate of one client, beside what the old manager took."""
    taken = timed(lambda: manager.ask(method, path, **more), repeat)
    row = median(title, taken, "s")
    row.note = f"{1 / row.value:.1f}/s"
    if old:
        row.note += f", old manager {old:g} s: {old / row.value:.0f} times faster"
    return row


def lists(manager: Manager, rows: int, repeat: int) -> list[Row]:
    """A page, all of them, few fields, and searches by label."""
    rule = {"key": "few", "values": ["f7"], "operator": "any_of", "type": "label"}
    wide = {"key": "env", "values": ["prod"], "operator": "any_of", "type": "label"}
    body, more = {"filter_rules": [rule]}, {"filter_rules": [wide]}
    aim = f"{OLD['page'] / FACTOR:.2f}"
    reader = Reader(manager)
    page = seconds("page of 1,000 with labels, all fields", reader, repeat, "deployments?_size=1000", old=OLD["page"])
    page.aim = aim
    whole = seconds(f"{rows:,} with labels in one page", reader, 3, f"deployments?_size={rows}", old=OLD["whole"])
    whole.aim = f"{OLD['whole'] / FACTOR:.1f}"
    return [
        page,
        seconds("the same, read as JSON by a client in Python", manager, repeat, "deployments?_size=1000"),
        seconds("the same, six fields", reader, repeat, f"deployments?_size=1000&{SHORT}", old=2.9),
        seconds("the same, id alone", reader, repeat, "deployments?_size=1000&_include=id", old=0.54),
        whole,
        seconds(f"{rows:,}, six fields, in one page", reader, 3, f"deployments?_size={rows}&{SHORT}"),
        seconds("search by label, 20 hits", reader, repeat, "searches/deployments", old=0.114, method="POST", json=body),
        seconds("search by label, 1,000 of its hits", reader, repeat, "searches/deployments?_size=1000", old=1.0, method="POST", json=more),
        seconds("one deployment", reader, repeat, "deployments/old00042", old=0.031),
        seconds("newest one", reader, repeat, "deployments?_size=1&_sort=-created_at", old=0.022),
        seconds("summary by status", reader, repeat, "summary/deployments?_target_field=deployment_status", old=0.031),
        seconds("GET /version", reader, repeat * 2, "version", old=0.018),
    ]  # fmt: skip


def making(manager: Manager, count: int) -> list[Row]:
    """Deployments one after the other, then a group of them made and installed at once."""
    taken = []
    for number in range(10):
        began = time.perf_counter()
        manager.ask("PUT", f"deployments/one{number}", json={"blueprint_id": "app"})
        taken.append(time.perf_counter() - began)
    create = median(
        "create a deployment, synchronous", taken, "s", note=f"{len(taken) / sum(taken):.1f}/s, old manager 0.93/s"
    )
    new = [{"id": f"many{number}"} for number in range(count)]
    began = time.perf_counter()
    manager.ask("PUT", "deployment-groups/many", json={"blueprint_id": "app", "new_deployments": new})
    answered = time.perf_counter() - began
    manager.wait_for("create_deployment_environment", count + len(taken))
    made = time.perf_counter() - began
    began = time.perf_counter()
    asked = {"deployment_group_id": "many", "workflow_id": "install", "concurrency": 10}
    group = manager.ask("POST", "execution-groups", json=asked)["id"]
    manager.wait(lambda: manager.ask("GET", f"execution-groups/{group}")["status"] in ("terminated", "failed"))
    installed = time.perf_counter() - began
    return [
        create,
        Row(f"group of {count}: answered", answered, "s", note="old manager 0.83 s for 100"),
        Row(f"group of {count}: all created", made, "s", note=f"{count / made:.1f}/s, old manager 40 s for 100"),
        Row(f"group of {count}: all installed", installed, "s", note=f"{count / installed:.1f}/s, old manager 53 s for 100"),
    ]  # fmt: skip


def run(rows: int = 10_000, group: int = 100, repeat: int = 10) -> list[Row]:
    with separate(workers=1) as installation:
        manager = Manager(installation)
        manager.upload("app", NO_SCRIPT)
        made = making(manager, group)
        installation.run("bench.wire", "--fill", str(rows))
        return lists(manager, rows, repeat) + made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--group", type=int, default=100)
    parser.add_argument("--fill", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fill:
        print(json.dumps(fill(given.fill, "default_tenant")))
        return 0
    show(TITLE, run(given.rows, given.group))
    return 0


if __name__ == "__main__":
    sys.exit(main())
