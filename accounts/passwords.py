"""Checking passwords for the ways in that send one with every request, and making one-time passwords."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import string
import threading
import time
from collections import OrderedDict
from enum import StrEnum

from django.contrib.auth.hashers import check_password, make_password

from accounts import throttle
from accounts.models import User

REMEMBERED_SECONDS = 60.0
REMEMBERED_AT_MOST = 4096


class LoginFault(StrEnum):
    """Why a name and password were refused; an unknown name is told from a wrong password by nobody."""

    WRONG = "wrong"
    THROTTLED = "throttled"
    MUST_CHANGE = "must_change"


class LoginRefused(Exception):
    """Name and password were refused; the message may be shown."""

    def __init__(self, fault: LoginFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class _Memory:
    """Proofs of right passwords, for up to a minute, in this process only."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def proof(self, user: User, password: str) -> bytes:
        # The stored hash is part of it: when the password changes, what was remembered fits no more.
        told = b"\x00".join([str(user.pk).encode(), user.password.encode(), password.encode()])
        return hmac.digest(self._key, told, hashlib.sha256)

    def knows(self, proof: bytes) -> bool:
        with self._lock:
            return self._until.get(proof, 0.0) > time.monotonic()

    def keep(self, proof: bytes) -> None:
        with self._lock:
            self._until[proof] = time.monotonic() + REMEMBERED_SECONDS
            self._until.move_to_end(proof)
            while len(self._until) > REMEMBERED_AT_MOST:
                self._until.popitem(last=False)


_memory = _Memory()


def check_password_cached(user: User, password: str) -> bool:
    """As `user.check_password`, whose hash costs some 50 ms of processor, but a success counts for a minute in this process."""
    proof = _memory.proof(user, password)
    if _memory.knows(proof):
        return True
    if not check_password(password, user.password):
        return False
    _memory.keep(proof)
    return True


def user_of_password(username: str, password: str, address: str) -> User:
    """The active user of a name and password that came with a request (Basic); LoginRefused otherwise. Throttled as pages are."""
    user = User.objects.filter(username=username.replace("\x00", "")).first()
    if user is not None and _memory.knows(_memory.proof(user, password)):
        return _usable(user)
    try:
        throttle.check_not_locked(username, address)
    except throttle.LoginThrottled as locked:
        raise LoginRefused(LoginFault.THROTTLED, locked.messages[0]) from None
    if user is None:
        make_password(password)  # as long as a check takes: the time tells nobody which names exist
    if user is None or not check_password_cached(user, password) or not user.is_active:
        throttle.count_failure(username, address)
        raise LoginRefused(LoginFault.WRONG, "Wrong user name or password, or the account is switched off.")
    throttle.forget_failures(username, address)
    return _usable(user)


def _usable(user: User) -> User:
    if not user.is_active:
        raise LoginRefused(LoginFault.WRONG, "Wrong user name or password, or the account is switched off.")
    if user.must_change_password:
        raise LoginRefused(
            LoginFault.MUST_CHANGE,
            "This is a one-time password. Sign in to the pages with it once and choose your own.",
        )
    return user


def one_time_password() -> str:
    """24 letters and digits, without those that are read for each other."""
    letters = "".join(set(string.ascii_letters + string.digits) - set("0O1lI"))
    return "".join(secrets.choice(letters) for _ in range(24))
