"""The operation process: one operation of one node instance, a script of the blueprint, then the end."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import sys
from typing import Any

from cloudify import dispatch, exceptions
from cloudify.error_handling import serialize_known_exception

from . import patches
from .output import cut
from .wire import Message, Pipe

ERROR_LIMIT = 65_536


def run(sock: socket.socket, job: dict[str, Any]) -> None:
    """Run the operation of `job["kwargs"]` and say `done` with its result or error."""
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger("ctx").propagate = False
    logging.raiseExceptions = False
    pipe = Pipe(sock, lambda message: None)
    patches.use_pipe(pipe)
    pipe.start()
    _limit_log_lines()
    kwargs = dict(job["kwargs"])
    context = kwargs.pop("__cloudify_context")
    handler = dispatch.OperationHandler(cloudify_context=context, args=[], kwargs=kwargs)
    pipe.send(_outcome(handler))


def _outcome(handler: Any) -> Message:
    try:
        result = handler.handle()
        try:
            json.dumps(result)
        except (TypeError, ValueError):
            raise exceptions.NonRecoverableError(
                f"The operation returned a value that is not JSON serializable: {type(result).__name__}"
            ) from None
    except dispatch._WrappedTaskError as error:
        return {"t": "done", "error": _with_cause(serialize_known_exception(error.wrapped_exc, error.wrapped_tb))}
    except BaseException as error:
        return {"t": "done", "error": _with_cause(serialize_known_exception(error))}
    return {"t": "done", "error": None, "result": result}


def _with_cause(payload: dict[str, Any]) -> dict[str, Any]:
    """The error text of the workflow is built from the causes: add ours. Own paths and endless texts stay out."""
    payload["message"] = cut(str(payload["message"]), ERROR_LIMIT)
    if payload.get("traceback"):
        payload["traceback"] = cut(
            str(payload["traceback"]).replace(sys.prefix, "").replace(os.getcwd(), ""), ERROR_LIMIT
        )
    cause = {"message": payload["message"], "type": payload["exception_type"], "traceback": payload.get("traceback")}
    payload["known_exception_type_kwargs"].setdefault("causes", []).append(cause)
    return payload


def _limit_log_lines() -> None:
    """A log message of a script is cut here already; the portal would end a process that sends too long a line."""
    original = logging.LogRecord.getMessage

    def short_message(record: logging.LogRecord) -> str:
        with contextlib.suppress(TypeError, ValueError):
            return cut(original(record))
        return cut(str(record.msg))

    logging.LogRecord.getMessage = short_message  # type: ignore[method-assign,assignment]
