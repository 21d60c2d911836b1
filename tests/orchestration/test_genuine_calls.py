"""The calls that a genuine manager was recorded with, made here in the same order: same status, keys, codes, words.

data/genuine-calls.jsonl has one call a line, its reply reduced to what a client can rely on. Where this manager answers otherwise
on purpose, DIFFERENT says how and why, and docs/compatibility.md tells it to people.
"""

from __future__ import annotations

import dataclasses
import functools
import http.server
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.orchestration import archives

CALLS = [json.loads(line) for line in (Path(__file__).parent / "data" / "genuine-calls.jsonl").read_text().splitlines()]
# A deployment takes its events with it, sooner here than there: it is deleted when they have been read.
CALLS.sort(key=lambda call: 157.5 if call["n"] == 150 else call["n"])
WAIT_SECONDS = 20.0
# Before these the genuine manager had ended what it was doing.
IDLE_BEFORE = {105, 116, 120, 113, 130, 138, 148, 149, 150, 151, 160, 161, 164}
# Before these something must have happened: address -> at least so many items.
HAPPENED_BEFORE = {125: "/events?deployment_id=x2&event_type=task_failed"}
# Ids that are drawn, and times of day, differ from run to run.
DRAWN = re.compile(r"\b(s|app)_[a-z0-9]{6}\b|status=`\w+`")


@dataclasses.dataclass(frozen=True)
class Difference:
    """Where this manager answers otherwise: `parts` are not compared; `status` and `code` are ours."""

    why: str
    parts: tuple[str, ...] = ()
    status: int | None = None
    code: str | None = None


SPEED = "it depends on how fast a manager is"
DIFFERENT = {
    7: Difference("an unknown user is told from a wrong password by nobody", ("message",)),
    24: Difference("tenants of which the caller is no member are not told", ("total", "ids")),
    25: Difference("tenants of which the caller is no member are not told", ("total", "ids", "item_keys", "words")),
    40: Difference(SPEED, ("values",)),
    54: Difference("our types file has other types", ("values.error",)),
    55: Difference("our types file has other types", ("message",)),
    57: Difference("a missing plugin is named", ("values.error",)),
    **{
        n: Difference("a main file that is not named has its default name", ("values.main_file_name",))
        for n in (45, 47)
    },
    69: Difference(
        "a deployment that is being created is in progress", ("values.deployment_status", "values.description")
    ),
    77: Difference("no names of Python classes in messages", ("message",)),
    78: Difference(
        "a deployment that is being created is in progress", ("values.deployment_status", "values.description")
    ),
    79: Difference("what was never created is not active", ("values.installation_status",)),
    80: Difference(SPEED, ("ids", "first.id")),
    84: Difference("the same keys in another order", ("message",)),
    105: Difference(SPEED, ("values.unavailable_instances", "values.latest_execution_workflow_id")),
    109: Difference("other executions ran before", ("total", "first")),
    114: Difference("ids are drawn", ("ids", "first.id")),
    116: Difference(SPEED, ("message",)),
    120: Difference(SPEED, ("message", "error_code")),
    121: Difference("ids are drawn", ("ids",)),
    125: Difference(SPEED, ("values.total_operations", "values.finished_operations")),
    128: Difference(SPEED, ("values.total_operations", "values.finished_operations")),
    129: Difference(
        "what has not begun is cancelled at once; whether it has depends on how fast a manager is",
        ("values.status", "values.status_display", "values.total_operations", "values.finished_operations"),
    ),
    130: Difference(
        "a force-cancel ends what was resumed a moment ago before a kill can",
        ("keys", "values", "message"),
        400,
        "illegal_action_error",
    ),
    136: Difference("there are no agents, hence no workflows for them", ("total", "ids")),
    141: Difference("an execution of a deployment goes with it", ("total", "ids", "first", "item_keys", "words")),
    146: Difference("the traceback is the runner's", ("values.error",)),
    151: Difference("other executions ran before", ("total",)),
    152: Difference("other executions ran before", ("total",)),
    157: Difference("events and logs are counted together", ("item_keys",)),
    173: Difference("only columns that can be sorted by are named", ("message",)),
    178: Difference("only columns that can be filtered by are named", ("message",)),
    193: Difference("what was never created is not active", ("total", "ids", "filtered")),
    198: Difference(
        "a saved filter with an empty body is applied",
        ("error_code", "keys", "message", "total", "metadata", "filtered", "ids", "item_keys"),
        200,
    ),
    208: Difference("other executions ran before", ("total", "ids")),
    223: Difference("values of secrets are for their creator and the tenant's managers", ("values.value",)),
    **{n: Difference("premium there, part of the product here", status=200) for n in (274, 276, 277, 278, 279)},
    275: Difference("premium there, part of the product here", status=201),
}
BY_URL = {41, 42, 45, 47, 48}
ARCHIVES = {
    49: lambda: b"this is junk",
    53: lambda: archives.packed({"blueprint.yaml": archives.BAD_TYPE}),
    55: lambda: archives.packed({"blueprint.yaml": archives.BAD_TYPE}),
    56: lambda: archives.packed({"blueprint.yaml": archives.FOREIGN_PLUGIN}),
}


