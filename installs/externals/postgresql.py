"""An external PostgreSQL: what of it would keep the management service from working, and the role and database made there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from installs.externals.logins import USER, Login
from installs.findings import Finding, error
from installs.operations.database import verifier_of
from inventory.layout import External

OLDEST = 14
SECONDS = 10
RULE, FIELD = "externals.database", "external_database"
Connection = psycopg.Connection[tuple[object, ...]]


@contextmanager
def connected(service: External, address: str, port: int, login: Login, database: str) -> Iterator[Connection]:
    """A session at `address`, whose certificate is verified by the given CA; `port` of loopback leads there."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as authority:
        authority.write(service.ca_bundle)
        authority.flush()
        with psycopg.connect(
            host=address, hostaddr="127.0.0.1", port=port, user=login.user, password=login.password, dbname=database,
            sslmode="verify-full", sslrootcert=authority.name, connect_timeout=SECONDS, autocommit=True,
            options=f"-c statement_timeout={SECONDS}s",
        ) as connection:  # fmt: skip
            yield connection


def findings(service: External, address: str, port: int, login: Login) -> list[Finding]:
    """TLS, login, version and rights, each with what to do."""
    database = USER if login.is_service else "postgres"
    try:
        with connected(service, address, port, login, database) as connection:
            return [*_version(connection, address), *_rights(connection, address, login)]
    except psycopg.Error as fault:
        return [_refused(str(fault), address, login)]


def _refused(said: str, address: str, login: Login) -> Finding:
    text = " ".join(said.replace(login.password, "…").split())[-300:]
    if "certificate" in text or "SSL" in text:
        remedy = "Give the CA that signed the certificate of that server, and the name that stands in it as its address; switch TLS on there."
        return error(f"{RULE}.tls", f"PostgreSQL at {address} cannot be trusted: {text}", remedy, field=FIELD)
    remedy = "Check user, password, and the server's pg_hba or firewall rules for the addresses of the managers."
    return error(f"{RULE}.login", f"PostgreSQL at {address} does not let {login.user} in: {text}", remedy, field=FIELD)


def _version(connection: Connection, address: str) -> Iterator[Finding]:
    version = connection.info.server_version // 10000
    if version < OLDEST:
        yield error(
            f"{RULE}.version", f"{address} is PostgreSQL {version}, and the management service needs {OLDEST}.",
            f"Upgrade it to {OLDEST} or later.", field=FIELD,
        )  # fmt: skip


def _rights(connection: Connection, address: str, login: Login) -> Iterator[Finding]:
    """Either an administrator who may make role and database, or the service's own user in its own database."""
    if login.is_service:
        row = connection.execute("SELECT has_schema_privilege('public', 'CREATE')").fetchone()
        if not row or not row[0]:
            yield error(
                f"{RULE}.rights", f"{login.user} may not make tables in the database {USER} at {address}.",
                f"Have it own the database: ALTER DATABASE {USER} OWNER TO {USER}", field=FIELD,
            )  # fmt: skip
        return
    query = "SELECT rolsuper OR rolcreaterole, rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
    may_roles, may_databases = connection.execute(query).fetchone() or (False, False)
    if not (may_roles and may_databases):
        yield error(
            f"{RULE}.rights", f"{login.user} at {address} may not make the role and the database {USER}.",
            f"ALTER ROLE {login.plain} CREATEROLE CREATEDB; or make the role {USER} with a database {USER} of its own, and enter "
            "that user here.",
            field=FIELD,
        )  # fmt: skip


def is_made(service: External, address: str, port: int, login: Login) -> bool:
    """Whether the service's user gets in and may make tables."""
    try:
        with connected(service, address, port, login, USER) as connection:
            row = connection.execute("SELECT has_schema_privilege('public', 'CREATE')").fetchone()
            return bool(row and row[0])
    except psycopg.OperationalError:
        return False


def make(service: External, address: str, port: int, administrator: Login, password: str) -> None:
    """The role, by a verifier of its password, and its database. An administrator that is no superuser joins the role for it."""
    role = sql.Identifier(USER)
    with connected(service, address, port, administrator, "postgres") as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (USER,)).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        stored = sql.Literal(verifier_of(password))
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, stored))
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (USER,)).fetchone():
            return
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
        try:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(role, role)
            )
        finally:
            connection.execute(sql.SQL("REVOKE {} FROM CURRENT_USER").format(role))
