"""Every quorum queue by itself: on which hosts a copy of it runs, who leads it, and what to do where copies are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from inventory.health.facts import Facts
from inventory.health.values import Health

REPLICA, LED = "rabbitmq_detailed_raft_term_total", "rabbitmq_detailed_queue_messages"
COPIES = 3  # as RabbitMQ itself makes of a new queue, fewer where there are fewer nodes
NAMED = 5  # queues that are named at once; of the others only how many they are


@dataclass(frozen=True)
class QueueHealth:
    """One queue: hosts where a copy runs, hosts that should have one and do not, and who leads."""

    name: str
    state: Health
    online: tuple[str, ...]
    missing: tuple[str, ...]
    leader: str = ""


def queues_of(facts: Mapping[str, Facts], hosts: Iterable[str], working: Iterable[str]) -> tuple[QueueHealth, ...]:
    """Those that any host tells of, the worst first. `hosts` have the part; of `working` ones a copy is expected to run.

    A host that is away costs every queue a copy, which is said of the host, once.
    """
    names, there = list(hosts), set(working)
    copies: dict[str, set[str]] = {}
    leaders: dict[str, str] = {}
    for name in names:
        for sample in facts[name].samples:
            queue = sample.get("queue")
            if not queue or name not in there:
                continue
            if sample.name == REPLICA:
                copies.setdefault(queue, set()).add(name)
            elif sample.name == LED:
                leaders[queue] = name
    found = [_judged(queue, names, online, there - online, leaders.get(queue, "")) for queue, online in copies.items()]
    return tuple(sorted(found, key=lambda each: (each.state != Health.FAILED, not each.missing, each.name)))


def _judged(queue: str, names: list[str], online: set[str], without: set[str], leader: str) -> QueueHealth:
    wanted = min(COPIES, len(names))
    missing = without if len(online) < wanted else set()
    state = Health.DEGRADED if missing else Health.HEALTHY
    if len(online) < wanted // 2 + 1:
        state = Health.FAILED
    running, without_one = (tuple(name for name in names if name in some) for some in (online, missing))
    return QueueHealth(queue, state, running, without_one, leader)


def why_of(queues: Iterable[QueueHealth]) -> str:
    """What is wrong with queues, by name, and what to do; "" where nothing is."""
    ill = [each for each in queues if each.state != Health.HEALTHY]
    told = [_words(each) for each in ill[:NAMED]]
    if len(ill) > NAMED:
        told.append(f"{len(ill) - NAMED} more queues are like that")
    return "; ".join(told)


def _words(queue: QueueHealth) -> str:
    where = f"on {', '.join(queue.online)} alone" if queue.online else "nowhere"
    if queue.state == Health.FAILED:
        tail = "without a majority it stands still: bring hosts back"
    else:
        tail = "one more loss may stop it"
    if queue.missing:
        tail += f"; plan changes, which makes the copies on {', '.join(queue.missing)}"
    return f"queue {queue.name} runs {where}: {tail}"
