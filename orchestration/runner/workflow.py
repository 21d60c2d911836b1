"""The workflow process: runs the library's workflow functions; no script of a blueprint ever runs here."""

from __future__ import annotations

import logging
import socket
from typing import Any

from cloudify import dispatch
from cloudify.workflows import api

from . import dispatcher, patches, updating  # noqa: F401  (found by its name once the child is shut in)
from .wire import Message, Pipe


def on_command(message: Message) -> None:
    """What the portal says besides answers."""
    if message.get("t") == "cancel":
        api.set_cancel_request()
    elif message.get("t") == "result":
        dispatcher.deliver(message)


def run(sock: socket.socket, job: dict[str, Any]) -> None:
    """Run the workflow that `job` names, to its end, and say `done`."""
    logging.getLogger().addHandler(logging.NullHandler())
    logging.raiseExceptions = False
    pipe = Pipe(sock, on_command)
    patches.use_pipe(pipe)
    pipe.start()
    context = {
        "type": "workflow",
        "local": False,
        "wait_after_fail": 600,
        "local_task_thread_pool_size": 2,
        "rest_token": None,
        "rest_host": ["portal"],
        "rest_port": 0,
        **job["context"],
    }
    handler = dispatch.WorkflowHandler(cloudify_context=context, args=[], kwargs=dict(job["parameters"]))
    try:
        handler.handle()
    except BaseException as error:
        pipe.send({"t": "done", "error": f"{type(error).__name__}: {error}"[:4000]})
    else:
        pipe.send({"t": "done", "error": None})
