"""Members of one installation as processes on PostgreSQL and RabbitMQ: how they start together, and what they say without their database."""

import base64
import os
import secrets
import threading

import pytest
import requests

from tests.services import postgres

BEHIND_PROXY = {"X-Forwarded-Proto": "https"}


@pytest.fixture
def shape(postgres_url, rabbitmq_url):
    """The settings that all members share."""
    return {
        "DEPLOYON_MODE": "member",
        "PUBLIC_URL": "https://portal.example.com",
        "ALLOWED_HOSTS": "portal.example.com,127.0.0.1",
        "TRUST_PROXY_HEADER": "true",
        "DATABASE_URL": postgres_url,
        "BROKER_URL": rabbitmq_url,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "VAULT_KEYS": base64.b64encode(os.urandom(32)).decode(),
    }


def get(member, path, **headers):
    return requests.get(member.url + path, headers=BEHIND_PROXY | headers, timeout=60, allow_redirects=False)


def test_members_that_start_at_once_on_an_empty_database_prepare_it_one_after_the_other(spawn, shape):
    started = []

    def start(name):
        started.append(spawn(["up", "--port", "{port}", "--no-workers"], env=shape, name=name))

    threads = [threading.Thread(target=start, args=(name,)) for name in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 3
    assert {get(member, "/readyz").status_code for member in started} == {200}
    assert sum("One-time password" in member.log() for member in started) == 1


def test_a_member_without_its_database_says_so_and_is_not_ready(spawn, shape):
    member = spawn(["up", "--port", "{port}", "--no-workers"], env=shape | {"DATABASE_WAIT": "2"})
    assert get(member, "/login/").status_code == 200
    postgres.drop_database(shape["DATABASE_URL"])

    assert get(member, "/healthz").status_code == 200
    ready = get(member, "/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    api = get(member, "/api/v1/environments/", Authorization=f"Token ctok-{'a' * 10}-{'b' * 43}")
    assert (api.status_code, api.headers["Retry-After"]) == (503, "5")
    assert "The database of this installation did not answer" in api.json()["detail"]
    page = get(member, "/environments/", Cookie="deployon_session=0123456789abcdef0123456789abcdef")
    assert (page.status_code, "did not answer" in page.text) == (503, True)


def test_a_member_does_not_start_without_its_database(spawn, shape):
    postgres.drop_database(shape["DATABASE_URL"])
    with pytest.raises(
        RuntimeError, match=r"ended with 1(?s:.*)look whether it runs, and whether DATABASE_URL is right"
    ):
        spawn(["up", "--port", "{port}", "--no-workers"], env=shape | {"DATABASE_WAIT": "2"})
