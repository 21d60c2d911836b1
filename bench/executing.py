"""Executions a second in the runner of one sub-manager, through v3.1: installs of a blueprint without a script, and with one.

python -m bench.executing [--executions 40]
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
import time
from typing import Any

from bench.installation import Installation, embedded
from bench.rows import Row, median, show

TITLE = "Executions in the runner of one sub-manager"
HEAD = "tosca_definitions_version: cloudify_dsl_1_4\nimports:\n  - cloudify/types/types.yaml\nnode_templates:\n"
NO_SCRIPT = HEAD + "  app:\n    type: cloudify.nodes.Root\n"
ONE_SCRIPT = NO_SCRIPT + (
    "    interfaces:\n      cloudify.interfaces.lifecycle:\n        create:\n          implementation: scripts/create.sh\n"
)
SCRIPT = '#!/bin/bash\nctx logger info "made"\n'
PASSWORD = "not-a-secret-of-anybody"
ENDED = ("terminated", "failed", "cancelled")


def archive(blueprint: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as pack:
        for name, text in (("app/blueprint.yaml", blueprint), ("app/scripts/create.sh", SCRIPT)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text.encode()), 0o755
            pack.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()


class Manager:
    """v3.1 of the installation, as its first administrator."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.token = str(installation.run("bench.executing", "--seed")["token"])

    def ask(self, method: str, path: str, **more: Any) -> Any:
        return self.installation.call(method, f"v3.1/{path}", self.token, headers={"Tenant": "default_tenant"}, **more)

    def upload(self, name: str, blueprint: str) -> float:
        """Seconds until it is there and parsed."""
        began = time.perf_counter()
        self.ask(
            "PUT", f"blueprints/{name}?application_file_name=blueprint.yaml&async_upload=true", data=archive(blueprint)
        )
        self.wait(lambda: self.ask("GET", f"blueprints/{name}")["state"] in ("uploaded", "invalid", "failed_parsing"))
        found = self.ask("GET", f"blueprints/{name}")
        if found["state"] != "uploaded":
            raise RuntimeError(f"blueprint {name}: {found['state']} {found['error']}")
        return time.perf_counter() - began

    def wait(self, is_true: Any, seconds: float = 300) -> None:
        until = time.monotonic() + seconds
        while not is_true():
            if time.monotonic() > until:
                raise RuntimeError(f"not ready after {seconds:.0f} s: {self.installation.portal.log()[-2000:]}")
            time.sleep(0.1)

    def running(self, workflow: str) -> list[dict[str, Any]]:
        query = f"executions?_include=id,status,error,created_at,ended_at,workflow_id&_size=1000&workflow_id={workflow}"
        rows: list[dict[str, Any]] = self.ask("GET", query + "&_include_system_workflows=true")["items"]
        return rows

    def wait_for(self, workflow: str, count: int) -> None:
        def all_ended() -> bool:
            rows = self.running(workflow)
            failed = [row for row in rows if row["status"] in ("failed", "cancelled")]
            if failed:
                raise RuntimeError(f"{workflow} failed: {failed[0]}")
            return sum(row["status"] in ENDED for row in rows) >= count

        self.wait(all_ended)


def measure(name: str, blueprint: str, executions: int) -> list[Row]:
    """One after the other, then all at once."""
    with embedded(DEPLOYON_MODE="sub-manager") as installation:
        manager = Manager(installation)
        parsed = manager.upload("app", blueprint)
        alone = 5
        for number in range(alone + executions):
            manager.ask("PUT", f"deployments/d{number}?async_create=true", json={"blueprint_id": "app"})
        manager.wait_for("create_deployment_environment", alone + executions)
        single = []
        for number in range(alone):
            began = time.perf_counter()
            manager.ask("POST", "executions", json={"deployment_id": f"d{number}", "workflow_id": "install"})
            manager.wait_for("install", number + 1)
            single.append(time.perf_counter() - began)
        processor, began = installation.processor(), time.perf_counter()
        for number in range(alone, alone + executions):
            manager.ask("POST", "executions", json={"deployment_id": f"d{number}", "workflow_id": "install"})
        asked = time.perf_counter() - began
        manager.wait_for("install", alone + executions)
        whole = time.perf_counter() - began
        used = installation.processor() - processor
        memory = installation.memory()
    return [
        Row(f"{name}: upload and parse", parsed, "s"),
        median(f"{name}: one install alone", single, "s"),
        Row(
            f"{name}: {executions} installs at once",
            executions / whole,
            "/s",
            note=f"in {whole:.1f} s, of which {asked:.1f} s to ask for them",
        ),
        Row(f"{name}: processor an install", 1000 * used / executions, "ms"),
        Row(f"{name}: memory after that (PSS, with the runner)", memory, "MB"),
    ]


def run(executions: int = 40) -> list[Row]:
    return measure("no script", NO_SCRIPT, executions) + measure("one script", ONE_SCRIPT, executions)


def seed() -> int:
    """Somebody who may everything, in the installation of the environment."""
    import json

    import django

    django.setup()
    from accounts.actors import SYSTEM
    from accounts.services import create_user
    from accounts.tokens import mint_token

    user = create_user(by=SYSTEM, username="bench", password=PASSWORD, role="sys_admin")
    print(json.dumps({"token": mint_token(by=SYSTEM, user=user)[1]}))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=40)
    parser.add_argument("--seed", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.seed:
        return seed()
    show(TITLE, run(given.executions))
    return 0


if __name__ == "__main__":
    sys.exit(main())
