"""Addresses, trust and credentials: what is taken, what is refused, what never shows."""

import pickle

import pytest

from inventory.connectors.address import Address, Credential, Trust
from inventory.connectors.errors import ErrorKind, ManagerError


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Manager.Example.COM", "manager.example.com"),
        (" 10.0.0.5 ", "10.0.0.5"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_an_endpoint_is_kept_as_the_network_spells_it(typed, kept):
    assert Address(typed).endpoint == kept


@pytest.mark.parametrize(
    "typed", ["", "https://manager", "manager/api", "me@manager", "two words", "a\r\nHost: b", "-x-.example", "a" * 300]
)
def test_an_endpoint_that_is_no_host_is_refused(typed):
    with pytest.raises(ValueError):
        Address(typed)


@pytest.mark.parametrize(
    "wrong",
    [{"port": 0}, {"port": 70000}, {"protocol": "ftp"}, {"tenant": ""}, {"tenant": "a\r\nX: b"}, {"tenant": "ü"}],
)
def test_an_address_refuses_what_cannot_be_sent(wrong):
    with pytest.raises(ValueError):
        Address("manager", **wrong)


def test_a_fingerprint_is_taken_with_and_without_colons_and_only_whole():
    assert Trust.pinned("AB:" * 31 + "AB") == Trust.pinned("ab" * 32)
    with pytest.raises(ValueError):
        Trust.pinned("ab" * 20)


def test_insecure_needs_a_reason_and_a_bundle_needs_a_certificate():
    with pytest.raises(ValueError):
        Trust.insecure("  ")
    with pytest.raises(ValueError):
        Trust.bundle("hello")


def test_a_credential_never_prints_its_values():
    for credential in (Credential.by_token("ctok-1-s3cretvalue"), Credential.by_password("alice", "s3cretvalue")):
        assert "s3cret" not in repr(credential)
        assert "s3cret" not in str(credential)


@pytest.mark.parametrize("value", ["", "ctok\r\nX-Other: 1", "tökén"])
def test_a_token_that_no_header_can_carry_is_refused_without_repeating_it(value):
    with pytest.raises(ValueError) as caught:
        Credential.by_token(value)
    assert not value or value not in str(caught.value)


def test_a_credential_is_one_of_both_and_whole():
    for wrong in (
        {},
        {"token": "a", "username": "b", "password": "c"},
        {"username": "b"},
        {"username": "a:b", "password": "c"},
    ):
        with pytest.raises(ValueError):
            Credential(**wrong)


def test_an_error_survives_the_way_through_a_task_queue():
    error = ManagerError(ErrorKind.BUSY, "words", 503, "maintenance_mode_active", is_unknown=True)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.kind, copy.message, copy.status, copy.error_code, copy.is_unknown) == (
        ErrorKind.BUSY, "words", 503, "maintenance_mode_active", True,
    )  # fmt: skip
