"""The settings that docs/production.md gives pass Django's deployment checks, and dangerous ones are refused by every way to start."""

import os
import re
import subprocess
import sys

import pytest
from django.conf import settings
from django.core import checks

from portal.checks import answers_to, check_deployment, check_mode
from tests.source import ROOT

SECRETS = {
    "SECRET_KEY": "Zq8vR2kX0pLw7TnB4cYd1mHs6GfJ9aEuQi3oVr5tN8xKzD0bWe2RtU4o",
    "VAULT_KEYS": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
}


def documented():
    """The settings file of docs/production.md, with its places for secrets filled in."""
    text = (ROOT / "docs" / "production.md").read_text()
    (block,) = re.findall(r"^# /etc/deployon/env\n(.*?)^```", text, re.M | re.S)
    pairs = dict(line.split("=", 1) for line in block.splitlines() if re.match(r"[A-Z_]+=", line))
    return pairs | SECRETS


def run(tmp_path, command, env):
    """manage.py or celery in a process of its own; (exit code, what it said)."""
    clean = (
        {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
        | env
        | {"DATA_DIR": str(tmp_path / "data")}
    )
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=clean,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_documented_settings_pass_all_checks_of_a_deployment(tmp_path):
    code, said = run(tmp_path, ["manage.py", "check", "--deploy", "--fail-level", "WARNING"], documented())
    assert (code, "no issues" in said) == (0, True), said


@pytest.fixture
def member(settings):
    """The settings of a good member, for one thing to be wrong in."""
    settings.DEPLOYON_MODE, settings.DEBUG, settings.USES_SQLITE, settings.IS_SECRET_KEY_GIVEN = (
        "member",
        False,
        False,
        True,
    )
    settings.VAULT_KEYS, settings.IS_BEHIND_TLS, settings.PUBLIC_URL = (
        [SECRETS["VAULT_KEYS"]],
        True,
        "https://portal.example.com",
    )
    settings.BROKER_URL, settings.CHANNEL_LAYER_URL = "amqp://mq.example.com/", "postgres://"
    assert check_mode() == []
    return settings


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DEPLOYON_MODE", "sandbox", "E001"),
        ("DEBUG", True, "E002"),
        ("USES_SQLITE", True, "E003"),
        ("BROKER_URL", "memory://", "E004"),
        ("CHANNEL_LAYER_URL", "memory://", "E005"),
        ("IS_SECRET_KEY_GIVEN", False, "E006"),
        ("VAULT_KEYS", [], "E007"),
        ("IS_BEHIND_TLS", False, "E008"),
    ],
)
def test_a_member_needs_all_that_members_share(member, name, value, expected):
    setattr(member, name, value)
    (found,) = check_mode()
    assert (found.id, found.level, bool(found.hint)) == (f"deployon.{expected}", checks.ERROR, True)


def test_what_is_wrong_is_told_at_the_start_without_any_secret(tmp_path):
    env = documented() | {"DEBUG": "true", "CHANNEL_LAYER": "memory://", "PUBLIC_URL": "http://portal.example.com"}
    code, said = run(tmp_path, ["manage.py", "up", "--port", "0", "--no-workers"], env)
    assert (code, re.findall(r"deployon\.E\d+", said)) == (1, ["deployon.E002", "deployon.E005", "deployon.E008"])
    kept = [value for name, value in env.items() if name in SECRETS or (name.endswith("_URL") and "@" in value)]
    assert len(kept) == 4
    assert not [value for value in kept if value in said]


def test_without_keys_of_its_own_settings_a_member_does_not_start(tmp_path):
    code, said = run(tmp_path, ["manage.py", "migrate"], {"DEPLOYON_MODE": "member"})
    assert code == 1
    assert {"deployon.E003", "deployon.E004", "deployon.E006", "deployon.E007"} <= set(
        re.findall(r"deployon\.E\d+", said)
    )


def test_a_worker_does_not_start_either(tmp_path):
    env = documented() | {"DEBUG": "true"}
    code, said = run(tmp_path, ["-m", "celery", "-A", "portal", "worker", "-P", "threads", "-c", "1"], env)
    assert code != 0
    assert "Remove DEBUG" in said
    assert "ready" not in said


def test_a_worker_insists_on_threads(tmp_path):
    code, said = run(tmp_path, ["-m", "celery", "-A", "portal", "worker", "-P", "prefork", "-c", "1"], documented())
    assert (code != 0, "-P threads" in said) == (True, True), said


def test_a_worker_of_its_own_needs_a_broker(tmp_path):
    code, said = run(
        tmp_path, ["-m", "celery", "-A", "portal", "worker", "-P", "threads"], {"DEPLOYON_MODE": "central"}
    )
    assert (code != 0, "memory://" in said) == (True, True), said


def test_a_web_server_of_ones_own_choice_is_refused_too(tmp_path):
    code, said = run(tmp_path, ["-c", "import portal.asgi"], documented() | {"DEBUG": "true"})
    assert code != 0
    assert "Remove DEBUG" in said


def test_the_embedded_default_passes_but_is_told_what_production_needs(settings, monkeypatch):
    assert check_mode() == []
    settings.PUBLIC_URL, settings.IS_BEHIND_TLS = "http://10.0.0.5:8000", False
    found = {message.id for message in check_deployment()}
    assert found == {"deployon.W001", "deployon.W002"}


def test_debug_behind_https_is_refused_in_every_mode(settings):
    settings.DEBUG, settings.IS_BEHIND_TLS = True, True
    assert [message.id for message in check_mode()] == ["deployon.E002"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"RUNNER_SANDBOX": "none"}, "deployon.W003"),
        ({"BROKER_URL": "amqp://mq/"}, "deployon.W004"),
        ({"ENDPOINT_NETWORKS": ["10.0.0.0/8", "127.0.0.0/8"]}, "deployon.W005"),
    ],
)
def test_what_weakens_an_installation_is_named(settings, changes, expected):
    settings.USES_SQLITE = True
    for name, value in changes.items():
        setattr(settings, name, value)
    assert expected in {message.id for message in check_deployment()}


@pytest.mark.parametrize(
    ("hosts", "is_known"),
    [
        (["*"], True),
        ([".example.com"], True),
        (["portal.example.com"], True),
        (["example.com"], False),
        ([".ample.com"], False),
    ],
)
def test_the_host_of_the_public_address_is_looked_for_as_django_does(settings, hosts, is_known):
    settings.ALLOWED_HOSTS = hosts
    assert answers_to("portal.example.com") is is_known


def test_the_checks_are_registered():
    assert {check_mode, check_deployment} <= set(checks.registry.registry.get_checks(include_deployment_checks=True))
    assert check_deployment not in checks.registry.registry.get_checks()


@pytest.mark.django_db
def test_health_is_answered_without_a_redirect_to_https(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
    assert client.get("/login/").status_code == 301


def test_production_cookies_and_headers_follow_from_the_public_address(tmp_path):
    names = [
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SESSION_COOKIE_HTTPONLY",
        "SECURE_SSL_REDIRECT",
        "SECURE_HSTS_SECONDS",
    ]
    code = f"from django.conf import settings as s; print(*(bool(getattr(s, name)) for name in {names}))"
    status, said = run(tmp_path, ["-c", code], documented() | {"DJANGO_SETTINGS_MODULE": "portal.settings"})
    assert (status, said.split()) == (0, ["True"] * len(names))
    assert settings.SESSION_COOKIE_SAMESITE == "Lax"
