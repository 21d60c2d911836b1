"""A portal process and its public API, as an operator's script would use it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

from portal.demo.rest import mint_token
from tests.services.portal import ROOT, PortalProcess

PASSWORD = "end-to-end-password"
FINAL = ("succeeded", "failed", "cancelled")


class Portal:
    """One installation with the embedded default; `call` asks /api/v1."""

    password = PASSWORD

    def __init__(self, folder: Path, networks: str) -> None:
        env = {"ENV_FILE": "none", "ENDPOINT_NETWORKS": networks}
        command = ["up", "--port", "{port}", "--no-administrator"]
        self.process = PortalProcess(command, data_dir=folder, env=env)
        self.session = requests.Session()
        self.session.trust_env = False

    def start(self, *, is_new: bool = True) -> None:
        """`is_new`: an empty data folder, so the administrator is made."""
        self.process.env["PUBLIC_URL"] = self.process.url
        self.process.start()
        if is_new:
            self.make_administrator()
        token = mint_token(self.process.url, "admin", PASSWORD, "end to end")
        self.session.headers["Authorization"] = f"Token {token}"

    def make_administrator(self) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), "first_admin", "--password-stdin"]
        subprocess.run(
            command, input=f"{PASSWORD}\n", text=True, env=self.process.env, timeout=60, check=True, capture_output=True
        )

    def close(self) -> None:
        self.process.close()

    def call(self, method: str, path: str, **more: Any) -> Any:
        """The content of the reply; RuntimeError with what a bad one says."""
        reply = self.session.request(method, f"{self.process.url}/api/v1/{path}", timeout=120, **more)
        if not reply.ok:
            raise RuntimeError(f"{method} {path}: {reply.status_code} {reply.text[:1000]}")
        return reply.json() if reply.content else None

    def work(self, cluster: str, kind: str, seconds: float) -> dict[str, Any]:
        """Plan it, start it by the digest, wait for its end; RuntimeError where it did not succeed."""
        plan = self.call("POST", f"clusters/{cluster}/plan/", json={"kind": kind})
        started = self.call("POST", f"clusters/{cluster}/runs/", json={"kind": kind, "digest": plan["digest"]})
        run = self.wait(started["run"], seconds)
        return {"steps": plan["steps"], "estimate": plan["seconds"], "run": run["id"]}

    def wait(self, run_id: int, seconds: float) -> dict[str, Any]:
        """The run when it has ended."""
        until = time.monotonic() + seconds
        while True:
            run: dict[str, Any] = self.call("GET", f"runs/{run_id}/")
            if run["state"] in FINAL:
                break
            if time.monotonic() > until:
                raise RuntimeError(f"{run['title']} has not ended after {seconds:.0f} s: {run['state']} {run['why']}")
            time.sleep(0.5)
        if run["state"] != "succeeded":
            raise RuntimeError(f"{run['title']} {run['state']}: {run['why']}")
        return run
