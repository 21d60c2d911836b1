"""Makes the first system administrator of an installation; does nothing where there is one."""

from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts import services
from accounts.actors import Actor
from accounts.errors import Conflict
from accounts.models import SystemRole, User
from accounts.passwords import one_time_password


class Command(BaseCommand):
    """`manage.py first_admin [--username admin] [--password-stdin | --check]`."""

    help = "Make the first system administrator and print the one-time password once; does nothing where there is one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", default="admin")
        parser.add_argument(
            "--password-stdin", action="store_true", help="read a lasting password from standard input instead"
        )

        parser.add_argument(
            "--check",
            action="store_true",
            help="change nothing; exit code 1 where there is no system administrator yet",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["check"]:
            if not User.objects.filter(role=SystemRole.SYS_ADMIN).exists():
                raise CommandError("There is no system administrator yet. Run this command without --check.")
            return
        name = options["username"]
        given = sys.stdin.readline().rstrip("\n") if options["password_stdin"] else ""
        if options["password_stdin"] and not given:
            raise CommandError("Standard input is empty: write the password there, one line.")
        password = given or one_time_password()
        with transaction.atomic():
            if User.objects.filter(role=SystemRole.SYS_ADMIN).exists():
                self.stdout.write("There is a system administrator already; nothing was changed.")
                return
            try:
                services.create_user(
                    by=Actor(user=None, via="command"),
                    username=name,
                    password=password,
                    role=SystemRole.SYS_ADMIN,
                    must_change_password=not given,
                )
            except (ValidationError, Conflict) as error:
                raise CommandError("; ".join(getattr(error, "messages", None) or [str(error)])) from error
        if given:
            self.stdout.write(f"System administrator {name} was made.")
        else:
            self.stdout.write(
                f"First administrator: {name}\nOne-time password:   {password}\nIt is not shown again and must be changed at the first sign-in."
            )
