"""Starts an installation: web server, and in the embedded shape its workers, in one process."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import signal
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import uvicorn
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection

from runs import workers
from runs.embedded import EmbeddedWorkers, start_workers
from runs.warming import warm_up

PREPARING = 0x_DE_91_0E  # the advisory lock of PostgreSQL under which one process migrates
PATIENCE_SECONDS = 900  # for another one that migrates
GRACE_SECONDS = 2  # for requests, then for steps at work


class Command(BaseCommand):
    """`manage.py up [--host 127.0.0.1] [--port 8000] [--tls-cert F --tls-key F] [--no-workers] [--no-administrator]`."""

    help = "Start this installation; Ctrl-C stops it, and what was at work goes on when it is started again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--tls-cert", help="file with the certificate chain, PEM")
        parser.add_argument("--tls-key", help="file with the private key, PEM")
        parser.add_argument(
            "--no-workers", action="store_true", help="serve only; workers are `celery -A portal worker -P threads`"
        )
        parser.add_argument(
            "--no-administrator",
            action="store_true",
            help="make no first administrator: `manage.py first_admin` makes one, with a password that is given to it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        has_workers = not options["no_workers"]
        if not has_workers and settings.BROKER_URL.startswith("memory"):
            self.stderr.write(
                "No workers: BROKER_URL is memory://, so nothing will be carried out until `manage.py up` runs with them."
            )
        embedded: EmbeddedWorkers | None = None
        try:
            lock, predecessor = take_data_dir(settings.DATA_DIR, is_shared=not has_workers)
            tls = tls_of(options["tls_cert"], options["tls_key"])
            listener = listen(options["host"], options["port"])
            self.prepare(with_administrator=not options["no_administrator"])
            server = web_server(tls)
            if has_workers:
                leave_name(lock, workers.me.id)
                embedded = start_workers(settings.EMBEDDED_WORKERS, predecessor)
            host, port = listener.getsockname()[:2]
            address = f"[{host}]" if ":" in host else host
            self.stdout.write(f"DeployOn is at {'https' if tls else 'http'}://{address}:{port}/  (Ctrl-C stops it)")
            self.stdout.flush()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the server has handlers of its own while it serves,
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # and repeats the signal when it has ended
            if has_workers:
                warm_up(lambda: server.started)
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            pass
        self.leave(embedded)

    def prepare(self, *, with_administrator: bool) -> None:
        """The database as this version wants it, and, unless told otherwise, somebody who may sign in."""
        told = io.StringIO()
        try:
            with alone():
                call_command("migrate", verbosity=0, interactive=False)
                if with_administrator:
                    call_command("first_admin", stdout=told)
        except OperationalError as error:
            raise CommandError(
                f"The database does not answer ({error}): look whether it runs, and whether DATABASE_URL is right."
            ) from error
        if "One-time password" in told.getvalue():
            self.stdout.write(told.getvalue().strip())

    def leave(self, embedded: EmbeddedWorkers | None) -> None:
        """End the process although threads may be at work: whatever they do is repeated or looked up by the next start."""
        if embedded is not None and not embedded.stop(GRACE_SECONDS):
            self.stdout.write(f"{len(workers.me.in_hand)} steps were at work and go on with the next start.")
        self.stdout.write("Stopped.")
        for stream in (self.stdout, self.stderr, sys.stdout, sys.stderr):
            stream.flush()
        os._exit(0)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Members that start at once on one database prepare it one after the other; SQLite has one process, which has the folder's lock."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        for _ in range(
            PATIENCE_SECONDS
        ):  # asked again and again, for a wait within PostgreSQL ends with its lock_timeout
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [PREPARING])
            if cursor.fetchone() == (True,):
                break
            time.sleep(1)
        else:
            raise CommandError(
                "Another process has been migrating this database for too long: look at it, then start this one again."
            )
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [PREPARING])


def take_data_dir(folder: Path, *, is_shared: bool) -> tuple[IO[str], uuid.UUID | None]:
    """Keep other processes away from the folder; the lock, and the worker that had it last, which must be dead then."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = (folder / "up.lock").open("a+")
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandError(
            f"{folder} is in use by another process of this product: stop that one, or set DATA_DIR to another folder."
        ) from None
    lock.seek(0)
    try:
        return lock, uuid.UUID(lock.read().strip())
    except ValueError:
        return lock, None


def leave_name(lock: IO[str], worker: uuid.UUID) -> None:
    """Write who has the folder, for whoever comes next."""
    lock.truncate(0)
    lock.write(str(worker))
    lock.flush()


def listen(host: str, port: int) -> socket.socket:
    """The socket to serve on. CommandError where the address is taken or not ours."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Named, for asyncio sends at once (TCP_NODELAY) only where it knows the protocol: else each answer may wait 40 ms for an ACK.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.set_inheritable(False)
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {host} port {port} ({error.strerror or error}): free it, or choose another with --port."
        ) from error
    return listener


def tls_of(certificate: str | None, key: str | None) -> dict[str, Any]:
    """Options of the web server; both files are read now, so that a wrong one is told before anything starts."""
    if not certificate and not key:
        return {}
    if not certificate or not key:
        raise CommandError("TLS needs both --tls-cert and --tls-key.")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise CommandError(
            f"The TLS files cannot be used ({error}): --tls-cert is a PEM chain, --tls-key its private key."
        ) from error
    return {"ssl_certfile": certificate, "ssl_keyfile": key}


def web_server(tls: dict[str, Any]) -> uvicorn.Server:
    """uvicorn without its access log: a proxy keeps one, and nothing of a request belongs into ours."""
    return uvicorn.Server(
        uvicorn.Config(
            settings.ASGI_APPLICATION.replace(".application", ":application"),
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=settings.SECURE_PROXY_SSL_HEADER is not None,
            timeout_graceful_shutdown=GRACE_SECONDS,
            **tls,
        )
    )
