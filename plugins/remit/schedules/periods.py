"""Periods: the hours, days, weeks and months of a time zone, as half-open ranges of instants.

The periods of one rhythm in one zone follow each other without a gap and without an overlap. A day
is as `start_of` has it, 23 or 25 hours long where the clocks change; a week and a month are days
in a row. A day that a zone skips is no period.

An hour is what shares its date, its hour and its offset from UTC: where the clocks go back, the
hour that comes twice is two periods, and the one that they skip is none. Where they move by half an
hour, or in the middle of an hour, a period is shorter than an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from remit.clock import format_instant
from remit.exports.zones import start_of

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""In the order of `date.weekday`."""

_SECOND = timedelta(seconds=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)


class Cadence(StrEnum):
    """How often."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True)
class Rhythm:
    """How often, and for weeks the day that one starts with: an index of `WEEKDAYS`."""

    cadence: Cadence
    weekday: int = 0

    def __str__(self) -> str:
        weekly = self.cadence is Cadence.WEEKLY
        return f"weekly.{WEEKDAYS[self.weekday]}" if weekly else self.cadence.value


@dataclass(frozen=True)
class Period:
    """One period. `start` is in it, `end` is not; both are in UTC."""

    name: str
    """The same forever, and of no other period of this rhythm and zone: `2026-10-25T02+02:00`,
    `2026-03-29`, `2026-W13`, `2026-03`. A week that does not start on a Monday has the ISO week
    date of its first day, `2026-W13-7`."""
    start: datetime
    end: datetime
    dates: tuple[str, str]
    """`start_date` and `end_date` of an export of the period: its first and its last day, or the
    instants of an hour."""


def period_containing(instant: datetime, rhythm: Rhythm, zone: ZoneInfo) -> Period:
    """The period that an instant is in.

    Raises:
        OverflowError: it begins before the year 1 or ends after the year 9999.
    """
    if rhythm.cadence is Cadence.HOURLY:
        return _hour(instant.astimezone(UTC), zone)
    first = _first_day(day_of(instant, zone), rhythm)
    following = _following(first, rhythm.cadence)
    return Period(
        name=_name(first, rhythm),
        start=start_of(first, zone),
        end=start_of(following, zone),
        dates=(first.isoformat(), (following - _DAY).isoformat()),
    )


def period_before(period: Period, rhythm: Rhythm, zone: ZoneInfo) -> Period:
    """The period that ends where this one starts."""
    return period_containing(period.start - _SECOND, rhythm, zone)


def periods_ending_in(
    start: datetime, end: datetime, rhythm: Rhythm, zone: ZoneInfo
) -> Iterator[Period]:
    """The periods that end after `start` and no later than `end`, in their order.

    One that ends at the very `end` is over by then: the run of a data interval, which comes at the
    interval's end, finds the day that has just ended at midnight, and not an hour later. Each
    period ends in one of any intervals that follow each other.
    """
    period = period_containing(start, rhythm, zone)
    while period.end <= end:
        yield period
        period = period_containing(period.end, rhythm, zone)


def day_of(instant: datetime, zone: ZoneInfo) -> date:
    """The day that an instant is in, as `start_of` has days: the hour that comes twice where the
    clocks go back over midnight belongs to the later day."""
    day = instant.astimezone(zone).date()
    for found in (day + _DAY, day):
        if start_of(found, zone) <= instant:
            return found
    return day - _DAY


def _first_day(day: date, rhythm: Rhythm) -> date:
    if rhythm.cadence is Cadence.MONTHLY:
        return day.replace(day=1)
    if rhythm.cadence is Cadence.WEEKLY:
        return day - (day.weekday() - rhythm.weekday) % 7 * _DAY
    return day


def _following(first: date, cadence: Cadence) -> date:
    """The first day of the next period."""
    if cadence is Cadence.MONTHLY:
        return (first + 31 * _DAY).replace(day=1)
    return first + (_WEEK if cadence is Cadence.WEEKLY else _DAY)


def _name(first: date, rhythm: Rhythm) -> str:
    if rhythm.cadence is Cadence.DAILY:
        return first.isoformat()
    if rhythm.cadence is Cadence.MONTHLY:
        return first.isoformat()[:7]
    year, week, weekday = first.isocalendar()
    return f"{year:04d}-W{week:02d}" + ("" if weekday == 1 else f"-{weekday}")


def _hour(instant: datetime, zone: ZoneInfo) -> Period:
    """Clocks change at whole seconds, and not twice within an hour."""
    second = instant.replace(microsecond=0)
    offset = _offset(second, zone)
    start = (second + offset).replace(minute=0, second=0) - offset
    end = start + _HOUR
    if _offset(start, zone) != offset:
        start = _change(start, second, zone)
    if _offset(end - _SECOND, zone) != offset:
        end = _change(second, end - _SECOND, zone)
    name = start.astimezone(zone).isoformat(timespec="hours")
    return Period(name, start, end, (format_instant(start), format_instant(end)))


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second that has another offset than `before`; `after` has it."""
    old = _offset(before, zone)
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(before + middle * _SECOND, zone) == old:
            low = middle
        else:
            high = middle
    return before + high * _SECOND


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()
