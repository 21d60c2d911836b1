"""`make demo` as a stranger runs it: the main job on four real installations, leftovers, Ctrl-C."""

from __future__ import annotations

import json
import os
import random
import socket
import stat
import time
from pathlib import Path
from urllib.parse import urlparse

import pytest
import requests

from portal.demo.installations import remove_pages
from tests.services.portal import PortalProcess


def four_ports() -> int:
    """The first of four free ports in a row, below those that the kernel gives to whoever asks for any."""
    while True:
        first = random.randrange(10_000, 30_000)
        if not any(is_open(first + number) for number in range(4)):
            return first


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition, seconds: float, demo: PortalProcess) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert demo.returncode is None, demo.log()
        assert time.monotonic() < until, demo.log()
        time.sleep(0.1)


def told(folder: Path) -> dict:
    return json.loads((folder / "demo.json").read_text())


def ask(content: dict, path: str) -> dict:
    return requests.get(
        f"{content['url']}/api/v1/{path}", headers={"Authorization": f"Token {content['token']}"}, timeout=30
    ).json()


@pytest.fixture
def demo(spawn, tmp_path):
    """`demo(DEMO_EXIT="1")` starts one; all of a test share ports and folder."""
    environment = {"DEMO_PORT": str(four_ports()), "DEMO_DIR": str(tmp_path / "var")}

    def start(**more: str) -> PortalProcess:
        process = spawn(["demo"], env=environment | more, ready=None, name=f"demo{len(more)}{time.monotonic_ns()}")
        process.first_port = int(environment["DEMO_PORT"])
        process.folder = tmp_path / "var"
        return process

    yield start
    remove_pages(tmp_path / "var" / "demo")


def test_the_demo_does_the_main_job_and_ctrl_c_ends_everything(demo):
    process = demo()
    wait_until(lambda: "Ctrl-C ends it" in process.log(), 300, process)

    content = told(process.folder)
    assert stat.S_IMODE((process.folder / "demo.json").stat().st_mode) == 0o600
    assert set(content) == {"url", "username", "password", "token", "rollout", "environments"}
    assert [each["name"] for each in content["environments"]] == ["London", "New York", "Tel Aviv"]
    assert ask(content, f"rollouts/{content['rollout']}/")["state"] == "succeeded"
    rows = ask(content, f"rollouts/{content['rollout']}/targets/")["results"]
    assert [row["site"] for row in rows] == ["London", "New York", "Tel Aviv"]
    for row in rows:
        page = Path(urlparse(row["capabilities"]["page"]).path)
        assert "Hello from the edge" in page.read_text(), "a person can look at it"
    for each in content["environments"]:
        auth, headers = (each["username"], each["password"]), {"Tenant": each["tenant"]}
        there = requests.get(
            f"{each['url']}/api/v3.1/deployments/hello-edge", auth=auth, headers=headers, timeout=30
        ).json()
        assert there["installation_status"] == "active"
    log = process.log()
    assert content["password"] in log and content["url"] in log
    assert content["token"] not in log
    assert all(each["password"] not in log for each in content["environments"])

    begun = time.monotonic()
    assert process.interrupt(15) == 0
    assert time.monotonic() - begun < 15
    assert not any(is_open(process.first_port + number) for number in range(4))


def test_a_demo_that_was_killed_leaves_nothing_that_stops_the_next_one(demo):
    first = demo()
    wait_until(lambda: is_open(first.first_port), 200, first)
    first.kill()  # its four installations go on
    assert is_open(first.first_port)

    second = demo(DEMO_EXIT="1")
    assert second.wait(300) == 0, second.log()
    assert told(second.folder)["rollout"] == 1
    assert "Tel Aviv" in second.log()
    assert not is_open(first.first_port)


def test_a_taken_port_is_told_with_what_to_do(demo):
    with socket.socket() as taken:
        process = None
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = demo(DEMO_PORT=str(port))
        assert process.wait(60) == 1
    assert f"Port {port} on 127.0.0.1 cannot be used" in process.log()
    assert "DEMO_PORT=" in process.log()
    assert not os.path.exists(process.folder / "demo.json")
