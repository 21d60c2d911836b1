"""When schedules are due: units, weekdays, counts, ends, iCalendar rules, and that no rule takes long to unroll."""

from __future__ import annotations

import datetime
import itertools
import time

import pytest

from orchestration.errors import Refused
from orchestration.recurrence import Timing

UTC = datetime.UTC
MONDAY = datetime.datetime(2030, 1, 7, 8, 30, tzinfo=UTC)


def shown(rule, count=4, since=MONDAY, until=None, after=None):
    timing = Timing(rule, since, until)
    timing.check()
    found = timing.later_than(after or since - datetime.timedelta(seconds=1))
    return [f"{moment:%y-%m-%d %H:%M}" for moment in itertools.islice(found, count)]


@pytest.mark.parametrize(
    ("rule", "times"),
    [
        ({}, ["30-01-07 08:30"]),
        ({"count": 1}, ["30-01-07 08:30"]),
        ({"recurrence": "30 min"}, ["30-01-07 08:30", "30-01-07 09:00", "30-01-07 09:30", "30-01-07 10:00"]),
        ({"recurrence": "5 hours", "count": 2}, ["30-01-07 08:30", "30-01-07 13:30"]),
        ({"recurrence": "1d", "count": 2}, ["30-01-07 08:30", "30-01-08 08:30"]),
        ({"recurrence": "2 weeks", "count": 2}, ["30-01-07 08:30", "30-01-21 08:30"]),
        ({"recurrence": "1 month", "count": 2}, ["30-01-07 08:30", "30-02-07 08:30"]),
        ({"recurrence": "1 year", "count": 2}, ["30-01-07 08:30", "31-01-07 08:30"]),
        (
            {"recurrence": "1 week", "weekdays": ["tu", "FR"], "count": 3},
            ["30-01-08 08:30", "30-01-11 08:30", "30-01-15 08:30"],
        ),
        ({"recurrence": "1 day", "weekdays": ["sa"], "count": 2}, ["30-01-12 08:30", "30-01-19 08:30"]),
        (
            {"recurrence": "1 month", "weekdays": ["1su", "l-fr"], "count": 3},
            ["30-01-25 08:30", "30-02-03 08:30", "30-02-22 08:30"],
        ),
        ({"rrule": "RRULE:FREQ=DAILY;INTERVAL=3;COUNT=2"}, ["30-01-07 08:30", "30-01-10 08:30"]),
        ({"rrule": "FREQ=MONTHLY;BYDAY=-1FR;COUNT=2"}, ["30-01-25 08:30", "30-02-22 08:30"]),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=1"}, ["32-02-29 08:30"]),
    ],
)
def test_rules_as_times(rule, times):
    assert shown(rule, len(times)) == times


def test_an_end_cuts_a_rule_off():
    until = MONDAY + datetime.timedelta(days=1)
    assert shown({"recurrence": "1 day"}, until=until) == ["30-01-07 08:30", "30-01-08 08:30"]
    assert shown({"rrule": "FREQ=DAILY"}, until=until) == ["30-01-07 08:30", "30-01-08 08:30"]


@pytest.mark.parametrize(
    "rule",
    [
        {"recurrence": "7 min"},
        {"recurrence": "5 hours", "weekdays": ["mo", "th"]},
        {"recurrence": "3 days"},
        {"recurrence": "2 weeks", "weekdays": ["tu", "su"]},
        {"rrule": "FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,WE"},
        {"rrule": "FREQ=HOURLY;INTERVAL=7"},
    ],
)
def test_a_rule_that_began_long_ago_has_the_times_that_it_always_had(rule):
    """Its beginning is moved up; counted from the true beginning the times are the same."""
    late = MONDAY + datetime.timedelta(days=40, hours=3)
    whole = Timing(rule | ({"count": 10_000} if "rrule" not in rule else {}), MONDAY)
    if "rrule" in rule:
        whole = Timing({"rrule": rule["rrule"] + ";COUNT=10000"}, MONDAY)
    counted = [time for time in whole.later_than(MONDAY) if time > late][:5]
    assert list(itertools.islice(Timing(rule, MONDAY).later_than(late), 5)) == counted
    assert len(counted) == 5


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ({"recurrence": "sometimes"}, "legal recurrence"),
        ({"recurrence": "0 days"}, "legal recurrence"),
        ({"recurrence": "2 parsecs"}, "legal recurrence"),
        ({"recurrence": 5}, "legal recurrence"),
        ({"recurrence": "1 day", "count": 0}, "count is 0"),
        ({"recurrence": "1 day", "count": 10_001}, "at most 10000"),
        ({"count": 3}, "needs a recurrence"),
        ({"weekdays": ["mo"]}, "need a recurrence"),
        ({"recurrence": "1 week", "weekdays": ["noday"]}, "legal weekday"),
        ({"recurrence": "1 week", "weekdays": ["2mo"]}, "months or years"),
        ({"recurrence": "1 month", "weekdays": ["5mo"]}, "legal weekday"),
        ({"rrule": "FREQ=SECONDLY"}, "FREQ must be"),
        ({"rrule": "every day"}, "FREQ must be"),
        ({"rrule": "FREQ=DAILY;BYMONTHDAY=30"}, "BYMONTHDAY"),
        ({"rrule": "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30"}, "BYMONTHDAY"),
        ({"rrule": "FREQ=DAILY;DTSTART=19700101"}, "DTSTART"),
        ({"rrule": "FREQ=DAILY;INTERVAL=x"}, "cannot be read"),
        ({"rrule": "FREQ=DAILY;INTERVAL=0"}, "cannot be read"),
        ({"rrule": "FREQ=DAILY\nRRULE:FREQ=MINUTELY"}, "FREQ must be"),
        ({"rrule": "FREQ=HOURLY;INTERVAL=2;BYHOUR=1"}, "cannot be read"),
        ({"rrule": "FREQ=DAILY;COUNT=99999"}, "at most"),
        ({"rrule": 5}, "text such as"),
        ({"rrule": "FREQ=DAILY;" + "X" * 2000}, "text such as"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_what_to_write(rule, word):
    with pytest.raises(Refused) as refused:
        Timing(rule, MONDAY.replace(minute=0, hour=0)).check()
        list(itertools.islice(Timing(rule, MONDAY.replace(hour=0)).later_than(MONDAY), 1))
    assert word in refused.value.message and refused.value.status == 400


def test_an_end_before_the_beginning_is_refused():
    with pytest.raises(Refused, match="is before since"):
        Timing({}, MONDAY, MONDAY - datetime.timedelta(days=1)).check()


@pytest.mark.parametrize(
    "rule",
    [
        {"recurrence": "1 min"},
        {"rrule": "FREQ=MINUTELY"},
        {"rrule": "FREQ=MINUTELY;BYMONTH=2;BYDAY=MO"},
        {"rrule": "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30"},
        {"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"},
        {"recurrence": "1 min", "weekdays": ["mo"], "count": 10_000},
    ],
)
def test_no_rule_takes_long_though_it_began_in_1970(rule):
    since = datetime.datetime(1970, 1, 1, tzinfo=UTC)
    began = time.process_time()
    Timing(rule, since).upcoming(MONDAY)
    assert time.process_time() - began < 3
