"""Prometheus servers that answer as those of a real cluster were recorded: TLS, a password, one address of loopback a host."""

from __future__ import annotations

import base64
import gzip
import http.server
import json
import sys
import threading
import time
from pathlib import Path

from inventory.connectors.address import Timeouts
from inventory.connectors.policy import EndpointPolicy
from inventory.connectors.prometheus import Access, Sample, read
from inventory.doubles.certificates import Authority
from inventory.health.facts import Answers
from inventory.layout import Host, Layout, Part

RECORDED = json.loads(gzip.decompress((Path(__file__).parent / "data" / "prometheus.json.gz").read_bytes()))
PATIENT = Timeouts(connect=20, read=20)  # where time is not what is tested, a busy machine may take its own
USER, PASSWORD = "monitoring", "a-long-password-of-monitoring"
EVERYTHING = frozenset({Part.DATABASE, Part.ETCD, Part.QUEUE, Part.MANAGER})
HOSTS = (
    *(Host(f"c{n}", f"127.0.0.1{n}", parts=EVERYTHING) for n in (1, 2, 3)),
    Host("lb1", "127.0.0.14", parts=frozenset({Part.BALANCER})),
)
LAYOUT = Layout("e2e", HOSTS, entrance="127.0.0.14")


def body(moment: str, host: str) -> bytes:
    """The reply of a host at a moment of the recording; KeyError where it gave none."""
    result = RECORDED[moment]["samples"][host]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def answers(moment: str) -> Answers:
    """What came back from all hosts then."""
    told = RECORDED[moment]
    samples: dict[str, list[Sample]] = {host: read(200, body(moment, host)) for host in told["samples"]}
    return Answers(samples, told["failures"])


class Server(http.server.ThreadingHTTPServer):
    """One that keeps quiet where a client leaves early, or never meant to stay."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # of which TLS errors and resets are
            super().handle_error(request, client_address)


class Cluster:
    """The Prometheus servers of the recorded cluster, one a host, all at one port; `moment` is what they tell.

    `silent` hosts accept a connection and say nothing; `gone` ones refuse it.
    """

    def __init__(self, moment: str = "healthy", certified: Authority | None = None) -> None:
        self.moment = moment
        self.silent: set[str] = set()
        self.gone: set[str] = set()
        self.asked: list[str] = []
        self.authority = Authority()
        context = (certified or self.authority).issue(tuple(host.private_address for host in HOSTS)).server_context()
        self.port, self.servers = 0, []
        for host in HOSTS:
            server = Server((host.private_address, self.port), self.handler(host.name))
            self.port = server.server_address[1]
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            self.servers.append(server)

    def __enter__(self) -> Cluster:
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.silent = set()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def access(self, **changes) -> Access:
        given = {
            "authority": self.authority.pem, "user": USER, "password": PASSWORD,
            "policy": EndpointPolicy.of(["127.0.0.0/8"]), "port": self.port, "timeouts": PATIENT,
        } | changes  # fmt: skip
        return Access(**given)

    def handler(self, host: str) -> type[http.server.BaseHTTPRequestHandler]:
        cluster = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                cluster.asked.append(host)
                self.rfile.read(int(self.headers["Content-Length"]))
                until = time.monotonic() + 10
                while host in cluster.silent and time.monotonic() < until:
                    time.sleep(0.05)
                wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                status, content = 200, b""
                if self.headers["Authorization"] != wanted:
                    status, content = 401, b"Unauthorized\n"
                elif host in cluster.gone or host not in RECORDED[cluster.moment]["samples"]:
                    self.close_connection = True
                    return
                else:
                    content = body(cluster.moment, host)
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler
