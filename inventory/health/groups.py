"""How one part is over all hosts that have it: how many work, how many must, and who leads."""

from __future__ import annotations

from inventory.health.entrance import address_fault, holders_of
from inventory.health.facts import Facts
from inventory.health.queues import QueueHealth, queues_of, why_of
from inventory.health.values import GroupHealth, Health, HostHealth, PartHealth, rank, worst
from inventory.layout import Layout, Part

WORDS = {
    Part.DATABASE: "Database",
    Part.ETCD: "Election",
    Part.QUEUE: "Queue",
    Part.MANAGER: "Management",
    Part.BALANCER: "Load balancers",
}
DO = {
    Part.DATABASE: "work",
    Part.ETCD: "vote",
    Part.QUEUE: "in the majority",
    Part.MANAGER: "serve",
    Part.BALANCER: "up",
}
ORDER = tuple(WORDS)
BY_MAJORITY = (Part.ETCD, Part.QUEUE)


def group_health(
    layout: Layout, part: Part, hosts: tuple[HostHealth, ...], facts: dict[str, Facts]
) -> GroupHealth | None:
    """None where the cluster has no such part."""
    external = {Part.DATABASE: layout.external_database, Part.QUEUE: layout.external_queue}.get(part)
    if external is not None:
        says = "Run by others, looked at by the managers alone"
        state = Health.HEALTHY if _managers_serve(hosts) else Health.UNKNOWN
        return GroupHealth(part, state, 0, 0, 0, says, more=", ".join(external.addresses), is_external=True)
    members = [(host, found) for host in hosts if (found := host.part(part))]
    if not members:
        return None
    total, working = len(members), sum(found.works for _, found in members)
    unknown = sum(found.state == Health.UNKNOWN for _, found in members)
    needed = total // 2 + 1 if part in BY_MAJORITY else 1
    leaders = [host.name for host, found in members if found.role == "leader" and found.works]
    why = _why(part, [(host.name, found.state, found.why) for host, found in members])
    if part == Part.DATABASE and not leaders:
        known = [facts[host.name] for host, _ in members if facts[host.name].seen_by]
        has_none = not unknown or any(fact.is_set("patroni_cluster_unlocked") for fact in known)
        state = Health.FAILED if has_none else Health.UNKNOWN
        why = (
            f"nobody leads, nothing can be written; {why}".rstrip("; ")
            if has_none
            else f"who leads is not known; {why}"
        )
    elif len(leaders) > 1 and part == Part.DATABASE:
        state, why = Health.FAILED, f"{' and '.join(leaders)} both lead"
    elif working < needed:
        state = Health.FAILED if working + unknown < needed else Health.UNKNOWN
    else:
        is_whole = all(found.state == Health.HEALTHY for _, found in members)
        state = Health.HEALTHY if is_whole else Health.DEGRADED
    queues: tuple[QueueHealth, ...] = ()
    if part == Part.QUEUE:
        queues = queues_of(facts, [host.name for host, _ in members], [host.name for host, own in members if own.works])
        state = worst([state, *(each.state for each in queues)])
        why = "; ".join(filter(None, (why, why_of(queues))))
    if part == Part.BALANCER and (fault := address_fault(layout, facts)):
        state, why = Health.FAILED, "; ".join((fault, why)).rstrip("; ")
    return GroupHealth(
        part=part,
        state=state,
        total=total,
        working=working,
        needed=needed,
        says=_says(part, total, working, needed, unknown),
        more=_more(layout, part, leaders, members, facts),
        why=why,
        leader=leaders[0] if len(leaders) == 1 else "",
        members=tuple((host.name, str(found.state)) for host, found in members),
        queues=queues,
    )


def _managers_serve(hosts: tuple[HostHealth, ...]) -> bool:
    """A manager that serves has reached its database and, for its workers to live, its broker."""
    return any(found.works for host in hosts if (found := host.part(Part.MANAGER)))


def _why(part: Part, members: list[tuple[str, Health, str]]) -> str:
    """What is wrong with members; those that nobody knows anything of are said once."""
    wrong = [each for each in members if each[2] and each[1] != Health.UNKNOWN]
    told = [f"{name}: {why}" for name, _, why in sorted(wrong, key=lambda each: -rank(each[1]))]
    unknown = [name for name, state, _ in members if state == Health.UNKNOWN]
    if unknown:
        told.append(f"nothing is known of {', '.join(unknown)}")
    return "; ".join(told)


def _says(part: Part, total: int, working: int, needed: int, unknown: int) -> str:
    """ "3 of 3 vote, 1 may fail"; of what nobody knows no number is made."""
    if unknown == total:
        return f"Nothing is known of {'its host' if total == 1 else f'its {total} hosts'}"
    spare = working - needed
    tail = f"{spare} may fail" if spare > 0 else "none may fail" if spare == 0 else f"{needed} must"
    return f"{working} of {total} {DO[part]}, {tail}"


def _more(
    layout: Layout,
    part: Part,
    leaders: list[str],
    members: list[tuple[HostHealth, PartHealth]],
    facts: dict[str, Facts],
) -> str:
    """A second line: who leads, how many queues there are, how many servers the balancers see."""
    known = [facts[host.name] for host, _ in members if facts[host.name].seen_by]
    if part == Part.DATABASE and leaders:
        timeline = facts[leaders[0]].one("patroni_postgres_timeline")
        return f"{leaders[0]} leads" + (f", timeline {timeline:.0f}" if timeline else "")
    if part == Part.ETCD and leaders:
        return f"{leaders[0]} leads"
    if part == Part.QUEUE:
        queues = [count for fact in known for count in fact.all("rabbitmq_queues")]
        return f"{max(queues):.0f} queues" if queues else ""
    if part == Part.BALANCER and (holders := holders_of(layout, facts)):
        return f"{' and '.join(holders)} {'hold' if len(holders) > 1 else 'holds'} {layout.entrance}"
    return ""
