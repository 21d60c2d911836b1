"""A web server on loopback that hands out archives, some of them only to who has the login."""

from __future__ import annotations

import base64
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Shelf:
    """What lies where, and what was asked for: (path, value of Authorization)."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.logins: dict[str, tuple[str, str]] = {}
        self.moved: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.url = ""

    def put(self, path: str, content: bytes, login: tuple[str, str] | None = None) -> str:
        """Put a file there; its address, without the login."""
        self.files[path] = content
        if login is not None:
            self.logins[path] = login
        return f"{self.url}{path}"

    def answer(self, path: str, said: str) -> tuple[int, dict[str, str], bytes]:
        plain = path.partition("?")[0]
        if plain in self.moved:
            return 302, {"Location": self.moved[plain]}, b""
        login = self.logins.get(plain)
        if login is not None and said != "Basic " + base64.b64encode(":".join(login).encode()).decode():
            return 401, {}, b"who are you?"
        if plain not in self.files:
            return 404, {}, b"nothing"
        return 200, {}, self.files[plain]


@contextmanager
def shelf() -> Iterator[Shelf]:
    """A running one."""
    kept = Shelf()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = self.headers.get("Authorization", "")
            kept.asked.append((self.path, said))
            status, headers, body = kept.answer(self.path, said)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()
