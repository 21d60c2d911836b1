"""Calls of a public REST API, with errors in the words of the server."""

from __future__ import annotations

from typing import Any

import requests

from portal.demo.installations import DemoError

SECONDS = 60.0


class Api:
    """/api/v1 of one installation with a token."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between us and this host
        self._session.headers["Authorization"] = f"Token {token}"

    def get(self, path: str, **query: Any) -> Any:
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: dict[str, Any] | None = None, *, key: str = "", **more: Any) -> Any:
        """`key` is the Idempotency-Key of a request that starts work; `more` goes to requests (data and files of an upload)."""
        headers = {"Idempotency-Key": key} if key else {}
        return self._ask("POST", path, headers=headers, **(more if more else {"json": body or {}} | more))

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        where = path if path.startswith("http") else f"{self.url}/api/v1/{path}"
        return _said(self._session.request(method, where, timeout=SECONDS, **more))


def mint_token(url: str, username: str, password: str, description: str) -> str:
    """A token of that user, made with user and password through v3.1, as an operator does it at a manager."""
    with requests.Session() as session:
        session.trust_env = False
        reply = session.post(
            f"{url}/api/v3.1/tokens", json={"description": description}, auth=(username, password), timeout=SECONDS
        )
        return str(_said(reply)["value"])


def _said(reply: requests.Response) -> Any:
    """The content of a good reply; DemoError with what a bad one says."""
    if reply.ok:
        return reply.json() if reply.content else None
    try:
        content = reply.json()
        words = content.get("detail") or content.get("message") or reply.text
    except ValueError:
        words = reply.text[:300]
    raise DemoError(f"{reply.request.method} {reply.url} answered {reply.status_code}: {words}")
