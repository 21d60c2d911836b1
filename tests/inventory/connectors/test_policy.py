"""Which addresses may be called."""

import ipaddress
import socket

import pytest

from inventory.connectors import policy
from inventory.connectors.address import Address
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.policy import EndpointPolicy, policy_from_settings, resolve
from tests.inventory.connectors.conftest import ALICE

DANGEROUS = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.1.1", "100.100.100.200", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "ff02::1", "fd00:ec2::254", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "fec0::1",
]  # fmt: skip


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_dangerous_address_is_refused_unless_its_network_is_named(text):
    ip = ipaddress.ip_address(text)
    assert not EndpointPolicy().allows(ip)
    assert EndpointPolicy.of([f"{text}/{ip.max_prefixlen}"]).allows(ip)


@pytest.mark.parametrize(
    "text", ["10.0.0.5", "192.168.1.1", "93.184.216.34", "2001:4860::1", "fd12::1", "64:ff9b::808:808"]
)
def test_an_ordinary_address_is_allowed(text):
    assert EndpointPolicy().allows(ipaddress.ip_address(text))


@pytest.mark.parametrize("spelling", ["127.1", "2130706433", "0x7f000001", "localhost", "[::1]"])
def test_other_spellings_of_this_machine_are_refused_too(spelling):
    try:
        endpoint = Address(spelling).endpoint
    except ValueError:
        return
    with pytest.raises(ManagerError) as caught:
        resolve(endpoint, 443, EndpointPolicy())
    assert caught.value.kind in (ErrorKind.INPUT, ErrorKind.UNREACHABLE)


def answers(*ips):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ips]


def test_one_bad_address_among_good_ones_refuses_the_name(monkeypatch):
    monkeypatch.setattr(policy.socket, "getaddrinfo", lambda *a, **k: answers("93.184.216.34", "169.254.169.254"))
    with pytest.raises(ManagerError) as caught:
        resolve("manager.example.com", 443, EndpointPolicy())
    assert caught.value.kind is ErrorKind.INPUT
    assert "169.254" not in caught.value.message
    assert "ENDPOINT_NETWORKS" in caught.value.message


def test_a_name_that_changes_its_answer_between_check_and_use_gains_nothing(double, monkeypatch, connect):
    asked = []

    def flip(host, *args, **kwargs):
        asked.append(host)
        return answers("127.0.0.1") if len(asked) == 1 else answers("10.255.255.1")

    monkeypatch.setattr(policy.socket, "getaddrinfo", flip)
    client = connect(Address("manager.test", double.port, "http", "acme"), ALICE)
    real = policy.Place
    monkeypatch.setattr(policy, "Place", lambda family, sockaddr: real(family, (sockaddr[0], double.port)))
    assert client.version().version == "7.1.0.dev1"
    assert client.whoami().username == "alice"
    assert asked == ["manager.test"]


def test_an_unknown_name_says_so():
    with pytest.raises(ManagerError) as caught:
        resolve("nosuch.invalid", 443, EndpointPolicy())
    assert caught.value.kind is ErrorKind.UNREACHABLE
    assert "nosuch.invalid" in caught.value.message


def test_the_policy_of_the_installation_is_a_setting(settings):
    settings.ENDPOINT_NETWORKS = ["127.0.0.1/32"]
    assert policy_from_settings().allows(ipaddress.ip_address("127.0.0.1"))
    settings.ENDPOINT_NETWORKS = []
    assert not policy_from_settings().allows(ipaddress.ip_address("127.0.0.1"))


def test_a_network_that_is_none_is_named():
    with pytest.raises(ValueError, match="everywhere"):
        EndpointPolicy.of(["everywhere"])
