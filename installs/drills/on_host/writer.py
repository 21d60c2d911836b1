"""Run on a host: writes a counter through the cluster's entrance until it is told to end, then reads every acknowledged number back.

Its argument is the file whose being there tells it to end; settings are JSON on standard input. Standard library, and `amqp` of the
product's own environment where messages are counted too. Every line that it prints is JSON; the last one has the result.
"""

import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

REQUEST_SECONDS = 5.0
READ_BACK_SECONDS = 120.0


class Entrance:
    """One client of the entrance: a kept connection, made anew after every failure."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.tls = ssl.create_default_context(cadata=told["ca"])
        # As the portal judges it: what is trusted may be the entrance's own certificate.
        self.tls.verify_flags = (self.tls.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
        self.connection: http.client.HTTPSConnection | None = None
        self.headers = {
            "Authentication-Token": told["token"],
            "Tenant": told["tenant"],
            "Content-Type": "application/json",
        }

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """(status, body) of the reply. OSError or HTTPException where there is none in time."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(
                    self.told["name"], self.told["port"], timeout=REQUEST_SECONDS, context=self.tls
                )
                raw = socket.create_connection((self.told["address"], self.told["port"]), REQUEST_SECONDS)
                self.connection.sock = self.tls.wrap_socket(raw, server_hostname=self.told["name"])
            given = None if body is None else json.dumps(body)
            self.connection.request(method, f"/api/v3.1{path}", given, self.headers)
            reply = self.connection.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()


