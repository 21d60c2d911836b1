"""Who works on clusters in tests, and what an install needs of this installation."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from installs.bundle.manifest import place_of
from installs.bundle.product import FILES, version_of
from tests import factories as people
from tests.installs import factories
from tests.installs.bundles import make_bundle
from tests.installs.serving import ask, at, browser, ready, real, running  # noqa: F401  (fixtures)


@pytest.fixture
def mara(acme):
    """A manager of acme, as actor."""
    return people.actor(factories.manager(acme))


@pytest.fixture
def bundle(settings, tmp_path):
    """A bundle for Debian 13 of this product, cut down to the files of its root: what the tests are about is whether versions agree."""
    settings.DATA_DIR, root = tmp_path / "data", tmp_path / "product"
    root.mkdir()
    for name in FILES:
        shutil.copy(settings.BASE_DIR / name, root)
    settings.BASE_DIR = root
    place_of("trixie").mkdir(parents=True)
    made = dataclasses.replace(make_bundle(place_of("trixie")), version=version_of(root))
    made.save()
    return made
