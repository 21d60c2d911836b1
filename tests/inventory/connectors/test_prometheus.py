"""Asking a Prometheus: over TLS by the cluster's CA, with a password, for a few seconds at most; and why there is no answer."""

import time

import pytest

from inventory.connectors.address import Timeouts
from inventory.connectors.policy import EndpointPolicy
from inventory.connectors.prometheus import PrometheusError, ask, read
from inventory.doubles.certificates import Authority
from tests.inventory.prometheus_double import PASSWORD, Cluster

HOST = "127.0.0.11"


@pytest.fixture(scope="module")
def servers():
    with Cluster() as found:
        yield found


def refusal(call, *args):
    with pytest.raises(PrometheusError) as caught:
        call(*args)
    return str(caught.value)


def test_samples_come_with_name_labels_and_value(servers):
    found = ask(HOST, "up", servers.access())
    assert len(found) > 50
    up = next(sample for sample in found if sample.name == "up" and sample.get("instance") == "127.0.0.1:9100")
    assert (up.value, up.get("job"), up.get("no such label")) == (1.0, "node", "")


def test_a_wrong_password_is_said(servers):
    assert "does not take the password" in refusal(ask, HOST, "up", servers.access(password="wrong"))


def test_a_certificate_of_another_authority_is_refused(servers):
    assert "does not vouch for" in refusal(ask, HOST, "up", servers.access(authority=Authority().pem))


def test_nobody_there_is_said(servers):
    assert refusal(ask, HOST, "up", servers.access(port=1)) == "refuses connections: it is not running"


def test_a_server_that_hangs_is_given_up_in_time(servers):
    servers.silent = {"c1"}
    began = time.monotonic()
    try:
        access = servers.access(timeouts=Timeouts(connect=0.5, read=0.5))
        assert refusal(ask, HOST, "up", access) == "does not answer in time"
    finally:
        servers.silent = set()
    assert time.monotonic() - began < 2


def test_an_address_that_may_not_be_called_is_not_called(servers):
    before = len(servers.asked)
    assert "ENDPOINT_NETWORKS" in refusal(ask, HOST, "up", servers.access(policy=EndpointPolicy()))
    assert len(servers.asked) == before


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"null", b'{"status": "success"}', b'{"status": "success", "data": {"resultType": "matrix", "result": []}}',
        b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}}',
        b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "x"]}]}}',
        b'{"status": "error", "error": "too slow"}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_list_of_samples_is_an_error_in_words(body):
    assert refusal(read, 200, body).startswith("answers 200")


def test_the_password_is_printed_nowhere(servers):
    access = servers.access()
    assert PASSWORD not in repr(access) and "BEGIN" not in repr(access)


def test_no_number_is_not_taken_for_one():
    sample = (
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"a"},"value":[1,"NaN"]}]}}'
    )
    assert read(200, sample)[0].value != read(200, sample)[0].value
