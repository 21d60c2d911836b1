"""What a script prints, line by line into the log, with bounds on the length of a line and on what is kept."""

from __future__ import annotations

import threading
from typing import Any

from cloudify.state import current_ctx

LINE_LIMIT = 16_384
KEPT_LIMIT = 65_536
JOIN_SECONDS = 1.0


def cut(text: str, limit: int = LINE_LIMIT) -> str:
    """The text, or its beginning and how much is missing."""
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text) - limit} more characters)"


class CappedConsumer:
    """Stands in for cloudify.utils.OutputConsumer, which keeps all output and sends a line of any length as one message."""

    def __init__(self, out: Any, logger: Any, prefix: str, ctx: Any = None) -> None:
        self.out = out
        self.output: list[str] = []
        self.logger = logger
        self.prefix = prefix
        self.ctx = ctx
        self._kept = 0
        self._lines = 0
        self._is_reading = False
        self.consumer = threading.Thread(target=self.consume_output, daemon=True)
        self.consumer.start()

    def consume_output(self) -> None:
        """Read until the script closes its end."""
        with current_ctx.push(self.ctx):
            self._consume()

    def _consume(self) -> None:
        while raw := self._read():
            dropped = 0
            if not raw.endswith(b"\n"):
                while (more := self.out.readline(1 << 20)) and not more.endswith(b"\n"):
                    dropped += len(more)
                dropped += len(more)
            line = raw.decode("utf-8", "replace")
            text = line.rstrip("\r\n")
            if dropped or len(text) > LINE_LIMIT:
                text = f"{text[:LINE_LIMIT]}... ({max(len(text) - LINE_LIMIT, 0) + dropped} more characters)"
                line = text + "\n"
            self._keep(line)
            self.logger.info("%s%s", self.prefix, text)
        self.out.close()

    def _read(self) -> bytes:
        self._is_reading = True
        raw: bytes = self.out.readline(LINE_LIMIT * 4)
        self._is_reading = False
        return raw

    def _keep(self, line: str) -> None:
        """The last lines, for the error text of a failed script."""
        self._lines += 1
        self.output.append(line)
        self._kept += len(line)
        while self._kept > KEPT_LIMIT and len(self.output) > 1:
            self._kept -= len(self.output.pop(0))

    def join(self) -> None:
        """Wait for the end of the output, but not for a silent process in the background that holds it: that ends with the operation."""
        seen = -1
        # A consumer that is not reading waits for the portal to take a line: that is no silence.
        while self.consumer.is_alive() and (seen != self._lines or not self._is_reading):
            seen = self._lines
            self.consumer.join(JOIN_SECONDS)
