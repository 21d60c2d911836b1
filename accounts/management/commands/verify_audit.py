"""Checks the hash chains of the audit trail and prints their heads."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from accounts.models import AuditChain


class Command(BaseCommand):
    """`manage.py verify_audit [--chain TENANT]`; exit code 1 where an entry was changed, removed or inserted."""

    help = "Check that no entry of the audit trail was changed, removed or inserted; names the first that was, exit code 1."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--chain", help="only this one: a tenant's name, or \"\" for the installation's own")

    def handle(self, *args: Any, **options: Any) -> None:
        chains = audit.chains() if options["chain"] is None else [options["chain"]]
        found = 0
        for chain in chains:
            title = chain or "(installation)"
            faults = audit.verify(chain)
            found += len(faults)
            for fault in faults:
                self.stderr.write(f"{title}: entry {fault.sequence}: {fault.problem}")
            head = AuditChain.objects.filter(pk=chain).first()
            if not faults and head:
                self.stdout.write(f"{title}: {head.sequence} entries in order, head {head.hash}")
        if found:
            raise CommandError(
                f"The audit trail was tampered with: {found} fault{'s' if found > 1 else ''}, named above.",
                returncode=1,
            )
