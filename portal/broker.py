"""AMQP over TLS to one of several brokers: each is checked against the name by which it was called."""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, pyamqp


class VerifyingTransport(pyamqp.SSLTransport):
    """Kombu's own keeps the name of the first broker, so that no certificate of the second one would ever fit."""

    def establish_connection(self) -> Any:
        client: Any = self.client
        options = client.ssl if isinstance(client.ssl, dict) else {}
        client.ssl = {**options, "server_hostname": client.hostname}
        return super().establish_connection()


def register() -> None:
    """Have every address amqps://... use it."""
    TRANSPORT_ALIASES["amqps"] = f"{__name__}:{VerifyingTransport.__name__}"
