"""A real RabbitMQ node from Debian's package: own name, ports and folders, loopback only, a fresh virtual host for every test."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
import signal
from pathlib import Path
from typing import Any

from amqp.exceptions import AMQPError
from kombu import Connection

from tests.services.shared import Missing, accepts, count_up, free_port, keep, shared_server, wait_until

INSTALL = "RabbitMQ is not installed here; as root: apt-get install rabbitmq-server"
# Not the wrapper in /usr/sbin: that one insists on the user and folders of the system's own node.
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
USER, VIRTUAL_HOSTS = "deployon", 20


def definitions(password: str) -> dict[str, Any]:
    """What the node imports at its start: one user, and virtual hosts enough for all tests, so that none needs a slow control command."""
    salt = secrets.token_bytes(4)
    password_hash = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    hosts = [f"test{number}" for number in range(1, VIRTUAL_HOSTS + 1)]
    return {
        "users": [
            {
                "name": USER,
                "password_hash": password_hash,
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
            }
        ],
        "vhosts": [{"name": name} for name in hosts],
        "permissions": [
            {"user": USER, "vhost": name, "configure": ".*", "write": ".*", "read": ".*"} for name in hosts
        ],
    }


def start(folder: Path) -> dict[str, Any]:
    port, epmd_port, password = free_port(), free_port(), secrets.token_hex(8)
    (folder / ".erlang.cookie").write_text(secrets.token_hex(16))
    (folder / ".erlang.cookie").chmod(0o400)
    (folder / "definitions.json").write_text(json.dumps(definitions(password)))
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\nload_definitions = {folder / 'definitions.json'}\nlog.console = true\nlog.file = false\n"
        # Both logs are laid out in full at the start: half a gigabyte each by default.
        "raft.wal_max_size_bytes = 16777216\n"
    )
    (folder / "enabled_plugins").write_text("[].\n")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RUNNING_UNDER_SYSTEMD": "true",  # the script then becomes the server instead of watching over it
        "RABBITMQ_NODENAME": f"deployon-test-{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
        "RABBITMQ_PID_FILE": str(folder / "server.pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 -kernel inet_dist_use_interface {127,0,0,1}",
    }
    log = folder / "server.log"
    # Started here, in the foreground: the daemon that the node would start by itself outlives it.
    epmd = keep(
        [shutil.which("epmd") or "epmd", "-address", "127.0.0.1", "-port", str(epmd_port)],
        env=env,
        log=log,
        stop_signal=signal.SIGKILL,
    )
    wait_until(lambda: accepts(epmd_port), 20, keeper=epmd, what="epmd", log=log)
    # Nothing of it is kept, so it need not put its house in order at the end.
    keeper = keep([str(SERVER)], env=env, log=log, cwd=folder, stop_signal=signal.SIGKILL)
    address = f"amqp://{USER}:{password}@127.0.0.1:{port}"
    wait_until(lambda: accepts(port) and answers(f"{address}/test1"), 90, keeper=keeper, what="RabbitMQ", log=log)
    return {"keepers": [keeper.pid, epmd.pid], "url": address}


def answers(url: str) -> bool:
    try:
        with Connection(url, connect_timeout=3) as connection:
            connection.connect()
    except (OSError, AMQPError):
        return False
    return True


def make_virtual_host() -> str:
    """Address of a virtual host that no test has used yet; starts the node where nobody has yet. Raises Missing."""
    if not SERVER.exists() or not shutil.which("epmd"):
        raise Missing(INSTALL)
    url: str = shared_server("rabbitmq", start)["url"]
    number = count_up("rabbitmq-virtual-host")
    if number > VIRTUAL_HOSTS:
        raise RuntimeError(f"More than {VIRTUAL_HOSTS} tests asked for RabbitMQ: raise VIRTUAL_HOSTS in {__file__}.")
    return f"{url}/test{number}"
