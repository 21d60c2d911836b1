"""Brings every secret under the newest vault key; may be interrupted at any point and run again."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.db.models import Count

from accounts import audit, vault
from accounts.actors import Actor
from accounts.models import Secret


class Command(BaseCommand):
    """`manage.py rotate_vault [--new-key] [--drop-old]`. Values stay sealed: only their data keys are wrapped anew."""

    help = "Re-wrap the data keys of all secrets with the newest vault key, in batches; run it again after an interruption."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--new-key", action="store_true", help="first put a fresh key into DATA_DIR/vault.keys")
        parser.add_argument(
            "--drop-old", action="store_true", help="at the end forget the keys in that file that nothing needs"
        )
        parser.add_argument("--batch", type=int, default=100, help="secrets per transaction")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["new_key"]:
                self.stdout.write(
                    f"New key {vault.add_key_to_file()} is first in the file. Copy the file to every host of this installation."
                )
            newest = vault.newest_key_id()
            done, damaged = self.rewrap_all(newest, max(1, options["batch"]))
            self.report(newest, done, damaged, drop_old=options["drop_old"])
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error

    def rewrap_all(self, newest: str, batch: int) -> tuple[int, list[str]]:
        """(how many were re-wrapped, what did not open)."""
        done, last = 0, None
        damaged: list[str] = []
        while True:
            waiting = Secret.objects.exclude(key_id=newest).order_by("pk")
            rows = list((waiting.filter(pk__gt=last) if last else waiting)[:batch])
            if not rows:
                return done, damaged
            last = rows[-1].pk
            with transaction.atomic():
                for row in rows:
                    try:
                        ciphertext, key_id = vault.rewrap(row.pk, bytes(row.ciphertext), row.key_id)
                    except vault.VaultError as error:
                        damaged.append(str(error))
                        continue
                    # Not if somebody gave it a new value meanwhile: that one is under the newest key already.
                    same = Secret.objects.filter(pk=row.pk, ciphertext=bytes(row.ciphertext))
                    done += same.update(ciphertext=ciphertext, key_id=key_id)

    def report(self, newest: str, done: int, damaged: list[str], *, drop_old: bool) -> None:
        """Say what was done and what is left; CommandError where something is."""
        if done:
            by = Actor(user=None, via="command")
            audit.record_about(
                by=by,
                action="vault.rotate",
                object_type="vault",
                object_id=newest,
                after={"key": newest, "secrets": done},
            )
        left = dict(Secret.objects.exclude(key_id=newest).values_list("key_id").annotate(n=Count("pk")).order_by())
        self.stdout.write(f"{done} secrets re-wrapped with key {newest}; {sum(left.values())} left.")
        for key_id, count in left.items():
            self.stdout.write(f"  {count} still need key {key_id}: keep it.")
        for line in damaged:
            self.stderr.write(line)
        unused = set(vault.known_key_ids()) - {newest} - set(left)
        if unused and drop_old:
            vault.drop_from_file(unused)
            self.stdout.write(f"Dropped {', '.join(sorted(unused))}. Backups made before today need the old file.")
        elif unused:
            self.stdout.write(f"No secret here needs {', '.join(sorted(unused))} any more; older backups do.")
        if left:
            raise CommandError(
                "Some secrets were not re-wrapped. Replace their values or restore their key, then run this again."
            )
