"""The password check of pages and admin, with a throttle."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from accounts import throttle


class ThrottledBackend(ModelBackend):
    """Checks name and password; raises LoginThrottled, which a sign-in form shows, where that name must wait.

    ModelBackend itself spends the time of a hash on unknown names, so that time does not tell which exist.
    """

    def authenticate(  # type: ignore[override]  # the stubs know no user model but Django's own
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> AbstractBaseUser | None:
        if not username or password is None:
            return None
        address = throttle.address_of(request)
        throttle.check_not_locked(username, address)
        user = super().authenticate(request, username=username.replace("\x00", ""), password=password, **kwargs)
        if user is None:
            throttle.count_failure(username, address)
        else:
            throttle.forget_failures(username, address)
        return user
