"""One order, and the loop by which tests repeat a look until it has an answer."""

import io
import time

import pytest

from inventory import driver
from inventory.connectors.errors import ManagerError
from inventory.driver import Done, NotYet, Order
from tests.inventory.connectors.conftest import ARCHIVE

DIGEST = "0123456789ab" + "c" * 52
BLUEPRINT = f"shop-{DIGEST[:12]}"
ORDER = Order("shop-london", BLUEPRINT, "shop", "London", "run-1", DIGEST, {"size": 3, "word": "hi"}, "Shop in London")


def push(client, looks=0, archive=ARCHIVE):
    return driver.ensure_blueprint(client, "shop", DIGEST, lambda: io.BytesIO(archive), "blueprint.yaml", looks=looks)


def settled(look, seconds=5.0):
    """Repeat a look, as the engine does, until it no longer says not yet. `look(looks, last)`."""
    end, last, looks = time.monotonic() + seconds, None, 0
    while time.monotonic() < end:
        last = look(looks, last)
        if not isinstance(last, NotYet):
            return last
        looks += 1
        time.sleep(0.02)
    raise AssertionError(f"still {last}")


def execution_of(last):
    return last.execution_id if isinstance(last, NotYet) else ""


def roll_out(client, order=ORDER):
    """From nothing to installed."""
    assert isinstance(settled(lambda looks, _: push(client, looks)), Done)
    made = settled(lambda looks, _: driver.ensure_deployment(client, order, looks=looks, settle=False))
    if not isinstance(made, Done):
        return made
    return settled(
        lambda looks, last: driver.ensure_installed(
            client, order.deployment_id, execution_id=execution_of(last), is_new=made.is_new, looks=looks
        )
    )


def undo(client, **options):
    return settled(
        lambda looks, last: driver.remove(
            client,
            ORDER.deployment_id,
            service="shop",
            blueprint_id=BLUEPRINT,
            execution_id=execution_of(last),
            looks=looks,
            **options,
        )
    )


def words_of(call):
    with pytest.raises(ManagerError) as caught:
        call()
    return caught.value
