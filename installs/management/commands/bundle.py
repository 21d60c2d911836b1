"""`manage.py bundle`: fetches all that hosts without a route out are built from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from installs.bundle.making import make_bundle
from installs.bundle.manifest import Bundle, BundleError, place_of
from installs.bundle.renewing import renew_product
from installs.rendering.values import RELEASES


class Command(BaseCommand):
    help = (
        "Fetches every Debian package and every wheel that the hosts of clusters need, with apt-get and pip from this machine's "
        "own sources. Without --out into the folder where this installation looks for it; else copy it there."
    )
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--release", choices=sorted(RELEASES), default="trixie", help="the Debian release of the hosts"
        )
        parser.add_argument("--out", type=Path, help="the folder to make it in (DATA_DIR/bundles/RELEASE)")
        parser.add_argument("--architecture", default="", help="of the hosts: amd64, arm64 (that of this machine)")
        parser.add_argument(
            "--check", action="store_true", help="fetches nothing: reads the files again, compares digests"
        )

        parser.add_argument(
            "--product",
            action="store_true",
            help="fetches nothing: brings the product inside to this version, where that is all",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        folder = options["out"] or place_of(options["release"])
        try:
            if options["check"]:
                bundle = Bundle.load(folder)
                bundle.verify()
            elif options["product"]:
                bundle = renew_product(options["release"], folder)
            else:
                bundle = make_bundle(options["release"], folder, self.stdout.write, options["architecture"])
        except BundleError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{folder}: {len(bundle.files)} files, {bundle.size / 1024 / 1024:.0f} MB, for {bundle.release} {bundle.architecture}."
        )
