"""Run on a host, as root: opens ports that are free for some seconds and says a word to whoever connects. Goes by itself."""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time
from typing import Any


def open_all(places: list[Any]) -> tuple[list[socket.socket], list[list[Any]], list[list[Any]]]:
    """Sockets, [address, port] that are open now, and [address, port, why] that are not."""
    sockets, opened, refused = [], [], []
    for address, port in places:
        listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(64)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            refused.append([address, port, os.strerror(error.errno or 0)])
            continue
        sockets.append(listener)
        opened.append([address, port])
    return sockets, opened, refused


def serve(sockets: list[socket.socket], word: bytes, seconds: float) -> None:
    until = time.monotonic() + seconds
    while sockets and (left := until - time.monotonic()) > 0:
        for listener in select.select(sockets, [], [], min(left, 1.0))[0]:
            try:
                connection, _ = listener.accept()
                connection.sendall(word)
                connection.close()
            except OSError:
                continue


def main() -> None:
    asked = json.loads(sys.argv[1])
    sockets, opened, refused = open_all(asked["places"])
    pid = os.fork() if sockets else 0
    if pid or not sockets:
        sys.stdout.write(json.dumps({"pid": pid, "opened": opened, "refused": refused}))
        return
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    try:
        serve(sockets, asked["word"].encode(), asked["seconds"])
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
