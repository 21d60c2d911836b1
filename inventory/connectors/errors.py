"""What can go wrong with a remote manager, as one exception with a kind; how an answer is classified lives in `refusals`."""

from __future__ import annotations

from enum import StrEnum


class ErrorKind(StrEnum):
    """What a caller can do about a failure: the class decides, the message explains."""

    UNREACHABLE = "unreachable"  # no answer at all: name, network, TLS, time: try again later
    CREDENTIAL = "credential"  # 401 and 403: somebody must change a credential, a tenant or a role; never retried
    CONFLICT = "conflict"  # it is there already, or something depends on it: compare, then decide
    INPUT = "input"  # what was asked for is wrong and will be wrong again
    GONE = "gone"  # 404: it does not exist there
    BUSY = "busy"  # right, but not now: maintenance, another execution is running: try again later
    BROKEN = "broken"  # an answer that no manager should give: 500, a web page, half a reply, a wrong shape


class ManagerError(Exception):
    """One failed conversation with a remote manager, told in words that a user may read.

    `message` says what happened and what to do, and never holds a secret. `status` and `error_code` are the wire's, where
    there was an answer. `is_unknown` marks a write whose outcome nobody knows (no answer, half an answer, or a 5xx):
    look the thing up by its id before doing anything else.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        status: int | None = None,
        error_code: str = "",
        *,
        is_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.error_code = error_code
        self.is_unknown = is_unknown

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.kind, self.message, self.status, self.error_code, self.is_unknown)

    @property
    def is_transient(self) -> bool:
        """Whether trying again later, unchanged, may help."""
        return self.kind in (ErrorKind.UNREACHABLE, ErrorKind.BUSY) or (
            self.kind is ErrorKind.BROKEN and (self.status is None or self.status >= 500)
        )


def _rebuild(kind: ErrorKind, message: str, status: int | None, error_code: str, is_unknown: bool) -> ManagerError:
    return ManagerError(kind, message, status, error_code, is_unknown=is_unknown)
