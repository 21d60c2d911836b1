"""Keeps guessing of passwords slow: counts failures per name and address. It neither knows nor tells whether a name exists."""

from __future__ import annotations

import datetime
import math
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.actors import Actor
from accounts.models import LoginFailure, User

WINDOW = datetime.timedelta(minutes=15)


class LoginThrottled(ValidationError):
    """Too many wrong passwords for this name from this address; forms show the message as it is."""

    def __init__(self, seconds: int) -> None:
        minutes = math.ceil(seconds / 60)
        super().__init__(
            f"Too many wrong passwords for this name from your address. Wait {minutes} minute{'s' if minutes != 1 else ''}, "
            "then try again.",
            code="throttled",
        )
        self.seconds = seconds


def seconds_locked(username: str, address: str) -> int:
    """How long until this name may try again from this address; 0: now."""
    recent = _failures(username, address).filter(at__gt=timezone.now() - WINDOW).order_by("-at")
    # The failure that must grow old before there are fewer than the limit.
    limiting = recent.values_list("at", flat=True)[settings.LOGIN_FAILURE_LIMIT - 1 : settings.LOGIN_FAILURE_LIMIT]
    for at in limiting:
        return max(1, math.ceil((at + WINDOW - timezone.now()).total_seconds()))
    return 0


def check_not_locked(username: str, address: str) -> None:
    """LoginThrottled where this name must wait at this address."""
    seconds = seconds_locked(username, address)
    if seconds:
        raise LoginThrottled(seconds)


def count_failure(username: str, address: str) -> None:
    """Remember one failure, and forget those that count no more."""
    LoginFailure.objects.filter(at__lte=timezone.now() - WINDOW).delete()
    LoginFailure.objects.create(username=_kept(username), address=address[:64])


def forget_failures(username: str, address: str) -> None:
    """After the right password."""
    if _failures(username, address).exists():  # a read is cheap, a delete takes the write lock
        _failures(username, address).delete()


def with_locks(users: QuerySet[User]) -> QuerySet[User]:
    """The same users, each with `is_locked`: must the name wait at any address?"""
    recent = LoginFailure.objects.filter(username=OuterRef("username"), at__gt=timezone.now() - WINDOW).order_by()
    counted = recent.values("address").annotate(failures=Count("pk")).filter(failures__gte=settings.LOGIN_FAILURE_LIMIT)
    return users.annotate(is_locked=Exists(counted))


def unlock(*, by: Actor, user: User) -> bool:
    """Let a name try again at once, from everywhere; False where it was not locked."""
    locked: Any = with_locks(User.objects.filter(pk=user.pk)).get()
    if not locked.is_locked:
        return False
    with transaction.atomic():
        LoginFailure.objects.filter(username=_kept(user.username)).delete()
        audit.record(by=by, action="user.unlock", row=user, tenant=None)
    return True


def address_of(request: HttpRequest | None) -> str:
    """Where the request came from; what a proxy says counts only where a proxy is named in the settings."""
    if request is None:
        return ""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if forwarded and getattr(settings, "SECURE_PROXY_SSL_HEADER", None):
        return str(forwarded.split(",")[-1].strip()[:64])
    return str(request.META.get("REMOTE_ADDR") or "")[:64]


def _failures(username: str, address: str) -> QuerySet[LoginFailure]:
    return LoginFailure.objects.filter(username=_kept(username), address=address[:64])


def _kept(username: str) -> str:
    return username.replace("\x00", "")[:256]
