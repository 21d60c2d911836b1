"""The main job, end to end, on this machine: a central portal, three sub-managers, one service rolled out to all of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from portal.demo.installations import DemoError
from portal.demo.play import play


class Command(BaseCommand):
    """`DEMO_PORT=8000 DEMO_EXIT=1 manage.py demo`; DEMO_DIR names another folder than var."""

    help = "Start four installations, roll one service out to three of them, and keep running until Ctrl-C (DEMO_EXIT=1: end with the rollout)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--prepare",
            action="store_true",
            help="make this installation's database and administrator; password on standard input",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["prepare"]:
            call_command("migrate", verbosity=0, interactive=False)
            call_command("first_admin", password_stdin=True)
            return
        try:
            port = int(os.environ.get("DEMO_PORT") or 8000)
        except ValueError:
            raise CommandError("DEMO_PORT is a port number: the demo uses it and the three after it.") from None
        console = Console() if sys.stdout.isatty() else Console(width=200)  # a file or a pipe has no edge
        try:
            root = Path(os.environ.get("DEMO_DIR") or settings.BASE_DIR / "var").resolve()
            has_succeeded = play(root, port, ends=os.environ.get("DEMO_EXIT") == "1", console=console)
        except DemoError as error:
            raise CommandError(str(error)) from None
        sys.exit(0 if has_succeeded else 1)
