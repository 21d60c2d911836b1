"""PostgreSQL under Patroni: one member begins, the others copy it; then the roles and the database of the management service."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from installs.operations.applying import Configure, Gate, refuse_failed
from installs.reaching import session
from installs.rendering import patroni
from installs.rendering.values import RenderedFile
from installs.steps import HostStep
from installs.wanted import Wanted
from inventory.connectors.ssh import Command, Hidden, Host
from inventory.layout import Part
from runs.operations import Context, Later, OperationError, operation

_STORED = "SELECT rolpassword FROM pg_authid WHERE rolname = 'deployon' AND rolcanlogin"
_OWNED = """
SELECT count(*) FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE datname = 'deployon' AND rolname = 'deployon'
"""
_MONITORED = (
    "SELECT pg_has_role(rolname, 'pg_monitor', 'member') FROM pg_roles WHERE rolname = 'prometheus' AND rolcanlogin"
)
_MAKE_ROLES = """
SELECT format('CREATE ROLE %I LOGIN', name) FROM (VALUES ('deployon'), ('prometheus')) AS wanted (name)
  WHERE name NOT IN (SELECT rolname FROM pg_roles) \\gexec
ALTER ROLE prometheus LOGIN;
GRANT pg_monitor TO prometheus;
"""
_MAKE_DATABASE = """
SELECT 'CREATE DATABASE deployon OWNER deployon ENCODING ''UTF8'' TEMPLATE template0'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'deployon') \\gexec
ALTER DATABASE deployon OWNER TO deployon;
"""
_PSQL = ("runuser", "-u", "postgres", "--", "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")


@operation("patroni.configure")
@dataclasses.dataclass(frozen=True)
class ConfigurePatroni(Configure):
    """Have Patroni at work on one host; which of them leads they agree on by themselves."""

    service: ClassVar[str] = "patroni"
    units: ClassVar[tuple[str, ...]] = ("patroni",)

    def files(self, context: Context, wanted: Wanted, host: Host) -> list[RenderedFile]:
        return patroni.files(wanted.layout, wanted.layout.host(self.host), wanted.passwords, host.facts().memory)

    def validate(self, wanted: Wanted, host: Host) -> None:
        """The checker also looks at ports of this host and at those of others, which may be as they are."""
        # Not in the home of whoever logged in, of which postgres would say that it is closed to it.
        command = Command(
            *("runuser", "-u", "postgres", "--", "env", "--chdir=/"), "patroni", "--validate-config", patroni.PATH
        )
        done = host.run(command, codes=None)
        faults = faults_of_file(f"{done.stdout}\n{done.stderr}")
        if done.code != 0 and faults:
            raise OperationError(
                f"Patroni does not take its new configuration on {self.host}: {' '.join(faults)[:600]} The file is "
                f"{patroni.PATH}, checked with `patroni --validate-config`. Put right what it names, then resume.",
                cause="configuration",
            )

    def tell(self, wanted: Wanted, host: Host, files: Sequence[RenderedFile]) -> None:
        """A member at work reads the file again without a restart."""
        host.run(Command("systemctl", "enable", "patroni"))
        host.run(Command("systemctl", "reset-failed", "patroni"), codes=None)
        host.run(Command("systemctl", "reload-or-restart", "patroni"), timeout=90)


def faults_of_file(told: str) -> list[str]:
    """What Patroni's checker holds against the file itself.

    That a port is taken systemd tells where it is somebody else's; that a host of etcd does not answer is no fault of the file: it
    joins after this, or is lost.
    """
    beside = ("already in use", "is not reachable")
    return [line for line in told.splitlines() if line.strip() and not any(words in line for words in beside)]


@operation("patroni.healthy")
@dataclasses.dataclass(frozen=True)
class PatroniIsHealthy(Gate):
    """One member leads, the others follow it without a gap, one of them synchronously."""

    seconds: ClassVar[float] = 600.0

    def describe(self) -> str:
        return "Wait until PostgreSQL has a leader and its replicas"

    def fault(self, context: Context, host: Host) -> str:
        refuse_failed(host, "patroni")
        return fault_of(self.wanted(context), members_of(host))


def members_of(host: Host) -> list[dict[str, Any]]:
    """What Patroni says of its members: Member, Host, Role, State, TL, "Lag in MB"; empty where it does not answer."""
    answer = host.run(Command("patronictl", "-c", patroni.PATH, "list", "-f", "json"), codes=None, timeout=25)
    try:
        found = json.loads(answer.stdout)
    except ValueError:
        return []
    return found if isinstance(found, list) else []


def fault_of(wanted: Wanted, members: list[dict[str, Any]]) -> str:
    """What is missing to a whole cluster, in words; "" where nothing is."""
    databases = wanted.layout.having(Part.DATABASE)
    known = {str(each.get("Member")): each for each in members}
    leaders = [name for name, each in known.items() if each.get("Role") in ("Leader", "Standby Leader")]
    if not leaders:
        return "Waiting for PostgreSQL: no member leads yet."
    if missing := [each.name for each in databases if each.name not in known]:
        return f"Waiting for PostgreSQL: {', '.join(missing)} has not joined yet."
    if idle := [
        f"{name} is {each.get('State')}"
        for name, each in known.items()
        if each.get("State") not in ("running", "streaming")
    ]:
        return f"Waiting for PostgreSQL: {', '.join(idle)}."
    is_synchronous = any(each.get("Role") in ("Sync Standby", "Quorum Standby") for each in members)
    if len(databases) > 1 and not is_synchronous:
        return "Waiting for PostgreSQL: no replica is synchronous yet."
    return ""


@operation("postgres.objects")
@dataclasses.dataclass(frozen=True)
class MakeDatabase(HostStep):
    """Have the role, the database and the monitoring role. Started at any database host, done at the one that leads."""

    def describe(self) -> str:
        return "Create the database of the management service and its roles"

    def look(self, context: Context, host: Host) -> bool | Later:
        with self._leader(host) as leader:
            if not is_verifier_of(query(leader, _STORED), self.wanted(context).passwords.database):
                return False
            return query(leader, _OWNED) == "1" and query(leader, _MONITORED) == "t"

    def act(self, context: Context, host: Host) -> Later | None:
        with self._leader(host) as leader:
            query(leader, _MAKE_ROLES)
            verifier = verifier_of(self.wanted(context).passwords.database)
            query(leader, f"ALTER ROLE {patroni.ROLE} LOGIN PASSWORD '{verifier}'")
            if query(leader, _OWNED) != "1":
                query(leader, _MAKE_DATABASE)
        return None

    @contextmanager
    def _leader(self, host: Host) -> Iterator[Host]:
        """A session at the database host that leads now."""
        leader = next((str(each["Member"]) for each in members_of(host) if each.get("Role") == "Leader"), self.host)
        if leader == self.host:
            yield host
            return
        with session(self.cluster, leader) as found:
            yield found


def query(host: Host, statement: str) -> str:
    """Its one value as text. By standard input: a statement may hold a verifier of a password."""
    return host.run(Command(*_PSQL, "-d", "postgres"), input=Hidden(statement)).text


def verifier_of(password: str, *, salt: bytes = b"", iterations: int = 4096) -> str:
    """What PostgreSQL stores of a password (RFC 5803): made here, so that the password itself never goes there."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored = base64.b64encode(hashlib.sha256(client).digest()).decode()
    server = base64.b64encode(hmac.digest(salted, b"Server Key", "sha256")).decode()
    return f"SCRAM-SHA-256${iterations}:{base64.b64encode(salt).decode()}${stored}:{server}"


def is_verifier_of(stored: str, password: str) -> bool:
    """Whether a stored verifier is that of this password."""
    try:
        method, iterations_and_salt, _ = stored.split("$")
        iterations, salt = iterations_and_salt.split(":")
        again = verifier_of(password, salt=base64.b64decode(salt), iterations=int(iterations))
    except ValueError:
        return False
    return method == "SCRAM-SHA-256" and hmac.compare_digest(stored, again)