class Count:
    """What was acknowledged and when; shared by several threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.began = self.last = time.monotonic()
        self.acknowledged: list[int] = []
        self.gap, self.gap_ended = 0.0, 0.0
        self.errors: dict[str, int] = {}
        self.numbers = itertools.count(1)

    def take(self, number: int) -> None:
        now = time.monotonic()
        with self.lock:
            self.note_gap(now)
            self.last = now
            self.acknowledged.append(number)

    def note_gap(self, now: float) -> None:
        """The time before the first one is no gap: until then it was not yet known whether it can be written at all."""
        if self.acknowledged and now - self.last > self.gap:
            self.gap, self.gap_ended = now - self.last, now

    def fail(self, text: str) -> None:
        with self.lock:
            self.errors[text] = self.errors.get(text, 0) + 1

    def end(self) -> None:
        """Nothing was written since the last one: that is a gap as well."""
        with self.lock:
            self.note_gap(time.monotonic())

    def result(self, lost: list[int] | None) -> dict[str, Any]:
        """`lost` is None where they could not be read back."""
        return {
            "acknowledged": len(self.acknowledged),
            "lost": None if lost is None else len(lost),
            "lost_numbers": (lost or [])[:20],
            "gap_seconds": round(self.gap, 2),
            "gap_ended_ago": round(time.monotonic() - self.gap_ended, 1) if self.gap_ended else None,
            "errors": self.errors,
        }


def write(told: dict[str, Any], count: Count, ended: threading.Event) -> None:
    """One client: a number after another, each once. A number without a good reply may be there or not, and does not count."""
    entrance = Entrance(told)
    while not ended.is_set():
        number = next(count.numbers)
        began = time.monotonic()
        try:
            status, _ = entrance.ask("PUT", f"/secrets/{told['prefix']}{number}", {"value": str(number)})
            if status < 300:
                count.take(number)
            else:
                count.fail(f"HTTP {status}")
        except (OSError, http.client.HTTPException) as error:
            count.fail(type(error).__name__)
        ended.wait(max(0.05, told["pause"] - (time.monotonic() - began)))
    entrance.close()


def stored(told: dict[str, Any], entrance: Entrance) -> set[int]:
    """All numbers that are there."""
    found: set[int] = set()
    offset = 0
    while True:
        status, content = entrance.ask("GET", f"/secrets?_include=key&_size=500&_offset={offset}")
        if status != 200:
            raise OSError(f"HTTP {status}")
        items = json.loads(content)["items"]
        keys = [item["key"] for item in items]
        found |= {int(key[len(told["prefix"]) :]) for key in keys if key.startswith(told["prefix"])}
        if not items:
            return found
        offset += len(items)


def read_back(told: dict[str, Any], count: Count) -> list[int] | None:
    """Acknowledged numbers that are gone; None where nobody answers. What is there is taken away."""
    entrance, until = Entrance(told), time.monotonic() + READ_BACK_SECONDS
    while True:
        try:
            there = stored(told, entrance)
            break
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            if time.monotonic() > until:
                return None
            time.sleep(1)
    with ThreadPoolExecutor(told["clients"]) as pool:
        parts = [sorted(there)[number :: told["clients"]] for number in range(told["clients"])]
        list(pool.map(lambda numbers: take_away(told, numbers), parts))
    with contextlib.suppress(OSError, http.client.HTTPException):
        entrance.ask("DELETE", f"/tokens/{told['token_id']}")
    entrance.close()
    return sorted(set(count.acknowledged) - there)


def take_away(told: dict[str, Any], numbers: list[int]) -> None:
    """Best effort: what stays is named drill-... and can be deleted by hand."""
    entrance = Entrance(told)
    for number in numbers:
        with contextlib.suppress(OSError, http.client.HTTPException):
            entrance.ask("DELETE", f"/secrets/{told['prefix']}{number}")
    entrance.close()


class Broker:
    """Numbered messages with confirms to a quorum queue; begins at the host that is struck, goes to the next after an error."""

    def __init__(self, told: dict[str, Any]) -> None:
        lines = Path(told["environment"]).read_text().splitlines()
        settings = {name: value.strip("'") for name, value in (line.split("=", 1) for line in lines if "=" in line)}
        self.url = urlsplit(settings["BROKER_URL"])
        hosts = Path(settings["BROKER_HOSTS_FILE"]).read_text().split()
        self.hosts = sorted(hosts, key=lambda host: host != told["struck"])
        self.ca = settings["BROKER_CA"]
        self.queue = told["prefix"].rstrip("-")
        self.turn = 0
        self.connection: Any = None
        self.channel: Any = None

    def open(self) -> Any:
        """A channel, at the next broker where this one does not answer."""
        if self.connection is None:
            import amqp

            url, host = self.url, self.hosts[self.turn % len(self.hosts)]
            self.connection = amqp.Connection(
                host=f"[{host}]:{url.port}" if ":" in host else f"{host}:{url.port}",
                userid=unquote(url.username or ""),
                password=unquote(url.password or ""),
                virtual_host=url.path.lstrip("/"),
                ssl={"ca_certs": self.ca, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": host},
                confirm_publish=True,
                connect_timeout=3,
                read_timeout=REQUEST_SECONDS,
                write_timeout=REQUEST_SECONDS,
            )
            self.connection.connect()
            self.channel = self.connection.channel()
            arguments = {"x-queue-type": "quorum"}
            self.channel.queue_declare(self.queue, durable=True, auto_delete=False, arguments=arguments)
        return self.channel

    def drop(self) -> None:
        """After an error: it is not known what the connection is good for."""
        connection, self.connection = self.connection, None
        self.turn += 1
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.collect()

    def publish(self, count: Count, ended: threading.Event, pause: float) -> None:
        import amqp

        while not ended.is_set():
            number = next(count.numbers)
            try:
                message = amqp.Message(str(number), delivery_mode=2)
                self.open().basic_publish(message, routing_key=self.queue, timeout=REQUEST_SECONDS)
                count.take(number)
            except (OSError, amqp.exceptions.AMQPError) as error:
                count.fail(type(error).__name__)
                self.drop()
            ended.wait(pause)

    def read_back(self, count: Count) -> list[int] | None:
        import amqp

        until = time.monotonic() + READ_BACK_SECONDS
        found: set[int] = set()
        while True:
            try:
                while (message := self.open().basic_get(self.queue, no_ack=True)) is not None:
                    found.add(int(message.body))
                self.open().queue_delete(self.queue)
                self.connection.close()
                return sorted(set(count.acknowledged) - found)
            except (OSError, amqp.exceptions.AMQPError):
                self.drop()
                if time.monotonic() > until:
                    return None
                time.sleep(1)


def say(**data: Any) -> None:
    sys.stdout.write(json.dumps(data) + "\n")
    sys.stdout.flush()


def main() -> None:
    told: dict[str, Any] = json.load(sys.stdin)
    sign = sys.argv[1]
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    writes, messages = Count(), Count()
    threads = [threading.Thread(target=write, args=(told, writes, ended)) for _ in range(told["clients"])]
    broker = Broker(told) if told["counts_messages"] else None
    if broker is not None:
        threads.append(threading.Thread(target=broker.publish, args=(messages, ended, told["pause"] / 4)))
    for number, thread in enumerate(threads):
        thread.start()
        time.sleep(told["pause"] / told["clients"] if number < told["clients"] else 0)
    until = time.monotonic() + told["seconds"]
    while not ended.is_set() and time.monotonic() < until and not os.path.exists(sign):
        now = time.monotonic()
        say(
            acknowledged=len(writes.acknowledged),
            quiet=round(now - writes.last, 1),
            confirmed=len(messages.acknowledged),
            errors=writes.errors,
        )
        ended.wait(1.0)
    for count in (writes, messages):
        count.end()
    ended.set()
    for thread in threads:
        thread.join()
    result = {"result": writes.result(read_back(told, writes))}
    if broker is not None:
        result["messages"] = messages.result(broker.read_back(messages))
    say(**result)


if __name__ == "__main__":
    main()
