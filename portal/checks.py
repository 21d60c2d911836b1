"""Refuses settings that would harm a production installation, as Django system checks; the settings themselves are in settings.

Production is what says so: DEPLOYON_MODE=member (one of several processes on one database), or an address with https. Errors stop
`manage.py up`, `manage.py migrate` and every other command, the web process and the worker; warnings are for `check --deploy`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from accounts import vault

MODES = ("central", "sub-manager", "member")


@checks.register("deployon")
def check_mode(app_configs: Sequence[Any] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """What must hold wherever the installation runs."""
    found: list[checks.CheckMessage] = []
    if settings.DEPLOYON_MODE not in MODES:
        found.append(
            fault("E001", f"DEPLOYON_MODE is {settings.DEPLOYON_MODE!r}.", f"Set it to one of: {', '.join(MODES)}.")
        )
    if settings.DEBUG and (is_member() or settings.IS_BEHIND_TLS):
        shown = "DEPLOYON_MODE=member" if is_member() else f"PUBLIC_URL={settings.PUBLIC_URL}"
        found.append(
            fault(
                "E002",
                f"DEBUG is on in production ({shown}): error pages would show source code and settings.",
                "Remove DEBUG.",
            )
        )
    return found + (check_member() if is_member() else [])


def check_member() -> list[checks.CheckMessage]:
    """What one of several equal processes shares with the others, and therefore cannot make for itself."""
    found: list[checks.CheckMessage] = []
    if settings.USES_SQLITE:
        hint = (
            "Set DATABASE_URL=postgres://user:password@host:5432/name, the same for every process of this installation."
        )
        found.append(
            fault(
                "E003", "DEPLOYON_MODE=member on SQLite: members share one database, and SQLite serves one host.", hint
            )
        )
    if settings.BROKER_URL.startswith("memory"):
        hint = "Set BROKER_URL=amqp://user:password@host:5672/vhost, the same for every process."
        found.append(
            fault(
                "E004", "DEPLOYON_MODE=member with BROKER_URL memory://: it wakes no worker of another process.", hint
            )
        )
    if settings.CHANNEL_LAYER_URL.startswith("memory"):
        hint = "Remove CHANNEL_LAYER: on PostgreSQL it needs none."
        found.append(
            fault(
                "E005",
                "DEPLOYON_MODE=member with CHANNEL_LAYER memory://: browsers would not hear of other processes.",
                hint,
            )
        )
    if not settings.IS_SECRET_KEY_GIVEN:
        hint = 'Make one with `python3 -c "import secrets; print(secrets.token_urlsafe(48))"` and set SECRET_KEY for every process.'
        found.append(
            fault(
                "E006",
                "DEPLOYON_MODE=member without SECRET_KEY: each host would make its own, and log out the others' users.",
                hint,
            )
        )
    if not vault.keys_are_given():
        hint = "Make one with `openssl rand -base64 32` and set VAULT_KEYS for every process; where secrets are stored already, use the lines of DATA_DIR/vault.keys."
        found.append(
            fault(
                "E007",
                "DEPLOYON_MODE=member without VAULT_KEYS: each host would make its own, and could not open the others' secrets.",
                hint,
            )
        )
    if not settings.IS_BEHIND_TLS:
        hint = "Set PUBLIC_URL to the https address under which people reach the load balancer."
        found.append(
            fault(
                "E008",
                f"DEPLOYON_MODE=member with PUBLIC_URL {settings.PUBLIC_URL}: passwords and tokens would travel in clear.",
                hint,
            )
        )
    return found


@checks.register("deployon", deploy=True)
def check_deployment(app_configs: Sequence[Any] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """What `check --deploy` advises on top of Django's own."""
    found: list[checks.CheckMessage] = []
    host = urlsplit(settings.PUBLIC_URL).hostname or ""
    if not settings.IS_BEHIND_TLS:
        hint = "Give the installation a certificate (`manage.py up --tls-cert`, or a proxy) and set PUBLIC_URL to its https address."
        found.append(
            advice("W001", f"PUBLIC_URL is {settings.PUBLIC_URL}: passwords and tokens travel in clear.", hint)
        )
    if not answers_to(host):
        found.append(
            advice(
                "W002",
                f"ALLOWED_HOSTS does not contain {host}, the host of PUBLIC_URL.",
                f"Add {host} to ALLOWED_HOSTS.",
            )
        )
    if settings.RUNNER_SANDBOX == "none":
        hint = "Remove RUNNER_SANDBOX; docs/security.md says what each kind of cage needs."
        found.append(
            advice("W003", "RUNNER_SANDBOX is none: scripts of blueprints run as the user of the portal.", hint)
        )
    if not settings.BROKER_URL.startswith("memory") and settings.USES_SQLITE:
        hint = "Use PostgreSQL where workers are processes of their own."
        found.append(
            advice(
                "W004",
                "BROKER_URL is for several processes, DATABASE_URL is SQLite: they would wait for each other's writes.",
                hint,
            )
        )
    wide = [text for text in settings.ENDPOINT_NETWORKS if is_loopback(text)]
    if wide:
        hint = "Remove it unless a manager does run on this host."
        found.append(
            advice(
                "W005",
                f"ENDPOINT_NETWORKS allows {', '.join(wide)}: environments may point at services of this host.",
                hint,
            )
        )
    return found


def is_member() -> bool:
    return bool(settings.DEPLOYON_MODE == "member")


def answers_to(host: str) -> bool:
    """Whether requests for this host are taken."""
    return any(
        pattern == "*"
        or pattern.strip("[]").lower() == host
        or (pattern.startswith(".") and f".{host}".endswith(pattern))
        for pattern in settings.ALLOWED_HOSTS
    )


def is_loopback(network: str) -> bool:
    try:
        return ipaddress.ip_network(network.strip(), strict=False).is_loopback
    except ValueError:
        return False


def refuse() -> None:
    """For processes that run no checks by themselves, such as `celery worker`; ImproperlyConfigured with all that is wrong."""
    found = check_mode()
    if found:
        raise ImproperlyConfigured("\n".join(f"{message.msg} {message.hint}" for message in found))


def fault(number: str, text: str, hint: str) -> checks.CheckMessage:
    return checks.Error(text, hint=hint, id=f"deployon.{number}")


def advice(number: str, text: str, hint: str) -> checks.CheckMessage:
    return checks.Warning(text, hint=hint, id=f"deployon.{number}")
