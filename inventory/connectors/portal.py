"""The few calls of /api/v1 that another DeployOn serves and v3.1 has no word for; all others are in `manager`."""

from __future__ import annotations

import json

from inventory.connectors.address import Address, Credential, Timeouts
from inventory.connectors.conversation import Conversation, to_json
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.policy import EndpointPolicy
from inventory.connectors.refusals import first_line, refusal
from inventory.connectors.transport import Reply


class PortalClient(Conversation):
    """A conversation with another DeployOn, by a token made there; a context manager that closes it."""

    def __init__(self, address: Address, token: str, policy: EndpointPolicy, timeouts: Timeouts | None = None) -> None:
        super().__init__(address, Credential.by_token(token), policy, timeouts)
        self._json_headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}

    def change_password(self, old: str, new: str) -> None:
        """Give the token's owner another password; ManagerError (input) with the reason where the new one is refused."""
        body = to_json({"old": old, "new": new})
        reply = self._transport.request("POST", "/api/v1/me/password/", self._json_headers, body)
        if reply.status == 400:
            said = _reason(reply).replace(new, "***").replace(old, "***")
            raise ManagerError(ErrorKind.INPUT, f"{self.address.where} does not take this password. {said}", 400)
        if not 200 <= reply.status < 300:
            raise refusal(reply, self.address, self.credential, is_write=True)


def _reason(reply: Reply) -> str:
    """What it says is wrong, or ""."""
    try:
        content = json.loads(reply.body)
    except (ValueError, RecursionError):
        return ""
    said = content.get("detail") if isinstance(content, dict) else None
    return first_line(said) if isinstance(said, str) else ""
