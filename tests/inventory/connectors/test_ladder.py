"""The connection ladder: where it stops, what it says, what it warns of."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from inventory.connectors.address import Address, Credential, Timeouts, Trust
from inventory.connectors.errors import ErrorKind
from inventory.connectors.ladder import climb, climb_iter
from inventory.connectors.policy import EndpointPolicy
from inventory.connectors.rungs import RungState
from inventory.doubles import Account, Authority, Fault, FaultKind, ManagerDouble, refused_port
from inventory.doubles.server import default_authority
from tests.inventory.connectors.conftest import ALICE, BOB, LOOPBACK

KEYS = ["name", "tcp", "tls", "http", "version", "credential", "tenant", "role"]
QUICK = Timeouts(connect=1.0, read=0.5)


def states(result):
    return {rung.key: rung.state for rung in result.rungs}


def assert_stopped(result, key, words):
    """It failed at that rung, in these words, with a remedy; what is below passed, what is above was not tried."""
    at = KEYS.index(key)
    rung = result.failed_rung
    assert rung is not None and rung.key == key, result.rungs
    assert words in f"{rung.detail} {rung.remedy}"
    assert rung.detail and rung.remedy
    assert not result.is_ready
    assert all(each.state is not RungState.FAILED for each in result.rungs[:at])
    assert all(each.state is RungState.NOT_TRIED for each in result.rungs[at + 1 :])
    assert [each.key for each in result.rungs] == KEYS


def test_a_good_manager_is_climbed_to_the_top(secure):
    result = climb(secure.address(), ALICE, LOOPBACK)
    assert result.is_ready
    assert set(states(result).values()) == {RungState.PASSED}
    assert result.fingerprint.replace(":", "").lower() == secure.certificate.fingerprint
    assert abs(result.certificate_expires_at - secure.certificate.expires_at).total_seconds() < 1
    assert (result.version, result.edition) == ("7.1.0.dev1", "community")
    assert "TLSv1.3" in result.rungs[2].detail and "DeployOn test authority" in result.rungs[2].detail
    assert result.warnings == ()
    assert [path.partition("?")[0] for _, path, *_ in secure.requests] == [
        "/ok",
        "/version",
        "/user",
        "/tokens/alice",
        "/deployments",
    ]


def test_the_rungs_can_be_watched_one_by_one(double):
    double.faults = [Fault(FaultKind.SLOW, path="/version", seconds=0.3)]
    began, seen = time.monotonic(), []
    for rung in climb_iter(double.address(), ALICE, LOOPBACK):
        seen.append((rung.key, time.monotonic() - began))
    assert [key for key, _ in seen] == KEYS
    assert dict(seen)["http"] < 0.25 < dict(seen)["version"]


@pytest.mark.parametrize(
    ("endpoint", "policy", "words"),
    [("nosuch.invalid", LOOPBACK, "is not known"), ("127.0.0.1", EndpointPolicy(), "ENDPOINT_NETWORKS")],
)
def test_it_stops_at_the_name(endpoint, policy, words):
    assert_stopped(climb(Address(endpoint, 443), ALICE, policy), "name", words)


def test_it_stops_at_a_refused_port():
    assert_stopped(climb(Address("127.0.0.1", refused_port()), ALICE, LOOPBACK), "tcp", "no manager listens there")


@pytest.mark.parametrize(
    ("certificate", "trust", "words"),
    [
        (lambda: default_authority().issue(days=-1), None, "expired"),
        (lambda: default_authority().issue(("other.example",)), None, "another name"),
        (lambda: Authority().issue(), None, "CA bundle"),
        (lambda: default_authority().issue(), Trust.pinned("ab" * 32), "not the pinned one"),
    ],
)
def test_it_stops_at_a_wrong_certificate_and_still_tells_its_fingerprint(certificate, trust, words):
    leaf = certificate()
    with ManagerDouble(leaf) as double:
        result = climb(double.address(trust=trust), ALICE, LOOPBACK)
        assert_stopped(result, "tls", words)
        assert result.fingerprint.replace(":", "").lower() == leaf.fingerprint
        assert result.certificate_expires_at is not None
        assert not double.requests
        pinned = climb(double.address(trust=Trust.pinned(result.fingerprint)), ALICE, LOOPBACK)
        assert pinned.is_ready


def test_it_stops_where_there_is_no_tls(double):
    result = climb(Address("127.0.0.1", double.port), ALICE, LOOPBACK, QUICK)
    assert_stopped(result, "tls", "choose protocol http")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (FaultKind.NOT_HTTP, "not in HTTP"),
        (FaultKind.HANG, "did not answer in time"),
        (FaultKind.BAD_GATEWAY, "REST service"),
        (FaultKind.MAINTENANCE, "maintenance"),
        (FaultKind.REDIRECT, "redirects are not followed"),
        (FaultKind.RESET, "closed the connection"),
    ],
)
def test_it_stops_at_http(double, fault, words):
    double.faults = [Fault(fault)]
    assert_stopped(climb(double.address(), ALICE, LOOPBACK, QUICK), "http", words)


@pytest.mark.parametrize("fault", [FaultKind.HTML, FaultKind.WRONG_SHAPE, FaultKind.HALF_REPLY])
def test_it_stops_at_the_version_of_what_is_no_manager(double, fault):
    double.faults = [Fault(fault, path="/version")]
    result = climb(double.address(), ALICE, LOOPBACK)
    assert_stopped(result, "version", "")
    assert result.error_kind is ErrorKind.BROKEN


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("5.0.5", RungState.FAILED),
        ("4.6", RungState.FAILED),
        ("5.1.0", RungState.PASSED),
        ("6.4.2", RungState.PASSED),
        ("7.0.5", RungState.PASSED),
        ("8.0.0", RungState.WARNED),
        ("nightly", RungState.WARNED),
    ],
)
def test_versions_from_5_1_to_7_are_supported(version, state):
    with ManagerDouble(version=version) as double:
        result = climb(double.address(), ALICE, LOOPBACK)
        assert states(result)["version"] is state
        assert result.is_ready == (state is not RungState.FAILED)


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        (Credential.by_password("alice", "wrong-password"), "user and password"),
        (Credential.by_token("ctok-no-such"), "does not know this token"),
    ],
)
def test_it_stops_at_a_wrong_credential_which_is_shown_only_once(double, credential, words):
    result = climb(double.address(), credential, LOOPBACK)
    assert_stopped(result, "credential", words)
    assert result.error_kind is ErrorKind.CREDENTIAL
    assert double.count("GET", "/version") == 1
    assert double.count("GET", "/user") == 0


def test_it_stops_at_an_unknown_tenant(double):
    assert_stopped(climb(double.address("nosuch"), ALICE, LOOPBACK), "tenant", "has no tenant nosuch")


def test_it_stops_at_a_tenant_without_a_role_there(double):
    double.add_account(Account("nora", tenants={}, token="ctok-nora-token"))
    result = climb(double.address(), Credential.by_token("ctok-nora-token"), LOOPBACK)
    assert_stopped(result, "tenant", "Give it the role user or manager")


def test_it_stops_at_a_role_that_is_too_low(double):
    result = climb(double.address(), BOB, LOOPBACK)
    assert_stopped(result, "role", "viewer in tenant acme")


def test_a_role_of_its_own_making_is_only_warned_of(double):
    double.add_account(Account("dora", tenants={"acme": "deployer"}, token="ctok-dora-token"))
    double.gate._by_token["ctok-dora-token"].role_in = lambda tenant: "user"
    result = climb(double.address(), Credential.by_token("ctok-dora-token"), LOOPBACK)
    assert result.is_ready
    assert states(result)["role"] is RungState.WARNED


def test_a_manager_that_only_counts_tenants_leaves_the_role_open(double, monkeypatch):
    answer = Account.answer
    monkeypatch.setattr(Account, "answer", lambda self, *, with_data: answer(self, with_data=False))
    result = climb(double.address(), ALICE, LOOPBACK)
    assert result.is_ready
    assert "does not tell our roles" in result.rungs[-1].detail


def test_an_administrator_of_all_is_sufficient_everywhere(double):
    result = climb(double.address(), Credential.by_password("admin", "admin-password"), LOOPBACK)
    assert result.is_ready
    assert "sys_admin" in result.rungs[-1].detail


def test_plain_http_is_warned_of_and_has_no_tls_rung(double):
    result = climb(double.address(), ALICE, LOOPBACK)
    assert result.is_ready
    assert states(result)["tls"] is RungState.NOT_TRIED
    assert [rung.key for rung in result.warnings] == ["http"]
    assert "clear text" in result.warnings[0].remedy


def test_insecure_trust_is_warned_of(secure):
    result = climb(secure.address(trust=Trust.insecure("a lab")), ALICE, LOOPBACK)
    assert result.is_ready
    assert "not verified" in result.warnings[0].remedy


@pytest.mark.parametrize(("days", "words"), [(10, "expires in"), (-2, "has expired")])
def test_a_certificate_near_its_end_is_warned_of(days, words):
    leaf = default_authority().issue(days=days)
    trust = Trust.pinned(leaf.fingerprint) if days < 0 else None
    with ManagerDouble(leaf) as double:
        result = climb(double.address(trust=trust), ALICE, LOOPBACK)
        assert result.is_ready
        assert words in result.warnings[0].remedy


@pytest.mark.parametrize(("skew", "words"), [(300, "ahead of"), (-300, "behind"), (10, "")])
def test_a_clock_that_is_wrong_is_warned_of(skew, words):
    with ManagerDouble(default_authority().issue(), clock_skew=skew) as double:
        result = climb(double.address(), ALICE, LOOPBACK)
        assert result.is_ready
        assert (words in result.rungs[3].detail) if words else result.warnings == ()
        assert bool(result.warnings) == bool(words)


def test_no_rung_ever_shows_a_secret(double):
    for credential in (ALICE, Credential.by_password("alice", "wrong-password")):
        assert not any(secret in repr(climb(double.address(), credential, LOOPBACK)) for secret in credential.secrets)


@pytest.mark.parametrize(
    ("until", "is_warned"),
    [({"days": 3}, True), ({"hours": 5}, True), ({"days": 30}, False), (None, False)],
)
def test_a_token_that_ends_soon_is_a_warning_and_when_it_ends_is_kept(double, until, is_warned):
    ends_at = datetime.now(UTC) + timedelta(**until) if until else None
    text = f"{ends_at:%Y-%m-%dT%H:%M:%S}.000Z" if ends_at else ""
    token = "ctok-till-0123456789"
    double.add_account(Account("till", "pw-of-till", {"acme": "user"}, token=token, token_until=text))
    result = climb(double.address(), Credential.by_token(token), LOOPBACK)
    assert result.is_ready and (
        result.token_expires_at == ends_at.replace(microsecond=0) if ends_at else not result.token_expires_at
    )
    assert ("credential" in {rung.key for rung in result.warnings}) is is_warned
    assert is_warned is any("token expires" in rung.remedy for rung in result.rungs)


@pytest.mark.parametrize("reply", ["nonsense", "2030-13-99"])
def test_a_manager_that_tells_no_end_or_nonsense_is_climbed_all_the_same(double, reply):
    token = "ctok-odd-0123456789"
    double.add_account(Account("odd", "pw-of-odd", {"acme": "user"}, token=token, token_until=reply))
    assert climb(double.address(), Credential.by_token(token), LOOPBACK).token_expires_at is None
    double.faults = [Fault(FaultKind.ERROR, path="/tokens")]
    result = climb(double.address(), Credential.by_token(token), LOOPBACK)
    assert result.is_ready and result.token_expires_at is None
