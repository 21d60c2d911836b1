"""The counter of a drill as its host runs it, against a manager that runs: what it finds lost, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from installs.drills.writing import PROGRAM
from tests.installs import authorities
from tests.installs.serving import CA

pytestmark = pytest.mark.django_db


@pytest.fixture
def begin(running, tmp_path):
    """Starts the program; ends it with the test."""
    processes = []

    def start(**more):
        token = running.call("POST", "/tokens", json={"description": "a drill"}).json()
        told = {
            "address": "127.0.0.1", "name": "box.solo", "port": running.process.port, "tenant": "default_tenant", "ca": CA.certificate,
            "token": token["value"], "token_id": token["id"], "prefix": f"drill-{time.time_ns():x}-", "clients": 3, "pause": 0.1,
            "seconds": 60, "counts_messages": False, "environment": "", "struck": "",
        } | more  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.read_text(), str(tmp_path / "end")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        processes.append(process)
        process.stdin.write(json.dumps(told))
        process.stdin.close()
        return told, process

    yield start
    for process in processes:
        process.kill()
        process.stdout.close()
        process.wait(10)


def follow(process, until):
    """Lines as they come, as far as one for which `until` holds."""
    told = None
    for line in process.stdout:
        told = json.loads(line)
        if until(told):
            return told
    raise AssertionError(f"It ended before that: {told}")


def keys(running, prefix):
    items = running.call("GET", "/secrets?_include=key&_size=1000").json()["items"]
    return [item["key"] for item in items if item["key"].startswith(prefix)]


def test_what_was_acknowledged_and_is_gone_is_told_by_its_number(begin, running, tmp_path):
    told, process = begin()
    follow(process, lambda line: line.get("acknowledged", 0) >= 12)
    for number in (2, 5):
        assert running.call("DELETE", f"/secrets/{told['prefix']}{number}").status_code == 204
    (tmp_path / "end").touch()
    result = follow(process, lambda line: "result" in line)["result"]
    assert (result["lost"], result["lost_numbers"]) == (2, [2, 5]) and result["acknowledged"] >= 12
    assert process.wait(20) == 0 and keys(running, told["prefix"]) == [], "it left what it wrote"
    listed = [row["id"] for row in running.call("GET", "/tokens?_size=1000").json()["items"]]
    assert told["token_id"] not in listed, "its token still opens"


def test_a_time_in_which_nobody_answers_is_the_gap(begin, running, tmp_path):
    _, process = begin()
    follow(process, lambda line: line.get("acknowledged", 0) >= 6)
    running.process.kill()
    time.sleep(3)
    running.process.start()
    mark = follow(process, lambda line: "acknowledged" in line)["acknowledged"]
    follow(process, lambda line: line.get("acknowledged", 0) > mark + 6)
    (tmp_path / "end").touch()
    result = follow(process, lambda line: "result" in line)["result"]
    assert result["lost"] == 0, result["errors"]
    assert 3 < result["gap_seconds"] < 30 and result["errors"]


def test_it_ends_by_itself_and_reads_back_where_everybody_forgot_it(begin, running):
    told, process = begin(seconds=2)
    result = follow(process, lambda line: "result" in line)["result"]
    assert result["lost"] == 0, result["errors"]
    assert result["acknowledged"] > 5 and keys(running, told["prefix"]) == []


def test_an_entrance_with_another_certificate_gets_nothing(begin, tmp_path):
    _, process = begin(ca=authorities.make("another CA", ca=True).certificate, seconds=1)
    line = follow(process, lambda line: "acknowledged" in line)
    assert line["acknowledged"] == 0
