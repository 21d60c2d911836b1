"""A portal and its public API, as an operator's script would use it."""

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
WORKER = ["-A", "portal", "worker", "-P", "threads", "-c", "4", "-l", "WARNING", "--without-gossip", "--without-mingle"]


class Portal:
    """One installation; `call` asks /api/v1. With the address of a broker its worker is a process of its own, else embedded."""

    password = PASSWORD

    def __init__(
        self, folder: Path, networks: str, *, broker: str = "", settings: dict[str, str] | None = None
    ) -> None:
        env = {"ENV_FILE": "none", "ENDPOINT_NETWORKS": networks} | (settings or {})
        command = ["up", "--port", "{port}", "--no-administrator"]
        self.worker: PortalProcess | None = None
        if broker:
            env["BROKER_URL"] = broker
            command.append("--no-workers")
            program = [sys.executable, "-m", "celery"]
            place = folder.with_name(f"{folder.name}-worker")
            own = env | {"DATA_DIR": str(folder)}
            self.worker = PortalProcess(WORKER, data_dir=place, env=own, ready=None, program=program)
        self.process = PortalProcess(command, data_dir=folder, env=env)
        self.session = requests.Session()
        self.session.trust_env = False

    def start(self, *, is_new: bool = True) -> None:
        """`is_new`: an empty data folder, so the administrator is made."""
        self.process.env["PUBLIC_URL"] = self.process.url
        self.process.start(180)
        if is_new:
            self.make_administrator()
        token = mint_token(self.process.url, "admin", PASSWORD, "end to end")
        self.session.headers["Authorization"] = f"Token {token}"
        if self.worker:
            self.worker.start()

    def make_administrator(self) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), "first_admin", "--password-stdin"]
        subprocess.run(
            command,
            input=f"{PASSWORD}\n",
            text=True,
            env=self.process.env,
            timeout=180,
            check=True,
            capture_output=True,
        )

    def close(self) -> None:
        for process in (self.worker, self.process):
            if process:
                process.close()

    def kill_worker(self) -> None:
        """kill -9 of the process that works, and a new one in its place."""
        if self.worker is None:
            raise RuntimeError("This portal's worker is a part of it: give it a broker, or kill the portal.")
        self.worker.kill()
        self.worker.start()

    def kill(self) -> None:
        """kill -9 of everything that it is, at once, and a new start."""
        for process in (self.process, self.worker):
            if process:
                process.kill()
        self.process.start(180)
        if self.worker:
            self.worker.start()

    def call(self, method: str, path: str, **more: Any) -> Any:
        """The content of the reply; RuntimeError with what a bad one says."""
        reply = self.session.request(method, f"{self.process.url}/api/v1/{path}", timeout=120, **more)
        if not reply.ok:
            raise RuntimeError(f"{method} {path}: {reply.status_code} {reply.text[:1000]}")
        return reply.json() if reply.content else None

    def begin(self, cluster: str, kind: str, **more: Any) -> dict[str, Any]:
        """Plan it and start it by the digest; `more` of it are the fields of the API."""
        plan = self.call("POST", f"clusters/{cluster}/plan/", json={"kind": kind, **more})
        body = {"kind": kind, "digest": plan["digest"], **more}
        started = self.call("POST", f"clusters/{cluster}/runs/", json=body)
        return {"steps": plan["steps"], "estimate": plan["seconds"], "run": started["run"]}

    def work(self, cluster: str, kind: str, seconds: float, **more: Any) -> dict[str, Any]:
        """Begin it and wait for its end; RuntimeError where it did not succeed."""
        begun = self.begin(cluster, kind, **more)
        self.wait(begun["run"], seconds)
        return begun

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
