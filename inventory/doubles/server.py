"""The double's socket: HTTP/1.1 by an asyncio protocol in a thread of its own, quick enough to stand in for 1,000 managers."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import threading
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote

from inventory.connectors.address import Address, Credential, Trust
from inventory.doubles.accounts import Account, Gate
from inventory.doubles.answers import Answer, Answers
from inventory.doubles.certificates import Authority, Certificate
from inventory.doubles.faults import Fault
from inventory.doubles.routing import about, action_of, route
from inventory.doubles.script import Script
from inventory.doubles.versions import refuse_unknown, without
from inventory.doubles.wire import Wire, page


@lru_cache(maxsize=1)
def default_authority() -> Authority:
    """The authority that issues the doubles' certificates unless a test brings its own."""
    return Authority()


class ManagerDouble:
    """A manager on a port of 127.0.0.1, http, or https with a `certificate`; a context manager. Tenants and accounts are added.

    One double can be many targets: they differ by tenant and credential (`add_targets`). `requests` remembers the last
    10,000 as (method, path, tenant); `faults` strike in order, the first that hits.
    """

    def __init__(
        self,
        certificate: Certificate | None = None,
        *,
        version: str = "7.1.0.dev1",
        clock_skew: float = 0.0,
        port: int = 0,
    ) -> None:
        self.certificate = certificate
        self.version = version
        self.clock_skew = clock_skew
        self.port = port
        self.script = Script()
        self.lacks: set[str] = set()  # fields that its version does not know
        self.faults: list[Fault] = []
        self.requests: deque[tuple[str, str, str]] = deque(maxlen=10_000)
        self.gate = Gate()
        self._answers: dict[str, Answers] = {}
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="manager-double", daemon=True)
        self._servers: list[asyncio.AbstractServer] = []
        self._context = certificate.server_context() if certificate else None
        self.open: set[asyncio.Transport] = set()
        self.add_account(Account("admin", "admin-password", {"default_tenant": "user"}, "sys_admin", "ctok-admin-0"))
        self.add_account(Account("alice", "alice-password", {"acme": "user"}, "default", "ctok-alice-0123456789"))
        self.add_account(Account("bob", "bob-password", {"acme": "viewer"}, "default", "ctok-bob-0123456789"))

    @classmethod
    def secure(cls, **options: Any) -> ManagerDouble:
        """A double with a good certificate of the default authority."""
        return cls(default_authority().issue(), **options)

    def __enter__(self) -> ManagerDouble:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _start(self) -> None:
        self.port = await self._listen(self.port)

    async def _listen(self, port: int) -> int:
        server = await self.loop.create_server(lambda: Wire(self), "127.0.0.1", port, ssl=self._context, backlog=2048)
        self._servers.append(server)
        found: int = server.sockets[0].getsockname()[1]
        return found

    def listen_more(self, count: int) -> list[int]:
        """Answer on that many ports more, for targets that differ by address, too."""

        async def listen() -> list[int]:
            return [await self._listen(0) for _ in range(count)]

        return asyncio.run_coroutine_threadsafe(listen(), self.loop).result(60)

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        for transport in list(self.open):
            transport.abort()
        await asyncio.sleep(0)

    def close_connections(self) -> None:
        """End every open connection, as a restart of the manager's web server does."""
        done = threading.Event()

        def end() -> None:
            for transport in list(self.open):
                transport.abort()
            self.loop.call_soon(done.set)

        self.loop.call_soon_threadsafe(end)
        done.wait(10)

    def add_account(self, account: Account) -> None:
        """Let somebody in, and make the tenants they belong to."""
        self.gate.add(account)

    def add_targets(self, count: int, script: Script | None = None) -> list[tuple[Address, Credential]]:
        """That many targets of this double, each with its own tenant and token; only while it listens."""
        targets = []
        for index in range(count):
            tenant = f"t{index:04d}"
            token = f"ctok-{tenant}-{secrets.token_hex(16)}"
            self.add_account(Account(f"u-{tenant}", secrets.token_hex(8), {tenant: "user"}, token=token))
            if script is not None:
                self.answers(tenant).world.script = script
            targets.append((self.address(tenant), Credential.by_token(token)))
        return targets

    def answers(self, tenant: str) -> Answers:
        """What is kept for a tenant; give its `world.script` another plot if it needs one."""
        found = self._answers.get(tenant)
        if found is None:
            found = self._answers[tenant] = Answers(tenant, self.script)
        return found

    def address(self, tenant: str = "acme", trust: Trust | None = None, endpoint: str = "127.0.0.1") -> Address:
        """How a client reaches it."""
        trust = trust or (Trust.bundle(default_authority().pem) if self.certificate else Trust.system())
        return Address(endpoint, self.port, "https" if self.certificate else "http", tenant, trust)

    def count(self, method: str, path: str = "/") -> int:
        """How many requests with this method came to paths that begin so."""
        return sum(1 for each in self.requests if each[0] == method and each[1].startswith(path))

    def fault(self, method: str, path: str, tenant: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.hits(method, path, tenant)), None) if self.faults else None

    def respond(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The honest answer to a request; `target` is the path with its query, after /api/v3.1."""
        path, _, query_text = target.partition("?")
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if method == "GET" and parts[0] == "ok":
            return 200, "OK"
        account = self.gate.enter(headers)
        if not isinstance(account, Account):
            return account
        query = parse_qs(query_text, keep_blank_values=True) if query_text else {}
        if method == "POST" and parts == ["tokens"]:
            value = "ctok-" + secrets.token_hex(5) + "-" + secrets.token_hex(20)
            return 200, {
                "id": value.split("-")[1],
                "value": value,
                "username": account.username,
                "expiration_date": None,
            }
        answer = about(account, method, parts, query, self.gate.tenants, self.version)
        if answer is not None:
            return answer
        tenant = headers.get("tenant", "")
        action, writes = action_of(method, parts)
        refusal = self.gate.enter_tenant(account, tenant, action, writes=writes)
        if refusal is not None:
            return refusal
        if self.lacks and (unknown := refuse_unknown(query, self.lacks)):
            return unknown
        answer = route(self.answers(tenant), method, parts, query, body, lambda: json.loads(body or b"{}"))
        if answer is None:
            return 404, page("404 Not Found")
        if self.lacks:
            answer = answer[0], without(answer[1], self.lacks)
        included = query.get("_include")
        if (
            included
            and answer[0] == 200
            and method == "GET"
            and isinstance(answer[1], dict)
            and "items" not in answer[1]
        ):
            wanted = set(included[0].split(","))
            return 200, {key: value for key, value in answer[1].items() if key in wanted}
        return answer


def refused_port() -> int:
    """A port of 127.0.0.1 at which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port
