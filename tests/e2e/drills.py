"""The product's own drills as phases: each is started by the API, and nothing acknowledged may be lost."""

from __future__ import annotations

from typing import Any

from tests.e2e.report import Phase
from tests.e2e.stand import CLUSTER, Stand

SECONDS = 600
BOOT_SECONDS = (
    40  # a machine takes its time between off and on, a namespace none: another host must be elected meanwhile
)
WORDS = {
    "leader": "drill: power cut of the database leader",
    "manager": "drill: a manager host is killed",
    "queue": "drill: a queue host is cut off",
}
PART = {"leader": "database", "manager": "manager", "queue": "queue"}


def phases(stand: Stand) -> list[Phase]:
    """All three; one is left out where the topology has a single host of its kind."""
    return [
        Phase(
            words,
            lambda kind=kind: drill(stand, kind),
            skip=f"one host alone is {PART[kind]}" * (len(stand.hosts_with(PART[kind])) < 2),
        )
        for kind, words in WORDS.items()
    ]


def drill(stand: Stand, kind: str) -> dict[str, Any]:
    """Started, watched to its end, and judged by what the product says of it."""
    for name in stand.parts:
        (stand.lab.host(name).folder / "boot_seconds").write_text(str(BOOT_SECONDS))
    started = stand.portal.call("POST", f"clusters/{CLUSTER}/drills/", json={"kind": kind})
    stand.portal.wait(started["run"], SECONDS)
    told: dict[str, Any] = stand.portal.call("GET", f"clusters/{CLUSTER}/drills/")[0]
    if told["run"] != started["run"] or told["verdict"] != "passed" or told["lost"] != 0 or not told["acknowledged"]:
        raise RuntimeError(f"The drill says {told}")
    if kind == "queue" and (told["messages"].get("lost") != 0 or not told["messages"]["acknowledged"]):
        raise RuntimeError(f"The drill says of messages {told['messages']}")
    kept = ("host", "gap_seconds", "acknowledged", "lost", "messages", "healed_seconds", "is_slow", "run")
    return {name: told[name] for name in kept}
