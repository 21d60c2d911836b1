"""A bundle brought to this version of the product without a network, where that is all it lacks."""

import dataclasses

import pytest
from django.conf import settings as configured
from django.core.management import CommandError, call_command

from installs.bundle import wheels
from installs.bundle.manifest import Bundle, place_of
from installs.bundle.product import version_of
from installs.packages import all_packages
from tests.installs.bundles import make_bundle


@pytest.fixture
def bundle(settings, tmp_path):
    """Complete but for the product, which is another version's; where this installation looks for it."""
    settings.DATA_DIR = tmp_path
    made = make_bundle(place_of("trixie"))
    for python in made.wheels:
        wheels._stamp(made.folder, python).write_text(wheels._wanted(configured.BASE_DIR, made.architecture))
    whole = dataclasses.replace(made, names=tuple(all_packages("trixie")))
    whole.save()
    return whole


def test_the_product_is_brought_to_this_version_and_nothing_else_is_touched(bundle):
    call_command("bundle", "--product")
    renewed = Bundle.load(bundle.folder)
    renewed.verify()
    assert renewed.version == version_of(configured.BASE_DIR) != bundle.version
    assert [each for each in renewed.files if "product" not in each.path] == [
        each for each in bundle.files if "product" not in each.path
    ]
    assert [path.name for path in (bundle.folder / "product").iterdir()] == [f"deployon-{renewed.version}.tar.gz"]


def test_one_that_lacks_a_package_is_not_enough(bundle):
    dataclasses.replace(bundle, names=("greeter",)).save()
    with pytest.raises(CommandError, match=r"lacks .*Make it again"):
        call_command("bundle", "--product")


def test_one_with_wheels_of_other_locks_is_not_enough(bundle):
    wheels._stamp(bundle.folder, "3.11").write_text("other locks")
    with pytest.raises(CommandError, match=r"for Python 3.11 are of other locks. Make it on a connected machine"):
        call_command("bundle", "--product")
    assert Bundle.load(bundle.folder).version == bundle.version
