"""Services that somebody else runs: what is found of a real PostgreSQL with TLS, what is made there, and what is told of RabbitMQ."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from installs.externals import looking, postgresql, rabbitmq
from installs.externals.logins import Login
from inventory.connectors.ssh import HostError, HostErrorKind
from inventory.layout import External
from tests.installs import authorities, layouts
from tests.services import postgres
from tests.services.shared import Missing, shared_server

CA = authorities.make("the provider's CA", ca=True)
NAME, BOSS = "db.example.org", Login("boss", "hush")


def start(folder: Path) -> dict:
    """A server of its own that shows a certificate for NAME."""
    authority = authorities.make("the provider's CA", ca=True)
    shown = authorities.make(NAME, by=authority, names=(NAME,))
    told = postgres.start(folder)
    for name, text in (("server.crt", shown.certificate), ("server.key", shown.key)):
        path = folder / "data" / name
        path.write_text(text)
        path.chmod(0o600)
        if Path("/etc/passwd").read_text().count("\npostgres:"):
            shutil.chown(path, "postgres", "postgres")
    with psycopg.connect(f"{told['url']}/postgres", autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET ssl = on")
        connection.execute("SELECT pg_reload_conf()")
    return told | {"ca": authority.certificate}


@pytest.fixture(scope="module")
def server():
    try:
        return shared_server("postgres-tls", start)
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def port(server):
    return urlsplit(server["url"]).port


@pytest.fixture
def service(server):
    return External((NAME,), 5432, ca_bundle=server["ca"])


@pytest.fixture
def sql(server):
    with psycopg.connect(f"{server['url']}/postgres", autocommit=True) as connection:
        yield connection.execute
        for statement in ("DROP DATABASE IF EXISTS deployon_kept",):
            connection.execute(statement)


def administrator(sql, rights):
    """A login of its own with those rights."""
    name, password = f"boss{secrets.token_hex(4)}", secrets.token_hex(8)
    sql(f"CREATE ROLE {name} LOGIN {rights} PASSWORD '{password}'")
    return Login(name, password)


def rules(found):
    return [finding.rule for finding in found]


def test_a_service_that_is_right_has_nothing_found(service, port, sql):
    assert postgresql.findings(service, NAME, port, administrator(sql, "CREATEROLE CREATEDB")) == []


def test_a_certificate_of_another_authority_is_told_and_nobody_signs_in(port, sql):
    stranger = External((NAME,), 5432, ca_bundle=CA.certificate)
    (found,) = postgresql.findings(stranger, NAME, port, administrator(sql, "CREATEROLE CREATEDB"))
    assert found.rule == "externals.database.tls" and "CA that signed" in found.remedy


def test_a_certificate_for_another_name_is_told(service, port, sql):
    found = postgresql.findings(service, "mq.example.org", port, administrator(sql, "CREATEROLE CREATEDB"))
    assert rules(found) == ["externals.database.tls"]


def test_a_wrong_password_is_told_and_not_shown(service, port, sql):
    login = Login(administrator(sql, "CREATEDB").user, "not-this-one")
    (found,) = postgresql.findings(service, NAME, port, login)
    assert found.rule == "externals.database.login" and "not-this-one" not in found.sentence


@pytest.mark.parametrize("rights", ["", "CREATEDB", "CREATEROLE"])
def test_who_may_not_make_role_and_database_is_told_how_to_be_allowed(service, port, sql, rights):
    login = administrator(sql, rights)
    (found,) = postgresql.findings(service, NAME, port, login)
    assert found.rule == "externals.database.rights" and f"ALTER ROLE {login.user} CREATEROLE CREATEDB" in found.remedy


def test_an_old_version_is_told(service, port, sql, monkeypatch):
    monkeypatch.setattr(postgresql, "OLDEST", 99)
    assert rules(postgresql.findings(service, NAME, port, administrator(sql, "CREATEROLE CREATEDB"))) == [
        "externals.database.version"
    ]


def test_role_and_database_are_made_by_an_administrator_who_is_no_superuser(service, port, sql, monkeypatch):
    """The server's own user is called deployon, so another name is wanted here."""
    monkeypatch.setattr(postgresql, "USER", "deployon_kept")
    boss, password = administrator(sql, "CREATEROLE CREATEDB"), secrets.token_hex(8)
    login = Login("deployon_kept", password)
    assert not postgresql.is_made(service, NAME, port, login)
    postgresql.make(service, NAME, port, boss, password)
    postgresql.make(service, NAME, port, boss, password)  # the same again does no harm
    assert postgresql.is_made(service, NAME, port, login)
    owner = sql("SELECT rolname FROM pg_database d JOIN pg_roles r ON r.oid = datdba WHERE datname = 'deployon_kept'")
    assert owner.fetchone() == ("deployon_kept",)
    stored = sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'deployon_kept'").fetchone()[0]
    assert stored.startswith("SCRAM-SHA-256$") and password not in stored


