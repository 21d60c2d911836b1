"""List and filter 10,000 environments with 10 labels each through /api/v1, on SQLite and PostgreSQL.

python -m bench.filters [--environments 10000] [--repeat 20]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
AIM = 100  # ms, P95


def label(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"type": "label", "key": key, "operator": operator, "values": list(values)}


def attribute(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"type": "attribute", "key": key, "operator": operator, "values": list(values)}


# Title -> query of GET /api/v1/environments/; one page of 50 with the count of all that match.
QUERIES: dict[str, dict[str, Any]] = {
    "first page": {},
    "last page": {"offset": -50},
    "env is prod": {"filter_rules": [label("env", "any_of", "prod")]},
    "ring is not 1 or 2 (or no such key)": {"filter_rules": [label("ring", "is_not", "1", "2")]},
    "no key parent, key env": {"filter_rules": [label("csys-obj-parent", "is_null"), label("env", "is_not_null")]},
    "four labels": {
        "filter_rules": [
            label("env", "any_of", "prod", "stage"), label("region", "not_any_of", "r1"), label("ring", "any_of", "1", "2", "3"), label("unique", "is_not", "u7"),
        ],
    },
    "a label of one environment": {"filter_rules": [label("unique", "any_of", "u4711")]},
    "name contains, site ends with": {"filter_rules": [attribute("id", "contains", "e_4"), attribute("site_name", "ends_with", "7")]},
    "search box": {"q": "99"},
    "state and site": {"state": "ready", "site": "Site7"},
    "sorted by label": {"ordering": "label:ring,name"},
    "env is prod, sorted by age": {"filter_rules": [label("env", "any_of", "prod")], "ordering": "-created_at"},
}  # fmt: skip


def fill(count: int) -> str:
    """Tenant, user and environments; returns a token."""
    from accounts.actors import SYSTEM
    from accounts.models import Secret, Tenant
    from accounts.services import create_tenant, create_user, set_membership
    from accounts.tokens import mint_token
    from inventory.models import Credential, Deployment, Environment, Label, Site, SubManager

    tenant: Tenant = create_tenant(by=SYSTEM, name="bench")
    user = create_user(by=SYSTEM, username="bench", password="not-a-secret-here")
    set_membership(by=SYSTEM, tenant=tenant, user=user, role="user")
    secret = Secret.objects.create(tenant=tenant, name="token", ciphertext=b"", key_id="none")
    credential = Credential.objects.create(tenant=tenant, kind="token", token=secret)
    sites = Site.objects.bulk_create(Site(tenant=tenant, name=f"Site{number}") for number in range(40))
    managers = SubManager.objects.bulk_create(
        SubManager(tenant=tenant, endpoint=f"m{number}.example") for number in range(count)
    )
    rows = Deployment.objects.bulk_create(
        (
            Deployment(
                tenant=tenant, wire_id=f"site_{number % 40}-e_{number}", display_name=f"Environment {number}", kind="environment",
                site=sites[number % 40], created_by=user,
            )
            for number in range(count)
        ),
        batch_size=2000,
    )  # fmt: skip
    states = ["ready", "ready", "ready", "degraded", "unreachable"]
    Environment.objects.bulk_create(
        (
            Environment(deployment=row, sub_manager=manager, credential=credential, state=states[number % 5])
            for number, (row, manager) in enumerate(zip(rows, managers, strict=True))
        ),
        batch_size=2000,
    )
    Label.objects.bulk_create(
        (
            Label(deployment=row, key=key, value=value, created_by=user)
            for number, row in enumerate(rows)
            for key, value in {
                "csys-obj-type": "environment", "env": ["prod", "stage", "test", "dev"][number % 4], "region": f"r{number % 5}",
                "ring": str(number % 10), "team": f"t{number % 30}", "unique": f"u{number}", "os": "debian", "tier": f"x{number % 3}",
                "owner": f"o{number % 100}", "rack": f"k{number % 500}",
            }.items()
        ),
        batch_size=5000,
    )  # fmt: skip
    return mint_token(by=SYSTEM, user=user)[1]


def measure(count: int, repeat: int) -> dict[str, Any]:
    """{title: {"found", "p50", "p95", "cpu", "all"}} in ms, in this process, through the whole stack but the socket."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    call_command("migrate", verbosity=0)
    token = fill(count)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    client = Client(headers={"Authorization": f"Token {token}", "Host": "localhost"})
    found: dict[str, Any] = {}
    for title, query in QUERIES.items():
        sent = {name: json.dumps(value) if name == "filter_rules" else value for name, value in query.items()}
        if sent.get("offset", 0) < 0:
            sent["offset"] += count
        times, busy = [], []
        for _ in range(repeat + 2):
            began, began_cpu = time.perf_counter(), time.process_time()
            reply = client.get("/api/v1/environments/", sent | {"limit": 50})
            times.append((time.perf_counter() - began) * 1000)
            busy.append((time.process_time() - began_cpu) * 1000)
            assert reply.status_code == 200, reply.content
        times, cpu = sorted(times[2:]), statistics.median(busy[2:])  # the first two warm up
        found[title] = {
            "found": reply.json()["count"], "p50": statistics.median(times), "p95": times[max(0, round(len(times) * 0.95) - 1)],
            "cpu": cpu, "all": times,
        }  # fmt: skip
    return found


def in_child(database_url: str, folder: str, count: int, repeat: int) -> dict[str, Any]:
    """The same in a process with that database."""
    env = os.environ | {"DATABASE_URL": database_url, "DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "portal.settings"}
    command = [sys.executable, "-m", "bench.filters", "--child", "--environments", str(count), "--repeat", str(repeat)]
    ended = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


def report(name: str, found: dict[str, Any]) -> None:
    """A table, and the P95 over all requests."""
    together = sorted(each for row in found.values() for each in row["all"])
    p95 = together[round(len(together) * 0.95) - 1]
    print(f"\n{name}: P95 of all {len(together)} requests {p95:.0f} ms (aim {AIM})")
    for title, row in found.items():
        print(
            f"  {title:38} {row['found']:6} found  P50 {row['p50']:6.1f} ms  P95 {row['p95']:6.1f} ms  CPU of this process {row['cpu']:5.1f} ms"
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.child:
        print(json.dumps(measure(given.environments, given.repeat)))
        return 0
    from tests.services import postgres
    from tests.services.shared import Missing, open_session

    print(
        f"{given.environments} environments with 10 labels each, pages of 50 through /api/v1, {given.repeat} times each query"
    )
    with tempfile.TemporaryDirectory() as folder:
        report("SQLite", in_child(f"sqlite:///{folder}/bench.sqlite3", folder, given.environments, given.repeat))
    try:
        open_session()
        url = postgres.make_database()
    except Missing as missing:
        print(f"\nPostgreSQL: not measured. {missing}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report("PostgreSQL", in_child(url, folder, given.environments, given.repeat))
    return 0


if __name__ == "__main__":
    sys.exit(main())
