"""What hosts were found to be: asked of all of them side by side, then of the ways between them. Reads; nothing is changed there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from installs.externals import looking
from installs.externals.logins import Login
from installs.findings import Finding
from installs.operations.purging import LEFT
from installs.packages import packages_of
from installs.preflight.ports import Way, ports_of, ways
from inventory.connectors.ssh import (
    Command,
    Facts,
    Host,
    HostAddress,
    HostCredential,
    HostError,
    HostErrorKind,
    connect,
)
from inventory.layout import Balancing, Layout, Part
from inventory.layout import Host as Wanted

ON_HOST = Path(__file__).parent / "on_host"
DISKS = ("/", "/var/lib", "/opt", "/tmp")  # noqa: S108  (looked at, not written to)
MOST_AT_ONCE = 16
ENTRANCE_PORTS = (443, 53333, 80)
LISTEN_SECONDS, PROBE_SECONDS = 45, 3.0


@dataclass
class Seen:
    """One host as it was found. `error`: it could not be asked, or not all of it."""

    wanted: Wanted
    facts: Facts | None = None
    told: Mapping[str, Any] = field(
        default_factory=dict
    )  # what on_host/survey.py printed; empty where it could not run
    error: HostError | None = None
    opened: set[int] = field(default_factory=set)  # ports that a listener of ours was opened on
    refused: dict[int, str] = field(default_factory=dict)  # ports that could not be opened, and why

    @property
    def taken(self) -> dict[int, str]:
        """Port -> the process that listens there."""
        return {int(port): str(process) for port, _, process in self.told.get("listening", ())}


@dataclass
class Survey:
    """All hosts of a layout, and how each way between them went: heard, open, refused, timeout, or the system's words."""

    layout: Layout
    hosts: list[Seen]
    ways: list[tuple[Way, str]] = field(default_factory=list)
    has_bundle: bool = False
    externals: list[Finding] = field(default_factory=list)  # of services that somebody else runs
    entrance: dict[int, str] = field(
        default_factory=dict
    )  # port -> how the operator's own balancer answers a manager there
    bundle_fault: str = ""  # why the bundle that is there cannot be used

    @property
    def asked(self) -> list[Seen]:
        """Hosts that could be asked everything."""
        return [seen for seen in self.hosts if seen.told]

    @property
    def known(self) -> list[Seen]:
        """Hosts that at least said what they are."""
        return [seen for seen in self.hosts if seen.facts is not None]


Access = Mapping[str, tuple[HostAddress, HostCredential]]


def survey(layout: Layout, access: Access, logins: Mapping[str, Login] | None = None) -> Survey:
    """Ask all hosts; by a manager also external services and a balancer of others. What cannot be asked is kept as error of its host."""
    found = Survey(layout, [Seen(host) for host in layout.hosts])
    with ExitStack() as stack, ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        sessions: dict[str, Host] = {}
        _side_by_side(pool, found.hosts, lambda seen: _ask(layout, seen, access, sessions, stack))
        if sessions:
            _try_ways(pool, found, sessions)
        manager = next((host for host in layout.having(Part.MANAGER) if host.name in sessions), None)
        if manager:
            found.externals = list(looking.look(sessions[manager.name], manager.name, layout, logins or {}))
            found.entrance = _look_at_entrance(layout, sessions[manager.name])
    return found


def _look_at_entrance(layout: Layout, host: Host) -> dict[int, str]:
    if layout.balancing is not Balancing.THEIRS or not layout.entrance:
        return {}
    question = {"places": [(layout.entrance, port) for port in ENTRANCE_PORTS], "word": " ", "seconds": PROBE_SECONDS}
    return dict(zip(ENTRANCE_PORTS, _call(host, "probe.py", question, is_root=False, seconds=60), strict=True))


def _ask(layout: Layout, seen: Seen, access: Access, sessions: dict[str, Host], stack: ExitStack) -> None:
    address, credential = access[seen.wanted.name]
    host = stack.enter_context(connect(address, credential))
    seen.facts = host.facts()
    host.run(Command("true"))  # as root: sudo is a finding of its own
    if not seen.facts.python_version:
        return
    question = {
        "names": [other.name for other in layout.hosts],
        "addresses": [other.private_address for other in layout.hosts],
        "ports": sorted(ports_of(layout, seen.wanted)),
        "packages": packages_of(layout, seen.wanted),
        "paths": list(LEFT),
        "disks": list(DISKS),
    }
    seen.told = _call(host, "survey.py", question, is_root=True, seconds=60)
    sessions[seen.wanted.name] = host


def _try_ways(pool: ThreadPoolExecutor, found: Survey, sessions: Mapping[str, Host]) -> None:
    """Open every port that must be reached and is free, for a moment, and connect to it from where it must be reached."""
    word = f"deployon {secrets.token_hex(8)}\n"
    wanted = [way for way in ways(found.layout) if way.source in sessions and way.target in sessions]
    listeners: dict[str, int] = {}

    def listen(seen: Seen) -> None:
        places = sorted({(way.address, way.port) for way in wanted if way.target == seen.wanted.name})
        free = [place for place in places if place[1] not in seen.taken]
        question = {"places": free, "word": word, "seconds": LISTEN_SECONDS}
        said = _call(sessions[seen.wanted.name], "listen.py", question, is_root=True, seconds=20)
        listeners[seen.wanted.name] = said["pid"]
        seen.opened = {port for _, port in said["opened"]}
        seen.refused = {port: why for _, port, why in said["refused"]}

    def probe(seen: Seen) -> None:
        own = [way for way in wanted if way.source == seen.wanted.name]
        question = {"places": [(way.address, way.port) for way in own], "word": word, "seconds": PROBE_SECONDS}
        said = _call(sessions[seen.wanted.name], "probe.py", question, is_root=False, seconds=60)
        found.ways.extend(zip(own, said, strict=True))

    def hush(seen: Seen) -> None:
        if pid := listeners.get(seen.wanted.name):
            sessions[seen.wanted.name].run(Command("kill", pid), codes=None)

    try:
        _side_by_side(pool, [seen for seen in found.asked if seen.wanted.name in sessions], listen)
        _side_by_side(pool, [seen for seen in found.asked if seen.wanted.name in listeners], probe)
    finally:
        _side_by_side(pool, found.asked, hush)


def _side_by_side(pool: ThreadPoolExecutor, hosts: Sequence[Seen], ask: Callable[[Seen], None]) -> None:
    """What goes wrong with one host is kept there, and keeps nobody else."""

    def guarded(seen: Seen) -> None:
        try:
            ask(seen)
        except HostError as error:
            seen.error = seen.error or error

    list(pool.map(guarded, hosts))


def _call(host: Host, program: str, question: Any, *, is_root: bool, seconds: float) -> Any:
    """Have the host's python3 run one of our small programs; its answer."""
    command = Command("python3", "-I", "-", json.dumps(question))
    said = host.run(command, input=(ON_HOST / program).read_bytes(), is_root=is_root, timeout=seconds).stdout
    try:
        return json.loads(said)
    except ValueError:
        raise HostError(
            HostErrorKind.FAILED,
            f"python3 on {host.address} answers nonsense: {said.strip()[:200] or 'nothing'}. Look at that host.",
        ) from None