class Replay:
    """Makes the calls one after another; ids and tokens that differ from run to run are put in."""

    def __init__(self, manager) -> None:
        self.manager = manager
        self.known: dict[str, str] = {}  # recorded id or token -> ours

    def ours(self, text: str) -> str:
        for recorded, mine in self.known.items():
            text = text.replace(recorded, mine)
        return text

    def send(self, call: dict[str, Any]) -> Any:
        headers = {name: self.ours(value) for name, value in call.get("headers", {}).items()}
        more: dict[str, Any] = {}
        if call["n"] == 40:
            params = {
                "visibility": "tenant",
                "async_upload": True,
                "application_file_name": "blueprint.yaml",
                "labels": [{"key": "kind", "value": "demo"}],
            }
            more["files"] = {
                "params": (None, json.dumps(params)),
                "blueprint_archive": ("filename", archives.app(), "text/plain"),
            }
        elif call["path"].startswith("/blueprints/") and call["method"] == "PUT" and call["n"] not in BY_URL:
            more["data"] = ARCHIVES.get(call["n"], archives.app)()
        elif call["n"] == 88:
            more["data"] = call["req"]
        elif "req" in call:
            more["json"] = json.loads(self.ours(json.dumps(call["req"])))
        elif call["n"] == 42:
            params = {"visibility": "tenant", "async_upload": True, "application_file_name": "blueprint.yaml"}
            params["blueprint_archive_url"] = self.ours("http://127.0.0.1:19999/script.tar.gz")
            more["files"] = {"params": (None, json.dumps(params))}
            more.pop("data", None)
        password = {"password": "wrong"} if call["label"] == "wrong password" else {}
        return self.manager.call(
            call["method"],
            self.ours(call["path"]),
            user=call["auth"],
            tenant=call["tenant"],
            headers=headers,
            **more,
            **password,
        )

    def learn(self, call: dict[str, Any], reply: Any) -> None:
        """Remember what our ids are."""
        recorded = call["reply"]
        values = recorded.get("values", {})
        if (
            call["method"] == "POST"
            and call["path"] in ("/executions", "/tokens")
            and reply.status_code < 300
            and "id" in values
        ):
            body = reply.json()
            self.known[values["id"]] = body["id"]
            if "value" in values:
                self.known = {values["value"]: body["value"], **self.known}


def reduced(call: dict[str, Any], reply: Any, ours) -> dict[str, Any]:
    """Our reply as the recorded one was reduced."""
    try:
        body = reply.json()
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    if "error_code" in body:
        return {"error_code": body["error_code"], "message": body["message"], "keys": sorted(body)}
    recorded = call["reply"]
    if "items" in body:
        items = body["items"]
        found: dict[str, Any] = {
            "total": body["metadata"]["pagination"]["total"],
            "metadata": sorted(body["metadata"]),
            "filtered": body["metadata"].get("filtered"),
        }
        if items and isinstance(items[0], dict):
            found["item_keys"] = sorted(items[0])
            found["ids"] = [item.get("id") for item in items]
        else:
            found["words"] = items
        if "first" in recorded and items:
            found["first"] = {name: items[0].get(name) for name in recorded["first"]}
        return found
    return {"keys": sorted(body), "values": {name: body.get(name) for name in recorded.get("values", {})}}


