"""Which of the double's answers a request gets, and what permission it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inventory.doubles.accounts import Account
from inventory.doubles.answers import Answer, Answers, Query, listed
from inventory.doubles.updating import set_labels, update


def route(
    answers: Answers, method: str, parts: list[str], query: Query, body: bytes, parsed: Callable[[], Any]
) -> Answer | None:
    """The answer to a request inside a tenant, or None where there is no such path."""
    head, name, tail = parts[0], parts[1] if len(parts) > 1 else "", parts[2] if len(parts) > 2 else ""
    if head == "blueprints" and name and method in ("GET", "PUT", "DELETE"):
        return answers.blueprint(method, name, query, body)
    if head == "deployments" and tail in ("capabilities", "outputs") and method == "GET":
        return answers.capabilities(name, tail)
    if head == "deployments" and name and not tail and method == "PATCH":
        return set_labels(answers, name, parsed())
    if head == "deployment-updates" and tail == "update" and method == "POST":
        return update(answers, name, parsed())
    if head == "deployments" and name and not tail and method in ("GET", "PUT", "DELETE"):
        return answers.deployment(method, name, query, parsed())
    if (head == "deployments" and method == "GET") or (
        head == "searches" and name == "deployments" and method == "POST"
    ):
        return answers.deployments(query)
    if head == "executions" and name and method in ("GET", "POST"):
        return answers.execution(method, name, parsed())
    if head == "executions" and method == "POST":
        return answers.start(parsed())
    if head == "executions" and method == "GET":
        return answers.executions(query)
    if head == "events" and method == "GET":
        return answers.events(query)
    if head in ("nodes", "node-instances") and method == "GET":
        return answers.nodes(query, instances=head == "node-instances")
    return None


def action_of(method: str, parts: list[str]) -> tuple[str, bool]:
    """(permission word, whether it writes) of a request."""
    kind = parts[0].rstrip("s").replace("searche", "deployment").replace("-", "_")
    verb = {"GET": "get" if len(parts) > 1 else "list", "PUT": "create", "POST": "create", "DELETE": "delete"}.get(
        method, "get"
    )
    if parts[0] == "searches":
        verb = "list"
    if parts[0] == "blueprints" and method == "PUT":
        verb = "upload"
    return f"{kind}_{verb}", verb in ("create", "delete", "upload")


def about(
    account: Account, method: str, parts: list[str], query: Query, tenants: set[str], version: str
) -> Answer | None:
    """Answers that need an account but no tenant, or None."""
    head = parts[0]
    if method == "GET" and head == "version":
        return 200, {
            "edition": "community", "version": version, "build": None, "date": None, "commit": None,
            "distribution": "debian", "distro_release": "bookworm",
        }  # fmt: skip
    if method == "GET" and head == "status":
        return 200, {"status": "OK", "services": {"RabbitMQ": {"is_remote": True, "status": "Active"}}}
    if method == "GET" and head == "user":
        return 200, account.answer(with_data=query.get("_get_data") == ["true"])
    if method == "GET" and head == "tokens" and parts[1:] == account.token.split("-")[1:2]:
        return 200, {
            "id": parts[1],
            "value": f"ctok-{parts[1]}-********",
            "expiration_date": account.token_until or None,
        }
    if method == "GET" and head == "tenants":
        return listed([{"name": name, "groups": 0, "users": 1, "user_roles": None} for name in sorted(tenants)], query)
    return None
