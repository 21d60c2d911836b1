"""Serves the `ctx` command of scripts: HTTP on a loopback port, at a path that only the script knows."""

from __future__ import annotations

import json
import secrets
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

from cloudify.proxy.client import _catch_non_serializable
from cloudify.proxy.server import CtxProxy
from cloudify.state import current_ctx

BODY_LIMIT = 8_000_000


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    proxy: SecretPathProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        """`/<secret>`: the genuine protocol; `/<secret>/argv`: our fast client, which leaves parsing and printing to us."""
        proxy = self.server.proxy
        length = int(self.headers.get("Content-Length") or 0)
        given, _, rest = self.path.lstrip("/").partition("/")
        if not secrets.compare_digest(given, proxy.secret) or length > BODY_LIMIT:
            self.send_error(404)
            return
        body = self.rfile.read(length)
        with current_ctx.push(proxy.ctx):
            answer, headers = proxy.answer_argv(body) if rest == "argv" else (proxy.process(body.decode()).encode(), {})
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Not on the script's error output."""


class SecretPathProxy(CtxProxy):
    """Stands in for the library's HTTPCtxProxy, which has no authentication and shares one global handler."""

    def __init__(self, ctx: Any, port: int | None = None) -> None:
        self.secret = secrets.token_urlsafe(24)
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.proxy = self
        super().__init__(ctx, f"http://127.0.0.1:{self.server.server_address[1]}/{self.secret}")
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()

    def answer_argv(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        """What the client prints and ends with, for its arguments (each ended by a zero byte)."""
        try:
            arguments, json_output = parse_argv(
                [part.decode("utf-8", "surrogateescape") for part in body.split(b"\0")[:-1]]
            )
        except (ValueError, IndexError) as error:
            return f"ctx: {error}\n".encode(), {"Ctx-Exit": "2", "Ctx-Stream": "2"}
        answer = json.loads(self.process(json.dumps({"args": arguments})))
        payload = answer["payload"]
        if answer["type"] == "error":
            text = f"{payload['traceback']}\nctx: {payload['type']}: {payload['message']}\n"
            return text.encode("utf-8", "surrogateescape"), {"Ctx-Exit": "1", "Ctx-Stream": "2"}
        if answer["type"] == "stop_operation":
            return f"{payload['message']}\n".encode("utf-8", "surrogateescape"), {"Ctx-Exit": "1", "Ctx-Stream": "2"}
        text = json.dumps(payload) if json_output else str(payload or "")
        return text.encode("utf-8", "surrogateescape"), {"Ctx-Exit": "0", "Ctx-Stream": "1"}


def parse_argv(argv: list[str]) -> tuple[list[Any], bool]:
    """(arguments, JSON output wanted?), by the rules of the genuine client: options, `--`, `@` before a JSON argument."""
    prefix, json_output, words = "@", False, []
    index = 0
    while index < len(argv):
        word = argv[index]
        if word == "--":
            words += argv[index + 1 :]
            break
        if word in ("-j", "--json-output"):
            json_output = True
        elif word in ("-t", "--timeout", "--json-arg-prefix", "--socket-url"):
            index += 1
            if word == "--json-arg-prefix":
                prefix = argv[index]
        elif word.startswith("--json-arg-prefix="):
            prefix = word.partition("=")[2]
        elif not word.startswith(("--timeout=", "--socket-url=")):
            words.append(word)
        index += 1
    arguments = [
        json.loads(word[len(prefix) :], object_hook=_catch_non_serializable) if word.startswith(prefix) else word
        for word in words
    ]
    return arguments, json_output
