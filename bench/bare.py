"""The limit of a rollout: the client alone sends each target the requests that a rollout sends, from one process; no database, no engine.

python -m bench.bare < {"targets", "ca", "threads", "size"}      prints {"seconds", "requests"}
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from inventory.connectors.address import Address, Credential, Trust
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import EndpointPolicy

POLICY = EndpointPolicy.of(["127.0.0.1/32"])


def deploy(target: dict[str, Any], trust: Trust, protocol: str, archive: bytes) -> int:
    """What the driver sends to a target that answers at once; how many requests it was."""
    address = Address("127.0.0.1", target["port"], protocol, target["tenant"], trust)
    with ManagerClient(address, Credential.by_token(target["token"]), POLICY) as client:
        if not client.upload_blueprint("bare-1", archive, "blueprint.yaml").is_uploaded:
            client.blueprint("bare-1")
        client.create_deployment(
            "bare", "bare-1", {}, {"portal-service": "bare", "portal-env": target["tenant"]}, display_name="Bare"
        )
        client.execution(client.start_execution("bare", "install").id)
        client.deployment("bare")
        client.capabilities("bare")
        return client.requests_sent


def main() -> int:
    given = json.loads(sys.stdin.read())
    trust = Trust.bundle(given["ca"]) if given["ca"] else Trust.system()
    protocol = "https" if given["ca"] else "http"
    archive = b"PK\x03\x04" + os.urandom(given["size"])
    began = time.perf_counter()
    with ThreadPoolExecutor(given["threads"]) as pool:
        sent = list(pool.map(lambda target: deploy(target, trust, protocol, archive), given["targets"]))
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "requests": sum(sent)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
