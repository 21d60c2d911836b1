"""The bad days that the double can have, and which requests they hit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What goes wrong."""

    HANG = "hang"  # the request is taken, no answer ever comes
    DRIP = "drip"  # the answer comes one byte at a time
    SLOW = "slow"  # the answer comes after `seconds`
    HTML = "html"  # a web page with status 200
    BAD_GATEWAY = "bad_gateway"  # 502 and a web page, as a proxy says when the service behind it is down
    MAINTENANCE = "maintenance"  # 503 in JSON
    HALF_REPLY = "half_reply"  # the connection ends in the middle of the body
    RESET = "reset"  # the connection ends before any answer; nothing was done
    LOST_AFTER_WRITE = "lost_after_write"  # the work is done, then the connection ends
    ERROR_AFTER_WRITE = "error_after_write"  # the work is done, then 500
    ERROR = "error"  # 500, nothing was done
    UNAUTHORIZED = "unauthorized"  # 401
    FORBIDDEN = "forbidden"  # 403, the tenant is closed to this account
    WRONG_SHAPE = "wrong_shape"  # JSON, but of another program
    HUGE = "huge"  # an endless body
    REDIRECT = "redirect"  # 302 to another host
    NOT_HTTP = "not_http"  # bytes that are no HTTP


@dataclass
class Fault:
    """One bad day: what happens, to which requests, and how often (`times`; None: always)."""

    kind: FaultKind
    method: str = ""
    path: str = ""  # the beginning of the path after /api/v3.1
    tenant: str = ""
    times: int | None = None
    seconds: float = 0.0

    def hits(self, method: str, path: str, tenant: str) -> bool:
        """Whether this request is struck; counts down."""
        if self.times == 0 or (self.method and self.method != method) or (self.tenant and self.tenant != tenant):
            return False
        if not path.startswith(self.path):
            return False
        if self.times is not None:
            self.times -= 1
        return True
