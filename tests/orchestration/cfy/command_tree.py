"""Prints every command of `cfy` as JSON; run by the interpreter of `.venv-cfy`."""

import json

import click
from cloudify_cli import env

env.is_manager_active = lambda: True  # a number of commands are there only with a manager in use

from cloudify_cli import main  # noqa: E402


def leaves(command, path=()):
    if isinstance(command, click.Group):
        for name in command.list_commands(None):
            yield from leaves(command.get_command(None, name), (*path, name))
    else:
        yield " ".join(path)


if __name__ == "__main__":
    print(json.dumps(sorted(leaves(main._cfy))))