def wanted(call: dict[str, Any], ours) -> dict[str, Any]:
    """The recorded reply with our ids."""
    return json.loads(ours(json.dumps(call["reply"])))


def comparable(reply: dict[str, Any], difference: Difference | None) -> str:
    """What of a reply is compared, as text."""
    kept = {name: dict(value) if isinstance(value, dict) else value for name, value in reply.items()}
    for part in difference.parts if difference else ():
        name, _, inner = part.partition(".")
        if inner and isinstance(kept.get(name), dict):
            kept[name].pop(inner, None)
        else:
            kept.pop(name, None)
    return DRAWN.sub("drawn", json.dumps(kept, sort_keys=True, indent=1))


def await_idle(manager) -> None:
    """Until nothing runs."""
    manager.await_(
        "/executions?_include=status&_include_system_workflows=true",
        lambda body: all(row["status"] in ("terminated", "failed", "cancelled") for row in body["items"]),
    )


@pytest.fixture(scope="module")
def web(tmp_path_factory) -> Iterator[int]:
    """The web server that the genuine manager fetched archives from: its port."""
    folder = tmp_path_factory.mktemp("web")
    (folder / "script.tar.gz").write_bytes(archives.script())
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, without a log."""

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def replay(manager, web) -> Replay:
    """The deployments that the genuine manager had before it was recorded."""
    for reply in (
        manager.call("PUT", "/sites/site1", json={"location": "52.5,13.4"}),
        manager.upload("app1", archives.app()),
        manager.upload("script1", archives.script()),
        manager.call("PUT", "/deployments/ds1", json={"blueprint_id": "script1"}),
        manager.call(
            "PUT",
            "/deployments/d1",
            json={
                "blueprint_id": "app1",
                "inputs": {"name": "d1"},
                "site_name": "site1",
                "labels": [{"env": "prod"}, {"tier": "gold"}, {"region": "eu"}],
            },
        ),
        manager.call(
            "PUT",
            "/filters/deployments/f1",
            json={"filter_rules": [{"key": "env", "values": ["prod"], "operator": "any_of", "type": "label"}]},
        ),
    ):
        assert reply.status_code in (200, 201), reply.text
    assert manager.await_execution(manager.start_workflow("d1", "install"))["status"] == "terminated"
    made = Replay(manager)
    made.known = {"127.0.0.1%3A19999": f"127.0.0.1%3A{web}", "127.0.0.1:19999": f"127.0.0.1:{web}"}
    return made


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call['n']} {call['label']}")
def test_a_call_is_answered_as_by_a_genuine_manager(replay, call):
    """In the order of the recording: later calls build on earlier ones."""
    difference = DIFFERENT.get(call["n"])
    status = (difference and difference.status) or call["status"]
    if call["n"] in IDLE_BEFORE:
        await_idle(replay.manager)
    if call["n"] in HAPPENED_BEFORE:
        replay.manager.await_(HAPPENED_BEFORE[call["n"]], lambda body: body["items"] != [])
    until = time.monotonic() + (WAIT_SECONDS if call["method"] == "GET" else 0)
    while True:
        reply = replay.send(call)
        replay.learn(call, reply)
        found, expected = reduced(call, reply, replay.ours), wanted(call, replay.ours)
        if difference and difference.status:
            expected = {}
            found = {} if difference.code in (None, found.get("error_code")) else found
        is_same = reply.status_code == status and comparable(found, difference) == comparable(expected, difference)
        if is_same or time.monotonic() > until:
            break
        time.sleep(0.1)
    assert reply.status_code == status, reply.text[:2000]
    assert comparable(found, difference) == comparable(expected, difference), reply.text[-20_000:]
