"""A running portal for tests that speak to it over HTTP, with the cast that the genuine manager was recorded with."""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from pathlib import Path

import requests

from tests.services.portal import ROOT, PortalProcess
from tests.services.shared import accepts

PASSWORD = "correct-horse-battery"
CAST = f"""
from accounts import services
from accounts.actors import SYSTEM
from accounts.models import Tenant, User
admin = User.objects.get(username="admin")
services.set_password(by=SYSTEM, user=admin, password={PASSWORD!r})
home = Tenant.objects.get(name="default_tenant")
more = {{name: Tenant.objects.filter(name=name).first() or services.create_tenant(by=SYSTEM, name=name) for name in ("t2", "empty")}}
for name, roles in {{"bob": ((home, "user"), (more["t2"], "manager")), "vera": ((home, "viewer"),), "nora": ()}}.items():
    user = services.create_user(by=SYSTEM, username=name, password={PASSWORD!r})
    for tenant, role in roles:
        services.set_membership(by=SYSTEM, tenant=tenant, user=user, role=role)
"""


class Manager:
    """A portal process and a way to call its /api/v3.1."""

    def __init__(
        self, data_dir: Path, command: list[str] | None = None, env: dict[str, str] | None = None, scheme: str = "http"
    ) -> None:
        self.process = PortalProcess(
            command or ["up", "--port", "{port}"],
            data_dir=data_dir,
            env=env,
            ready="/readyz" if scheme == "http" else None,
        )
        self.scheme, self.tenant = scheme, "default_tenant"
        self.url = f"{scheme}://127.0.0.1:{self.process.port}"
        self.session = requests.Session()

    def in_tenant(self, name: str) -> Manager:
        """The same portal, asked in another tenant where none is named."""
        other = copy.copy(self)
        other.tenant = name
        return other

    def start(self) -> Manager:
        self.process.start(240)
        if self.scheme == "https":
            self.await_port()
        return self

    def await_port(self, seconds: float = 150) -> None:
        until = time.monotonic() + seconds
        while not accepts(self.process.port):
            assert time.monotonic() < until, self.process.log()[-3000:]
            time.sleep(0.05)

    def run(self, code: str) -> str:
        """Python inside the product, in a process of its own on the same data."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "shell", "-v0", "-c", code],
            env=self.process.env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def call(
        self, method: str, path: str, *, user: str | None = "admin", tenant: str | None = "", **more
    ) -> requests.Response:
        tenant = self.tenant if tenant == "" else tenant
        headers = dict(more.pop("headers", None) or {})
        if tenant:
            headers["Tenant"] = tenant
        auth = (user, more.pop("password", PASSWORD)) if user else None
        return self.session.request(
            method, f"{self.url}/api/v3.1{path}", headers=headers, auth=auth, timeout=150, **more
        )

    def in_new_tenant(self, name: str) -> Manager:
        """The same, and the tenant is made: what others count is not disturbed."""
        self.run(
            f"from accounts import services; services.create_tenant(by=__import__('accounts.actors').actors.SYSTEM, name={name!r})"
        )
        return self.in_tenant(name)

    def upload(self, wire_id: str, content: bytes, main_file: str = "blueprint.yaml") -> requests.Response:
        path = f"/blueprints/{wire_id}?application_file_name={main_file}"
        return self.call("PUT", path, data=content, headers={"Content-Type": "application/octet-stream"})

    def start_workflow(self, deployment_id: str, workflow_id: str, **more) -> str:
        reply = self.call(
            "POST", "/executions", json={"deployment_id": deployment_id, "workflow_id": workflow_id, **more}
        )
        assert reply.status_code == 201, reply.text
        return reply.json()["id"]

    def await_execution(self, execution_id: str, seconds: float = 60) -> dict:
        return self.await_(
            f"/executions/{execution_id}", lambda row: row["status"] in ("terminated", "failed", "cancelled"), seconds
        )

    def await_(self, path: str, is_there, seconds: float = 60) -> dict:
        until = time.monotonic() + seconds
        while True:
            reply = self.call("GET", path)
            if reply.status_code == 200 and is_there(reply.json()):
                return reply.json()
            assert time.monotonic() < until, f"{path}: {reply.text[:1000]}\n{self.process.log()[-2000:]}"
            time.sleep(0.05)
