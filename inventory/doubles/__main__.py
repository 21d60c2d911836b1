"""`python -m inventory.doubles`: the double in a process of its own, for measurements; ends when its standard input does."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter, deque

from inventory.doubles.script import Script
from inventory.doubles.server import ManagerDouble, default_authority


def main() -> None:
    """Listen, print one line of JSON (port, ca, targets with tenant, token and port), wait for the end of input.

    Each line of input is answered with what was asked of it since the last one: {"GET /executions/": 12, ...}.
    """
    parser = argparse.ArgumentParser(prog="python -m inventory.doubles", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--own-ports", action="store_true", help="listen on a port for each target")
    for name in ("upload", "creation", "install", "uninstall", "deletion"):
        parser.add_argument(f"--{name}", type=float, default=0.0, help="seconds that it takes")
    options = parser.parse_args()
    certificate = default_authority().issue() if options.tls else None
    with ManagerDouble(certificate, port=options.port) as double:
        double.requests = deque(maxlen=1_000_000)
        double.script = Script(options.upload, options.creation, options.install, options.uninstall, options.deletion)
        count = options.targets
        ports = double.listen_more(count) if options.own_ports else [double.port] * count
        targets = [
            {"tenant": address.tenant, "token": credential.token, "port": port}
            for (address, credential), port in zip(double.add_targets(count), ports, strict=True)
        ]
        sys.stdout.write(
            json.dumps({"port": double.port, "ca": default_authority().pem if options.tls else "", "targets": targets})
            + "\n"
        )
        sys.stdout.flush()
        for _ in sys.stdin:
            asked = [double.requests.popleft() for _ in range(len(double.requests))]
            kinds = Counter(f"{method} {re.match('/[a-z-]+/?', path + '/').group()}" for method, path, _ in asked)  # type: ignore[union-attr]
            sys.stdout.write(json.dumps(kinds) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
