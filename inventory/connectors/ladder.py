"""The connection ladder: how far this portal gets with a remote manager, rung by rung, each failure with its remedy."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from inventory.connectors.address import Address, Credential, Timeouts, TrustMode
from inventory.connectors.certificate import Peer, shake_hands
from inventory.connectors.errors import ErrorKind, ManagerError
from inventory.connectors.manager import ManagerClient
from inventory.connectors.policy import EndpointPolicy, Place, resolve
from inventory.connectors.replies import Version
from inventory.connectors.rungs import TITLES, Climb, Finding, Rung, RungState
from inventory.connectors.sockets import dial, explain_no_connection
from inventory.connectors.token_expiry import expiry_of, warning_of

OLDEST_VERSION, NEWEST_MAJOR = (5, 1), 7
SUFFICIENT_ROLES = frozenset(("user", "manager", "sys_admin"))
KNOWN_ROLES = SUFFICIENT_ROLES | {"operations", "viewer", "default"}
EXPIRY_WARNING = timedelta(days=30)
SKEW_WARNING_SECONDS = 60


def climb(address: Address, credential: Credential, policy: EndpointPolicy, timeouts: Timeouts | None = None) -> Climb:
    """Climb the whole ladder; stops at the first failure, the rungs above it are not tried."""
    climber = Climber(address, credential, policy, timeouts)
    for _ in climber.rungs():
        pass
    return climber.result


def climb_iter(
    address: Address, credential: Credential, policy: EndpointPolicy, timeouts: Timeouts | None = None
) -> Iterator[Rung]:
    """The same, rung by rung as they are known; use a `Climber` where the result is wanted as well."""
    yield from Climber(address, credential, policy, timeouts).rungs()


class Climber:
    """One climb under way: iterate `rungs()`, then read `result`."""

    def __init__(
        self, address: Address, credential: Credential, policy: EndpointPolicy, timeouts: Timeouts | None = None
    ) -> None:
        self._address = address
        self._policy = policy
        self._timeouts = timeouts or Timeouts(connect=5.0, read=10.0)
        self._client = ManagerClient(address, credential, policy, self._timeouts)
        self._rungs: list[Rung] = []
        self._places: tuple[Place, ...] = ()
        self._peer: Peer | None = None
        self._version: Version | None = None
        self._token_expires_at: datetime | None = None
        self._refused: ManagerError | None = None
        self._error_kind: ErrorKind | None = None

    @property
    def result(self) -> Climb:
        peer, version = self._peer, self._version
        return Climb(
            tuple(self._rungs),
            fingerprint=peer.fingerprint if peer else "",
            certificate_expires_at=peer.expires_at if peer else None,
            token_expires_at=self._token_expires_at,
            version=version.version if version else "",
            edition=version.edition if version else "",
            error_kind=self._error_kind,
        )

    def rungs(self) -> Iterator[Rung]:
        """Each rung as soon as it is known."""
        steps: dict[str, Callable[[], Finding]] = {
            "name": self._resolve,
            "tcp": self._connect,
            "tls": self._secure,
            "http": self._speak,
            "version": self._ask_version,
            "credential": self._present_credential,
            "tenant": self._enter_tenant,
            "role": self._weigh_role,
        }
        has_failed = False
        with self._client:
            for key, step in steps.items():
                if has_failed:
                    rung = Rung(key, TITLES[key], RungState.NOT_TRIED)
                elif key == "tls" and not self._address.is_tls:
                    rung = Rung(key, TITLES[key], RungState.NOT_TRIED, "The protocol is http, which has none.")
                else:
                    rung = self._try(key, step)
                has_failed = has_failed or rung.state is RungState.FAILED
                self._rungs.append(rung)
                yield rung

    def _try(self, key: str, step: Callable[[], Finding]) -> Rung:
        began = time.monotonic()
        try:
            found = step()
        except ManagerError as error:
            self._error_kind = error.kind
            detail, remedy = _split(error.message)
            return Rung(key, TITLES[key], RungState.FAILED, detail, _since(began), remedy)
        state = RungState.WARNED if found.remedies else RungState.PASSED
        return Rung(key, TITLES[key], state, found.detail, _since(began), " ".join(found.remedies))

    def _resolve(self) -> Finding:
        self._places = resolve(self._address.endpoint, self._address.port, self._policy)
        return Finding(", ".join(dict.fromkeys(place.ip for place in self._places)))

    def _connect(self) -> Finding:
        try:
            sock = dial(self._places, self._timeouts.connect)
        except OSError as error:
            raise ManagerError(ErrorKind.UNREACHABLE, explain_no_connection(error, self._address.where)) from None
        with sock:
            return Finding(f"{sock.getpeername()[0]} port {self._address.port} answers.")

    def _secure(self) -> Finding:
        self._peer, refusal = shake_hands(self._address, self._places, self._timeouts.connect)
        if refusal is not None:
            raise refusal
        peer = self._peer
        if peer is None:
            raise ManagerError(
                ErrorKind.BROKEN, f"{self._address.where} showed no certificate. Check its TLS settings."
            )
        found = Finding(
            f"{peer.tls_version}, certificate of {peer.issuer}, valid until {peer.expires_at:%Y-%m-%d}, "
            f"SHA-256 {peer.fingerprint}."
        )
        left = peer.expires_at - datetime.now(UTC)
        if left < timedelta(0):
            found.remedies.append("The certificate has expired. Renew it at the manager.")
        elif left < EXPIRY_WARNING:
            found.remedies.append(f"The certificate expires in {left.days} days. Renew it at the manager before then.")
        if self._address.trust.mode is TrustMode.INSECURE:
            found.remedies.append(
                "The certificate is not verified, so anybody in between can read and change what is sent. Pin this "
                "fingerprint after comparing it at the manager."
            )
        return found

    def _speak(self) -> Finding:
        reply = self._client.ok()
        if reply.status in (429, 502, 503, 504) or 300 <= reply.status < 400:
            raise self._client.refuse(reply)
        found = Finding(f"Answers in HTTP (status {reply.status} for /api/v3.1/ok).")
        if not self._address.is_tls:
            found.remedies.append(
                "Plain http: the credential and every secret cross the network in clear text. Use https at the manager."
            )
        skew = _skew(reply.headers.get("Date", ""))
        if skew is not None and abs(skew) > SKEW_WARNING_SECONDS:
            found.detail += f" Its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours."
            found.remedies.append("Set both clocks by NTP: tokens, certificates and logs depend on the time.")
        return found

    def _ask_version(self) -> Finding:
        try:
            self._version = self._client.version()
        except ManagerError as error:
            if error.status != 401:
                raise
            self._refused = error  # not asked a second time: repeated failures lock accounts
            return Finding("Not known yet.", ["A manager tells its version only to an account that it accepts."])
        return self._judge_version(self._version)

    def _judge_version(self, version: Version) -> Finding:
        text = f"{version.version} ({version.edition})" if version.edition else version.version
        numbers = version.numbers
        supported = f"{OLDEST_VERSION[0]}.{OLDEST_VERSION[1]} to {NEWEST_MAJOR}.x"
        if numbers is None:
            return Finding(
                text, [f"This version cannot be judged; supported are {supported}. Try with one service first."]
            )
        if numbers < OLDEST_VERSION:
            raise ManagerError(
                ErrorKind.INPUT,
                f"The manager's version {text} is too old; supported are {supported}. Update the manager.",
            )
        if numbers[0] > NEWEST_MAJOR:
            return Finding(text, [f"Newer than what was tried ({supported}). Try with one service first."])
        return Finding(text)

    def _present_credential(self) -> Finding:
        if self._refused is not None:
            raise self._refused
        self._whoami = self._client.whoami()
        self._token_expires_at = expiry_of(self._client)
        found = Finding(f"We are {self._whoami.username} there.")
        found.remedies += filter(None, [warning_of(self._token_expires_at)])
        return found

    def _enter_tenant(self) -> Finding:
        count = self._client.count_deployments()
        return Finding(f"{self._address.tenant}, with {count} deployment{'' if count == 1 else 's'}.")

    def _weigh_role(self) -> Finding:
        tenant = self._address.tenant
        roles = self._whoami.roles_in(tenant)
        if self._whoami.system_roles & SUFFICIENT_ROLES:
            return Finding(f"{', '.join(sorted(self._whoami.system_roles & SUFFICIENT_ROLES))}, everywhere.")
        if roles is None:
            return Finding(
                "The manager does not tell our roles.",
                [f"Make sure that the account has the role user or manager in tenant {tenant}; nothing was tried out."],
            )
        if roles & SUFFICIENT_ROLES:
            return Finding(f"{', '.join(sorted(roles & SUFFICIENT_ROLES))} in {tenant}.")
        names = ", ".join(sorted(roles - {"default"})) or "no role"
        if roles - KNOWN_ROLES:
            return Finding(
                f"{names} in {tenant}.",
                ["This role is not a standard one; it must allow blueprint uploads and deployments."],
            )
        raise ManagerError(
            ErrorKind.CREDENTIAL,
            f"The account has {names} in tenant {tenant}, too little to upload blueprints and create deployments. Give it "
            "the role user or manager in that tenant.",
        )


def _split(message: str) -> tuple[str, str]:
    """(what happened, what to do) of an error's words: the first sentence, and the others."""
    first, gap, rest = re.sub(r"\s+", " ", message).partition(". ")
    return (first + "." if gap else first), rest


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _skew(date: str) -> float | None:
    """Seconds by which the other clock is ahead, from a Date header; None where there is none."""
    try:
        return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
