"""A bundle brought to this version of the product where packages and wheels are what it needs already: nothing is fetched."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from installs.bundle import product, wheels
from installs.bundle.manifest import PRODUCT, Bundle, BundleError
from installs.packages import all_packages


def renew_product(release: str, folder: Path) -> Bundle:
    """Pack the product as it is here into the bundle. BundleError where other packages or wheels are needed as well."""
    bundle = Bundle.load(folder)
    fetch = f"Make it on a connected machine: manage.py bundle --release {release}"
    if bundle.release != release:
        raise BundleError(f"{folder} is for {bundle.release}, not for {release}. {fetch}")
    bundle.require(all_packages(release))
    if stale := [
        python for python in bundle.wheels if not wheels.is_complete(_root(), folder, python, bundle.architecture)
    ]:
        raise BundleError(f"The wheels of {folder} for Python {', '.join(stale)} are of other locks. {fetch}")
    program = product.pack(_root(), folder)
    kept = (each for each in bundle.files if not each.path.startswith(f"{PRODUCT}/"))
    renewed = dataclasses.replace(
        bundle,
        made_at=timezone.now().isoformat(timespec="seconds"),
        version=program.name.removeprefix("deployon-").removesuffix(".tar.gz"),
        files=(*kept, program),
    )
    renewed.save()
    return renewed


def _root() -> Path:
    return Path(settings.BASE_DIR)
