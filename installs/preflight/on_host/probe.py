"""Run on a host: connects to places of other hosts, side by side, and prints what came of each as JSON."""

from __future__ import annotations

import concurrent.futures
import json
import socket
import sys
from typing import Any


def probe(place: list[Any], word: bytes, seconds: float) -> str:
    """heard: our listener answered; open: something else did; refused, timeout, or the system's words."""
    try:
        with socket.create_connection((place[0], place[1]), timeout=seconds) as connection:
            try:
                return "heard" if connection.recv(len(word), socket.MSG_WAITALL) == word else "open"
            except OSError:
                return "open"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return error.strerror or str(error)


def main() -> None:
    asked = json.loads(sys.argv[1])
    word, seconds = asked["word"].encode(), asked["seconds"]
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        sys.stdout.write(json.dumps(list(pool.map(lambda place: probe(place, word, seconds), asked["places"]))))


if __name__ == "__main__":
    main()
