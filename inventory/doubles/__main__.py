"""`python -m inventory.doubles`: the double in a process of its own, for measurements; ends when its standard input does."""

from __future__ import annotations

import argparse
import json
import sys

from inventory.doubles.script import Script
from inventory.doubles.server import ManagerDouble, default_authority


def main() -> None:
    """Listen, print one line of JSON (port, ca, targets with tenant and token), wait for the end of input."""
    parser = argparse.ArgumentParser(prog="python -m inventory.doubles", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--tls", action="store_true")
    for name in ("upload", "creation", "install", "uninstall", "deletion"):
        parser.add_argument(f"--{name}", type=float, default=0.0, help="seconds that it takes")
    options = parser.parse_args()
    certificate = default_authority().issue() if options.tls else None
    with ManagerDouble(certificate, port=options.port) as double:
        double.script = Script(options.upload, options.creation, options.install, options.uninstall, options.deletion)
        targets = [
            {"tenant": address.tenant, "token": credential.token}
            for address, credential in double.add_targets(options.targets)
        ]
        sys.stdout.write(
            json.dumps({"port": double.port, "ca": default_authority().pem if options.tls else "", "targets": targets})
            + "\n"
        )
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
