"""Fetching a file from an address that somebody names: redirects, limits, forbidden addresses, and where the login goes."""

from __future__ import annotations

import pytest

from inventory.connectors.errors import ManagerError
from inventory.connectors.fetching import fetch, without_login
from inventory.connectors.policy import EndpointPolicy
from tests.orchestration.serving import shelf

LOGIN = ("octo", "ghp_SECRET_0123456789")


@pytest.fixture
def files():
    with shelf() as running:
        yield running


LOOPBACK = EndpointPolicy.of(["127.0.0.1/32"])


def test_a_redirect_is_followed_and_the_login_is_not_sent_to_another_host(files):
    files.put("/end.zip", b"content")
    files.moved["/start"] = "/end.zip"
    url = files.url.replace("http://", f"http://{LOGIN[0]}:{LOGIN[1]}@")
    found = fetch(f"{url}/start", LOOPBACK)
    assert (found.content, found.file_name) == (b"content", "end.zip")
    assert [bool(said) for _, said in files.asked] == [True, True]
    with shelf() as other:
        other.put("/far.zip", b"far")
        files.moved["/away"] = f"{other.url}/far.zip"
        assert fetch(f"{url}/away", LOOPBACK).content == b"far"
        assert other.asked == [("/far.zip", "")]


def test_an_endless_chain_and_too_large_a_file_and_a_forbidden_address_are_refused(files):
    files.moved["/loop"] = "/loop"
    files.put("/large", b"x" * 5000)
    files.moved["/metadata"] = "http://169.254.169.254/latest"
    for path, words in (("/loop", "without an end"), ("/large", "larger than"), ("/metadata", "must not call")):
        with pytest.raises(ManagerError, match=words):
            fetch(f"{files.url}{path}", LOOPBACK, most_bytes=1000)
    with pytest.raises(ManagerError, match="must not call"):
        fetch(f"{files.url}/large", EndpointPolicy())


@pytest.mark.parametrize(
    "url", ["", "app.zip", "file:///etc/passwd", "http://", "https://host:abc/x", "https://ho st/x"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ManagerError):
        fetch(url, LOOPBACK)


def test_an_address_is_shown_without_what_is_secret_in_it():
    assert without_login("https://u:t0ken@host:8443/a/b.zip?sig=x#y") == "https://host:8443/a/b.zip"
