"""RabbitMQ: its nodes begin at the same time and find each other; then the virtual host and the user of the management service."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Any, ClassVar

from installs.operations.applying import Gate, Rolled
from installs.rendering import rabbitmq
from installs.rendering.values import RenderedFile
from installs.steps import HostStep
from installs.wanted import Wanted
from inventory.connectors.ssh import Command, Host
from inventory.layout import Part
from runs.operations import Context, Later, operation

UNIT = "rabbitmq-server"
_DEFINITIONS = "/var/lib/rabbitmq/deployon-definitions.json"
OURS = "/var/lib/rabbitmq/.deployon"  # there since its data were begun under our configuration


@operation("rabbitmq.configure")
@dataclasses.dataclass(frozen=True)
class ConfigureRabbitMQ(Rolled):
    """Have RabbitMQ at work on one host. It is not waited for: it looks for the others first."""

    service: ClassVar[str] = "rabbitmq"
    unit: ClassVar[str] = UNIT

    def files(self, context: Context, wanted: Wanted, host: Host) -> list[RenderedFile]:
        return rabbitmq.files(wanted.layout, wanted.layout.host(self.host), wanted.passwords, host.facts().memory)

    def counting(self, files: Sequence[RenderedFile]) -> list[RenderedFile]:
        return rabbitmq.counting(files)

    def begin(self, wanted: Wanted, host: Host) -> None:
        # What the package began alone would keep the node from joining; what was begun under our files stays.
        host.run(Command.shell('[ -e "$1" ] || rm -rf /var/lib/rabbitmq/mnesia; touch "$1"', OURS))
        host.run(Command("systemctl", "reset-failed", UNIT), codes=None)
        host.run(Command("systemctl", "restart", "--no-block", UNIT))

    def danger(self, wanted: Wanted, host: Host) -> str:
        """No queue may lose its majority by it."""
        if len(wanted.layout.having(Part.QUEUE)) < 3:
            return ""
        command = Command("rabbitmq-queues", "--quiet", "--timeout", "30", "check_if_node_is_quorum_critical")
        if host.test(command, timeout=60):
            return ""
        return f"Waiting with the restart of RabbitMQ on {self.host}: a queue would lose its majority."


@operation("rabbitmq.healthy")
@dataclasses.dataclass(frozen=True)
class RabbitMQIsHealthy(Gate):
    """All nodes run in one cluster, without alarms and partitions."""

    seconds: ClassVar[float] = 300.0
    every: ClassVar[float] = 3.0

    def describe(self) -> str:
        return "Wait until RabbitMQ has all its nodes"

    def fault(self, context: Context, host: Host) -> str:
        return fault_of(self.wanted(context), status_of(host))


def status_of(host: Host) -> dict[str, Any]:
    """As rabbitmqctl tells it: running_nodes, partitions, alarms; empty where the node does not answer."""
    command = Command("rabbitmqctl", "--quiet", "--timeout", "15", "cluster_status", "--formatter", "json")
    answer = host.run(command, codes=None, timeout=30)
    try:
        found = json.loads(answer.stdout)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def fault_of(wanted: Wanted, status: dict[str, Any]) -> str:
    """What is missing to a whole cluster, in words; "" where nothing is."""
    if not status:
        return "Waiting for RabbitMQ: it does not answer yet."
    nodes = [rabbitmq.node_name(each) for each in wanted.layout.having(Part.QUEUE)]
    if missing := [node for node in nodes if node not in status.get("running_nodes", [])]:
        return f"Waiting for quorum of RabbitMQ: {', '.join(missing)} does not run yet."
    if status.get("partitions"):
        return "Waiting for RabbitMQ: its nodes do not see each other (a partition)."
    if alarms := status.get("alarms"):
        return f"Waiting for RabbitMQ: it has alarms and takes no messages: {json.dumps(alarms)[:200]}"
    return ""


@operation("rabbitmq.objects")
@dataclasses.dataclass(frozen=True)
class MakeVirtualHost(HostStep):
    """Have the virtual host with quorum queues, its user, and no guest.

    By definitions, which hold a salted digest: commands that read a password from standard input wait for a terminal in RabbitMQ 4.
    """

    def describe(self) -> str:
        return "Create the virtual host of the management service and its user"

    def look(self, context: Context, host: Host) -> bool | Later:
        found = definitions_of(host)
        users = {each["name"]: each for each in found.get("users", [])}
        ours = users.get(rabbitmq.USER)
        if ours is None or "guest" in users:
            return False
        rights = [each for each in found.get("permissions", []) if each["user"] == rabbitmq.USER]
        return (
            is_hash_of(str(ours["password_hash"]), self.wanted(context).passwords.queue)
            and rabbitmq.VIRTUAL_HOST in {each["name"] for each in found.get("vhosts", [])}
            and any(each["vhost"] == rabbitmq.VIRTUAL_HOST and each["configure"] == ".*" for each in rights)
        )

    def act(self, context: Context, host: Host) -> Later | None:
        wanted = json.dumps(objects(self.wanted(context).passwords.queue))
        host.put(_DEFINITIONS, wanted.encode(), owner="rabbitmq", group="rabbitmq", mode=0o600)
        try:
            host.run(ctl("import_definitions", _DEFINITIONS), timeout=60)
        finally:
            host.run(Command("rm", "-f", _DEFINITIONS))
        if any(each["name"] == "guest" for each in definitions_of(host).get("users", [])):
            host.run(ctl("delete_user", "guest"), timeout=40)
        return None


def ctl(*words: str) -> Command:
    """A command of rabbitmqctl, which would wait for ever in a partition."""
    return Command("rabbitmqctl", "--quiet", "--timeout", "30", *words)


def definitions_of(host: Host) -> dict[str, Any]:
    """Users, virtual hosts, permissions and policies as they are."""
    found = json.loads(host.run(ctl("export_definitions", "-", "--format", "json"), timeout=40).stdout)
    return found if isinstance(found, dict) else {}


def objects(password: str) -> dict[str, Any]:
    """The definitions that are wanted. The user may look at the state of queues through the management port."""
    user, virtual_host = rabbitmq.USER, rabbitmq.VIRTUAL_HOST
    return {
        "vhosts": [
            {"name": virtual_host, "default_queue_type": "quorum", "metadata": {"default_queue_type": "quorum"}}
        ],
        "users": [
            {
                "name": user,
                "password_hash": hash_of(password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": ["monitoring"],
            }
        ],
        "permissions": [{"user": user, "vhost": virtual_host, "configure": ".*", "write": ".*", "read": ".*"}],
    }


def hash_of(password: str, salt: bytes = b"") -> str:
    """As RabbitMQ stores it: four bytes of salt, then SHA-256 of salt and password."""
    salt = salt or secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def is_hash_of(stored: str, password: str) -> bool:
    """Whether a stored digest is that of this password."""
    try:
        salt = base64.b64decode(stored)[:4]
    except ValueError:
        return False
    return hmac.compare_digest(stored, hash_of(password, salt))
