"""A double of a remote manager for the tests of rollouts."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.test import Client
from rest_framework.test import APIClient

from deployon import operations, sessions, work
from inventory.doubles import ManagerDouble
from tests import factories
from tests.runs.drive import drive as drive_runs


@pytest.fixture
def double(settings) -> Iterator[ManagerDouble]:
    """One double; every environment that a test makes is a tenant of it."""
    settings.ENDPOINT_NETWORKS = ["127.0.0.1/32"]
    with ManagerDouble() as running:
        yield running
    sessions.forget()
    work.forget()
    operations._JUST_MADE.clear()


@pytest.fixture
def drive_until():
    """Carries on with whatever is due until `condition()` holds."""

    def until(condition, seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it never came to that"
            drive_runs()
            time.sleep(0.02)

    return until


@pytest.fixture
def drive():
    """Carries a rollout to its end: `drive(rollout)`; returns it fresh from the database."""

    def to_the_end(rollout, seconds: float = 20.0):
        rollout.refresh_from_db()
        drive_runs(rollout.run, seconds)
        rollout.refresh_from_db()
        return rollout

    return to_the_end


@pytest.fixture
def signed_in():
    """`signed_in(alice)`: a browser with her session."""

    def sign_in(user) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def api_of():
    """`api_of(alice)`: a program with a token of hers."""

    def enter(user) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {factories.token(user)}")
        return client

    return enter
