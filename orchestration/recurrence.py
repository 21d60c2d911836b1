"""When a schedule is due: rules of v3.1 (`2 weeks`, weekdays, a count) and of iCalendar as times; everything in UTC, no rows.

A rule is unrolled by a library that would count every minute since 1970, or look for a 30 February for minutes: hence its beginning
is moved up to the present where that changes nothing, and what might never match is refused.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterator
from typing import Any

from dateutil import rrule

from orchestration.errors import bad_parameters

UNITS = {
    "min": rrule.MINUTELY,
    "minute": rrule.MINUTELY,
    "h": rrule.HOURLY,
    "hour": rrule.HOURLY,
    "d": rrule.DAILY,
    "day": rrule.DAILY,
    "w": rrule.WEEKLY,
    "week": rrule.WEEKLY,
    "mo": rrule.MONTHLY,
    "month": rrule.MONTHLY,
    "y": rrule.YEARLY,
    "year": rrule.YEARLY,
}
STEPS = {rrule.MINUTELY: 60, rrule.HOURLY: 3600, rrule.DAILY: 86_400, rrule.WEEKLY: 604_800}
FREQUENCIES = {"MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
FINE = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYHOUR", "BYMINUTE", "BYMONTH"}
COARSE = FINE | {"BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"}
RECURRENCE = re.compile(r"\s*(\d{1,6})\s*([a-z]+?)s?\s*", re.IGNORECASE)
WEEKDAY = re.compile(r"\s*([1-4]|l-)?(mo|tu|we|th|fr|sa|su)\s*", re.IGNORECASE)
LONGEST_RULE, MOST_TIMES, MOST_SHOWN = 1000, 10_000, 100
HORIZON = datetime.timedelta(days=366 * 50)
EXAMPLE = "RRULE:FREQ=DAILY;INTERVAL=3"


@dataclasses.dataclass(frozen=True)
class Timing:
    """A rule and the time in which it holds."""

    rule: dict[str, Any]  # {"recurrence", "count", "weekdays"} or {"rrule"}
    since: datetime.datetime
    until: datetime.datetime | None = None

    def check(self) -> None:
        """400 for what makes no sense, with what to write instead."""
        if self.until is not None and self.until < self.since:
            raise bad_parameters(
                f"until ({self.until:%Y-%m-%d %H:%M}) is before since ({self.since:%Y-%m-%d %H:%M}): nothing would run."
            )
        self.unrolled(self.since)

    def next_after(self, moment: datetime.datetime) -> datetime.datetime | None:
        """The first time later than this; None where nothing comes any more."""
        return next(self.later_than(moment), None)

    def first(self) -> datetime.datetime | None:
        """The very first time."""
        return self.next_after(self.since - datetime.timedelta(microseconds=1))

    def upcoming(self, moment: datetime.datetime) -> list[datetime.datetime]:
        """The next times, at most MOST_SHOWN."""
        return [time for time, _ in zip(self.later_than(moment), range(MOST_SHOWN), strict=False)]

    def later_than(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        """All times later than this, in order."""
        limit = min(moment + HORIZON, self.until) if self.until is not None else moment + HORIZON
        for time in self.unrolled(moment).xafter(moment):
            if time > limit:
                return
            yield time

    def unrolled(self, moment: datetime.datetime) -> rrule.rrule:
        """The rule for the library, begun no earlier than is needed for times later than the moment."""
        if self.rule.get("rrule"):
            return of_text(self.rule["rrule"], self.since, moment)
        recurrence, count, weekdays = self.rule.get("recurrence"), self.rule.get("count"), self.rule.get("weekdays")
        check_count(count)
        if not recurrence:
            if count not in (None, 1):
                raise bad_parameters(f"To run more than once it needs a recurrence such as `2 weeks`, or an {EXAMPLE}.")
            if weekdays:
                raise bad_parameters("weekdays need a recurrence such as `1 week`.")
            return rrule.rrule(rrule.DAILY, dtstart=self.since, count=1)
        frequency, interval = read_recurrence(recurrence)
        days = [read_weekday(day, frequency) for day in weekdays or []]
        start = self.since if count else moved_up(self.since, moment, frequency, interval)
        return rrule.rrule(frequency, interval=interval, dtstart=start, count=count, byweekday=days or None)


def moved_up(since: datetime.datetime, moment: datetime.datetime, frequency: int, interval: int) -> datetime.datetime:
    """The last whole interval before the moment: a rule that begins there has the same times after it."""
    step = STEPS.get(frequency)
    if step is None or moment <= since:
        return since
    whole = datetime.timedelta(seconds=step * interval)
    return since + (moment - since) // whole * whole


def of_text(text: Any, since: datetime.datetime, moment: datetime.datetime) -> rrule.rrule:
    """A rule in iCalendar's form; it begins at `since`."""
    if not isinstance(text, str) or len(text) > LONGEST_RULE:
        raise bad_parameters(f"rrule must be a text such as {EXAMPLE}")
    parts = dict(part.partition("=")[::2] for part in text.strip().upper().removeprefix("RRULE:").split(";") if part)
    frequency = parts.get("FREQ", "")
    if frequency not in FREQUENCIES:
        raise bad_parameters(f"rrule `{text}`: FREQ must be one of {', '.join(sorted(FREQUENCIES))}, as in {EXAMPLE}")
    allowed = COARSE if frequency in ("MONTHLY", "YEARLY") else FINE
    if unknown := sorted(set(parts) - allowed):
        raise bad_parameters(
            f"rrule `{text}`: {', '.join(unknown)} cannot be used with FREQ={frequency}; there are: {', '.join(sorted(allowed))}"
        )
    try:
        interval = int(parts.get("INTERVAL", "1"))
        check_count(int(parts["COUNT"]) if "COUNT" in parts else None)
        if not 0 < interval < 1_000_000:
            raise ValueError("INTERVAL must be a number from 1 to 999999")
        start = since if "COUNT" in parts else moved_up(since, moment, getattr(rrule, frequency), interval)
        made = rrule.rrulestr(text.strip(), dtstart=start)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise bad_parameters(f"rrule `{text}` cannot be read: {error}. Write it as {EXAMPLE}") from None
    return made


def check_count(count: Any) -> None:
    """400 for a count that is none."""
    if count is not None and not 1 <= count <= MOST_TIMES:
        raise bad_parameters(
            f"count is {count}: enter how many times it shall run, at most {MOST_TIMES}, or leave it out."
        )


def read_recurrence(text: Any) -> tuple[int, int]:
    """`2 weeks`, `30 min`, `1d` as (frequency, interval)."""
    found = RECURRENCE.fullmatch(text) if isinstance(text, str) else None
    frequency = UNITS.get(found[2].lower()) if found else None
    if found is None or frequency is None or not int(found[1]):
        raise bad_parameters(
            f"`{text}` is not a legal recurrence expression. Write a number and a unit (minutes, hours, days, weeks, months, "
            "years), for example `2 weeks`."
        )
    return frequency, int(found[1])


def read_weekday(text: Any, frequency: int) -> rrule.weekday:
    """`su`, `1su` (the first of a month), `l-fr` (the last)."""
    found = WEEKDAY.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise bad_parameters(f"`{text}` is not a legal weekday expression. Write su, mo, ..., also as 1su or l-fr.")
    day: rrule.weekday = getattr(rrule, found[2].upper())
    if found[1] is None:
        return day
    if frequency not in (rrule.MONTHLY, rrule.YEARLY):
        raise bad_parameters(f"`{text}` counts weeks of a month: that needs a recurrence of months or years.")
    return day(-1 if found[1].lower() == "l-" else int(found[1]))
