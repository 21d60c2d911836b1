"""Archives by URL: fetched once, within limits, and no secret of them stays anywhere."""

from __future__ import annotations

import http.server
import threading

import pytest

from accounts.actors import Actor
from accounts.models import AuditEntry
from orchestration import blueprints
from orchestration.fetching import FetchError, Login, fetch_archive, readable
from orchestration.models import Blueprint, Execution
from tests import factories
from tests.orchestration import archives


class Web:
    """A web server on this machine and what it was asked for: [(path, Authorization)]."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.asked.append((self.path, self.headers.get("Authorization", "")))
                status, location, body = web.answer(self.path)
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.answers = {
            "/app.tar.gz": (200, "", archives.app()),
            "/loop": (302, "/loop", b""),
            "/empty": (200, "", b""),
        }
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str):
        return self.answers.get(path.partition("?")[0], (404, "", b"no"))


@pytest.fixture
def web(settings):
    settings.ENDPOINT_NETWORKS = ["127.0.0.0/8"]
    server = Web()
    yield server
    server.server.shutdown()
    server.server.server_close()


def test_an_archive_is_fetched_with_a_login_that_stays_at_its_host(web):
    web.answers["/away"] = (302, f"http://localhost:{web.port}/app.tar.gz?sig=1", b"")
    assert fetch_archive(f"{web.url}/away", Login("ann", "t0ken"))[:2] == b"\x1f\x8b"
    assert web.asked[0][1].startswith("Basic ") and web.asked[1] == ("/app.tar.gz?sig=1", "")
    fetch_archive(web.url.replace("//", "//ann:t0ken@") + "/app.tar.gz")
    assert web.asked[2] == ("/app.tar.gz", web.asked[0][1])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/none.zip", "404 Client Error: File not found for url: http://127.0.0.1"),
        ("/loop", "leads on more than 5 times"),
        ("/empty", "is empty"),
    ],
)
def test_what_cannot_be_fetched_is_said(web, path, words):
    with pytest.raises(FetchError, match=words):
        fetch_archive(web.url + path)


@pytest.mark.parametrize("url", ["ftp://host/x", "no url", "http://", "http://host:99999/x", "file:///etc/passwd"])
def test_what_is_no_url_of_the_web_is_refused(url):
    with pytest.raises(FetchError, match="begins with https"):
        fetch_archive(url)


def test_more_bytes_than_are_taken_are_not_read(web, settings):
    settings.ARCHIVE_MAX_BYTES = 100
    with pytest.raises(FetchError, match="too large"):
        fetch_archive(web.url + "/app.tar.gz")


def test_this_machine_and_the_metadata_of_clouds_are_out_of_bounds(settings):
    settings.ENDPOINT_NETWORKS = []
    for host in ("127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]"):
        with pytest.raises(FetchError, match="ENDPOINT_NETWORKS"):
            fetch_archive(f"http://{host}/x.zip")


def test_a_redirect_to_a_forbidden_address_is_not_followed(web):
    web.answers["/inside"] = (302, "http://169.254.169.254/latest", b"")
    with pytest.raises(FetchError, match="ENDPOINT_NETWORKS"):
        fetch_archive(web.url + "/inside")


def test_what_is_shown_of_a_url_holds_no_secret():
    assert readable("https://ann:t0ken@host:8443/a.zip?token=abc#x") == "https://host:8443/a.zip"
    assert readable("nonsense") == ""


@pytest.mark.django_db
def test_neither_row_nor_audit_keeps_the_token_of_a_url(web, acme):
    by = Actor(user=factories.admin(), via="test")
    url = web.url.replace("//", "//ann:t0ken-of-ann@") + "/none.zip?key=s3cr3t"
    with pytest.raises(FetchError):
        blueprints.upload(by=by, tenant=acme, wire_id="far", url=url)
    row = Blueprint.objects.get(wire_id="far")
    execution = Execution.objects.get(pk=row.upload_execution)
    assert row.state == "failed_uploading" and execution.state == "failed"
    told = f"{row.error} {execution.error} {execution.parameters} {list(AuditEntry.objects.values())}"
    assert "File not found" in told and "t0ken-of-ann" not in told and "s3cr3t" not in told
