"""The cast that every test knows, as fixtures."""

from __future__ import annotations

import pytest

from accounts.models import Tenant, User
from tests import factories


@pytest.fixture
def acme(db) -> Tenant:
    """The tenant of Alice and Bob."""
    return factories.tenant("acme")


@pytest.fixture
def other(db) -> Tenant:
    """The tenant of Charlie."""
    return factories.tenant("other")


@pytest.fixture
def admin(db) -> User:
    """A system administrator."""
    return factories.admin()


@pytest.fixture
def alice(acme) -> User:
    """Role user in acme."""
    return factories.alice()


@pytest.fixture
def bob(acme) -> User:
    """Viewer in acme."""
    return factories.bob()


@pytest.fixture
def charlie(other) -> User:
    """Role user in the tenant other."""
    return factories.charlie()
