"""Who asks, in tests of the engine."""

import pytest

from accounts.actors import Actor
from accounts.models import User


@pytest.fixture
def by_alice(db):
    return Actor(user=User.objects.get_or_create(username="alice-of-runs")[0], via="page")
