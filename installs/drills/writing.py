"""The counter of a drill: the program that writes it apart from the portal, how it is started, and what it says."""

from __future__ import annotations

import json
import shlex
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounts.errors import Conflict
from installs.entrance import ADMINISTRATOR, PATIENCE, password_of, where_of, words_of
from installs.models import Drill
from installs.rendering import management
from inventory.connections import address_for, opened, read_target
from inventory.connectors.address import Address
from inventory.connectors.errors import ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import policy_from_settings
from inventory.connectors.replies import Token
from inventory.connectors.ssh import Command, Hidden, Host
from inventory.layout import Layout
from runs.operations import Context, OperationError

PROGRAM = Path(__file__).parent / "on_host" / "writer.py"
CLIENTS, PAUSE = 4, 1.0  # four clients, each a write a second
SECONDS = 1200  # it ends by itself, whoever has forgotten it
TOKEN_LASTS = "+45 min"  # noqa: S105  (a time)
ENOUGH = 12  # writes before anything is broken
# Program as an argument, settings by standard input: they hold a token.
_SCRIPT = """
exec {python} -c {program} {sign} <<'SETTINGS'
{settings}
SETTINGS
"""


@dataclass(frozen=True)
class Said:
    """What the program has said until now."""

    acknowledged: int = 0
    quiet: float = 0.0  # seconds since the last one
    result: dict[str, Any] | None = None  # of the writes, once it has ended
    messages: dict[str, Any] | None = None  # of the messages, where they were counted
    last_words: str = ""  # what it said that is no JSON: why it broke

    @classmethod
    def read(cls, output: str, before: Said) -> Said:
        """`output`: whole lines that came after those of `before`."""
        now = before
        for line in output.splitlines():
            try:
                told = json.loads(line)
            except ValueError:
                told = None
            if not isinstance(told, dict):
                now = cls(now.acknowledged, now.quiet, now.result, now.messages, line.strip()[:300] or now.last_words)
            elif "result" in told:
                result = told["result"]
                now = cls(int(result["acknowledged"]), now.quiet, result, told.get("messages"), now.last_words)
            else:
                now = cls(int(told["acknowledged"]), float(told["quiet"]), None, None, now.last_words)
        return now


def unit_of(drill: Drill, what: str) -> str:
    """Name of what runs on a host for this drill; another one for every drill of this and any other installation."""
    return f"deployon-drill-{drill.pk}-{int(drill.created_at.timestamp() * 1000):x}-{what}"


def sign_of(drill: Drill) -> str:
    """The file whose being there tells the program to end."""
    return f"/run/{unit_of(drill, 'writer')}.end"


def prefix_of(drill: Drill) -> str:
    """Begins the names of the secrets, and is that of the queue."""
    return f"drill-{drill.pk}-{int(drill.created_at.timestamp()):x}-"


def start(context: Context, host: Host, drill: Drill, layout: Layout) -> None:
    """Have the program at work on `host`, with a token of its own that ends by itself. OperationError where nobody lets us in."""
    address = _entrance(drill)
    token = _token(drill, address)
    settings = {
        "address": _resolved(address),
        "name": address.endpoint,
        "port": address.port,
        "tenant": address.tenant,
        "ca": address.trust.ca_bundle,
        "token": context.hide(token.value),
        "token_id": token.id,
        "prefix": prefix_of(drill),
        "clients": CLIENTS,
        "pause": PAUSE,
        "seconds": SECONDS,
        "counts_messages": drill.kind == Drill.Kind.QUEUE,
        "environment": management.ENVIRONMENT,
        "struck": layout.host(drill.host).private_address,
    }
    script = _SCRIPT.format(
        python=f"{management.HOME}/.venv/bin/python",
        program=shlex.quote(PROGRAM.read_text()),
        sign=sign_of(drill),
        settings=json.dumps(settings),
    )
    host.start(unit_of(drill, "writer"), Hidden(script))


def tell_to_end(host: Host, drill: Drill) -> None:
    """It stops writing, reads back, takes away what it wrote, and says its result."""
    host.run(Command("touch", sign_of(drill)))


def forget(host: Host, drill: Drill) -> None:
    """Once it has ended nothing of it stays on the host."""
    host.forget(unit_of(drill, "writer"))
    host.run(Command("rm", "-f", sign_of(drill)))


def _entrance(drill: Drill) -> Address:
    try:
        return address_for(read_target(where_of(drill.cluster)))
    except Conflict as error:
        raise OperationError(str(error), cause="entrance") from None


def _token(drill: Drill, address: Address) -> Token:
    """Made at the cluster by its administrator."""
    try:
        credential = opened(username=ADMINISTRATOR, password=password_of(drill.cluster))
        with ManagerClient(address, credential, policy_from_settings(), PATIENCE) as client:
            return client.mint_token(f"DeployOn: drill {drill.pk}", TOKEN_LASTS)
    except Conflict as error:
        raise OperationError(str(error), cause="entrance") from None
    except ManagerError as error:
        raise OperationError(
            f"Nothing was broken: the counter cannot be written. {words_of(error, address.where)}",
            cause=str(error.kind),
        ) from None


def _resolved(address: Address) -> str:
    """By the portal: the hosts themselves may not know the name by which users reach them."""
    try:
        return str(socket.getaddrinfo(address.endpoint, address.port, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise OperationError(
            f"Nothing was broken: {address.endpoint} is no address that this portal knows: {error}", cause="entrance"
        ) from None
