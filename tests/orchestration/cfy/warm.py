"""Runs `cfy` in processes that are forked from one which has loaded its libraries: loading them takes ten times as long as a call.

Run by the interpreter of `.venv-cfy`. A line of JSON on standard input asks for one call: arguments, environment, folder, and files
for its standard input, output and errors; a line with its exit status answers. What is forked loads `cloudify_cli` itself, which
reads its profile when it is loaded.
"""

import json
import os
import sys
import traceback

import aiohttp  # noqa: F401
import click  # noqa: F401
import cloudify.logs  # noqa: F401
import cloudify_rest_client.client  # noqa: F401
import dsl_parser.parser  # noqa: F401
import fabric  # noqa: F401
import networkx  # noqa: F401
import pkg_resources  # noqa: F401
import requests_toolbelt  # noqa: F401
import retrying  # noqa: F401
import yaml  # noqa: F401


def run(call):
    """The forked process: as if the program had been started by its name."""
    os.environ.clear()
    os.environ.update(call["env"])
    os.chdir(call["folder"])
    for number, (name, flags) in enumerate(
        (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY | os.O_TRUNC), ("stderr", os.O_WRONLY | os.O_TRUNC))
    ):
        os.dup2(os.open(call[name], flags), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode, closefd=False) for number, mode in enumerate("rww"))
    sys.argv = ["cfy", *call["arguments"]]
    try:
        from cloudify_cli.main import _cfy

        sys.exit(_cfy())
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        # `cfy` prints what went wrong through this hook, and ends with 1, when it is a program of its own.
        try:
            sys.excepthook(type(error), error, error.__traceback__)
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        return 1


def main():
    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = 1
            try:
                status = run(json.loads(line))
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(ended)), flush=True)


if __name__ == "__main__":
    main()