# --- RabbitMQ, as its management interface tells ---


class Told:
    """A management interface that answers so."""

    address = "mq.example.org"

    def __init__(self, answers):
        self.answers = answers

    def ask(self, path, method="GET", body=None):
        answer = self.answers.get(path)
        if isinstance(answer, Exception):
            raise answer
        return answer


def of_rabbitmq(monkeypatch, **answers):
    """What is found where it answers so."""
    right = {"overview": {"rabbitmq_version": "4.0.5"}, "whoami": {"tags": ["administrator"]}, "policies/deployon": []}
    monkeypatch.setattr(rabbitmq, "Management", lambda *_: Told(right | answers))
    return rabbitmq.findings(External(("mq.example.org",), 5671, management_port=15671), "mq.example.org", 1, BOSS)


def test_a_broker_that_is_right_has_nothing_found(monkeypatch):
    assert of_rabbitmq(monkeypatch) == []
    not_there_yet = {"policies/deployon": rabbitmq.Refused("404", 404)}
    assert of_rabbitmq(monkeypatch, **not_there_yet) == []


@pytest.mark.parametrize(
    ("answers", "rule", "words"),
    [
        ({"overview": {"rabbitmq_version": "3.9.13"}}, "version", "RabbitMQ 3.9.13"),
        ({"whoami": {"tags": "monitoring,policymaker"}}, "rights", "set_user_tags boss administrator"),
        ({"overview": rabbitmq.Refused("401", 401)}, "management", "Check user and password"),
        ({"overview": rabbitmq.Refused("SSLError")}, "management", "management plugin with TLS on port 15671"),
        ({"policies/deployon": [{"name": "ttl", "definition": {"message-ttl": 60}}]}, "policies", "ttl (message-ttl)"),
    ],
)
def test_what_is_wrong_with_a_broker_is_told_with_what_to_do(monkeypatch, answers, rule, words):
    (found,) = of_rabbitmq(monkeypatch, **answers)
    assert found.rule == f"externals.queue.{rule}" and words in found.sentence and "hush" not in found.sentence


def test_policies_that_lose_nothing_are_left_alone(monkeypatch):
    kept = [{"name": "limit", "definition": {"delivery-limit": 20}}]
    assert of_rabbitmq(monkeypatch, **{"policies/deployon": kept}) == []


# --- by a manager ---


class Host:
    """A manager that reaches nothing."""

    def way(self, address, port):
        raise HostError(HostErrorKind.FAILED, f"mg1 does not reach {address} on port {port}.")


def test_without_a_login_or_a_way_that_is_told():
    layout = layouts.all_in_one(external_database=External((NAME,), 5432, ca_bundle=CA.certificate))
    (found,) = looking.look(Host(), "mg1", layout, {})
    assert (found.rule, found.field) == ("externals.login", "external_database")
    (found,) = looking.look(Host(), "mg1", layout, {"external_database": Login("boss", "hush")})
    assert found.rule == "externals.reach" and found.host == "mg1" and "does not reach" in found.message


def test_the_services_own_user_is_told_from_an_administrator_also_with_a_suffix():
    assert Login("deployon@server", "x").is_service and Login("deployon", "x").is_service
    assert not Login("boss@server", "x").is_service and Login("boss@server", "x").plain == "boss"
