from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.clock import parse_instant
from remit.exports.request import ExportRequest, TimeRange
from remit.exports.zones import time_zone, time_zones
from remit.schedules.periods import (
    Cadence,
    Period,
    Rhythm,
    day_of,
    period_before,
    period_containing,
    periods_ending_in,
)

MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

HOURLY, DAILY, MONTHLY = (Rhythm(one) for one in (Cadence.HOURLY, Cadence.DAILY, Cadence.MONTHLY))
WEEKLY, SUNDAYS = Rhythm(Cadence.WEEKLY), Rhythm(Cadence.WEEKLY, 6)
RHYTHMS = [HOURLY, DAILY, MONTHLY, *(Rhythm(Cadence.WEEKLY, weekday) for weekday in range(7))]

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # its clocks skipped midnight
    "America/Havana",  # they go back from one o'clock to midnight
    "America/St_Johns",  # at half past; until 2011 they changed at one minute past midnight
    "Asia/Kathmandu",
    "Asia/Beirut",  # they go back at midnight
    "Australia/Lord_Howe",  # they change by half an hour
    "Antarctica/Troll",  # by two hours
    "Africa/Casablanca",  # for the month of Ramadan
    "Pacific/Apia",  # without 30 December 2011
    "Pacific/Kiritimati",  # without 31 December 1994
    "Pacific/Kwajalein",  # without 21 August 1993
]

INSTANTS = st.datetimes(datetime(1970, 2, 15), datetime(2200, 1, 1), timezones=st.just(UTC))
ANY_ZONE = st.sampled_from(sorted(time_zones()))
ANY_RHYTHM = st.sampled_from(RHYTHMS)


def containing(text: str, rhythm: Rhythm, zone: str) -> Period:
    return period_containing(parse_instant(text), rhythm, time_zone(zone))


def walk(start: datetime, end: datetime, rhythm: Rhythm, zone: str) -> Iterator[Period]:
    return periods_ending_in(start, end, rhythm, time_zone(zone))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("rhythm", RHYTHMS[1:], ids=str)
def test_days_weeks_and_months_tile_the_years(zone: str, rhythm: Rhythm) -> None:
    start, end = datetime(1993, 1, 1, tzinfo=UTC), datetime(2038, 6, 1, tzinfo=UTC)
    periods = list(walk(start, end, rhythm, zone))

    assert all(one.start < one.end for one in periods)
    assert all(one.end == other.start for one, other in pairwise(periods))
    assert periods[0].start <= start < periods[0].end
    assert periods[-1].end <= end < period_containing(end, rhythm, time_zone(zone)).end
    assert len({one.name for one in periods}) == len(periods)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2011, 12, 20, tzinfo=UTC), datetime(2012, 1, 10, tzinfo=UTC)),
        (datetime(2011, 3, 1, tzinfo=UTC), datetime(2011, 4, 10, tzinfo=UTC)),
        (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
    ],
)
def test_hours_tile_the_months_in_which_clocks_change(
    zone: str, start: datetime, end: datetime
) -> None:
    periods = list(walk(start, end, HOURLY, zone))

    assert all(timedelta() < one.end - one.start <= HOUR for one in periods)
    assert all(one.end == other.start for one, other in pairwise(periods))
    assert periods[0].start <= start < periods[0].end
    assert end - HOUR < periods[-1].end <= end
    assert len({one.name for one in periods}) == len(periods)


@settings(deadline=None)
@given(INSTANTS, ANY_RHYTHM, ANY_ZONE)
def test_a_period_is_the_same_from_each_of_its_instants(
    instant: datetime, rhythm: Rhythm, zone_name: str
) -> None:
    zone = time_zone(zone_name)
    period = period_containing(instant, rhythm, zone)
    following = period_containing(period.end, rhythm, zone)

    assert period.start <= instant < period.end
    assert period_containing(period.start, rhythm, zone) == period
    assert period_containing(period.end - MICROSECOND, rhythm, zone) == period
    assert following.start == period.end
    assert following.name != period.name
    assert period_before(following, rhythm, zone) == period


@settings(deadline=None)
@given(INSTANTS, ANY_RHYTHM, ANY_ZONE)
def test_an_export_of_its_dates_has_the_range_of_a_period(
    instant: datetime, rhythm: Rhythm, zone_name: str
) -> None:
    period = period_containing(instant, rhythm, time_zone(zone_name))
    start_date, end_date = period.dates
    request = ExportRequest(timezone=zone_name, start_date=start_date, end_date=end_date)
    assert request.range == TimeRange(period.start, period.end)


@settings(deadline=None)
@given(
    INSTANTS,
    st.lists(st.timedeltas(timedelta(), timedelta(days=20)), min_size=1, max_size=5),
    ANY_RHYTHM,
    ANY_ZONE,
)
def test_each_period_ends_in_one_of_intervals_that_follow_each_other(
    start: datetime, lengths: list[timedelta], rhythm: Rhythm, zone_name: str
) -> None:
    zone = time_zone(zone_name)
    edges = [start]
    for length in lengths:
        edges.append(edges[-1] + length)

    apart = [one for edge in pairwise(edges) for one in periods_ending_in(*edge, rhythm, zone)]
    assert apart == list(periods_ending_in(edges[0], edges[-1], rhythm, zone))
    assert all(start < one.end <= edges[-1] for one in apart)


def test_a_period_that_ends_with_the_interval_is_in_it() -> None:
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    assert [one.name for one in walk(midnight - HOUR, midnight, DAILY, "UTC")] == ["2026-03-01"]
    assert list(walk(midnight, midnight + HOUR, DAILY, "UTC")) == []
    assert list(walk(midnight, midnight - HOUR, DAILY, "UTC")) == []


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("UTC", "2026-03-29", "2026-03-29T00:00Z", 24),
        ("Europe/Berlin", "2026-03-28", "2026-03-27T23:00Z", 24),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00Z", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00Z", 25),
        ("America/New_York", "2026-03-08", "2026-03-08T05:00Z", 23),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00Z", 25),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00Z", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30Z", 23.5),
        ("Asia/Kathmandu", "2026-03-29", "2026-03-28T18:15Z", 24),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00Z", 23),
        ("America/Havana", "2024-11-03", "2024-11-03T04:00Z", 25),
        ("Antarctica/Troll", "2026-03-29", "2026-03-29T00:00Z", 22),
        ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00Z", 24),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00Z", 24),
        ("UTC", "2028-02-29", "2028-02-29T00:00Z", 24),
    ],
)
def test_a_day(zone: str, day: str, start: str, hours: float) -> None:
    start = start.replace("Z", ":00Z")
    period = containing(start, DAILY, zone)
    length = timedelta(hours=hours)
    assert (period.name, period.start) == (day, parse_instant(start))
    assert period.end - period.start == length
    assert period.dates == (day, day)


def test_the_day_that_a_zone_skipped_is_no_period() -> None:
    start, end = datetime(2011, 12, 28, tzinfo=UTC), datetime(2012, 1, 2, tzinfo=UTC)
    names = [one.name for one in walk(start, end, DAILY, "Pacific/Apia")]
    assert names == ["2011-12-27", "2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01"]


def test_the_time_that_comes_twice_over_midnight_is_the_later_days() -> None:
    # At 00:01 of 7 November it became 23:01 of the 6th.
    zone = time_zone("America/St_Johns")
    instant = parse_instant("2010-11-07T03:00:00Z")
    assert instant.astimezone(zone).date() == date(2010, 11, 6)
    assert day_of(instant, zone) == date(2010, 11, 7)
    assert period_containing(instant, DAILY, zone).name == "2010-11-07"


@pytest.mark.parametrize(
    ("zone", "instant", "names", "minutes"),
    [
        (
            "Europe/Berlin",  # 02 comes twice
            "2026-10-24T23:00:00Z",
            [
                "2026-10-25T01+02:00",
                "2026-10-25T02+02:00",
                "2026-10-25T02+01:00",
                "2026-10-25T03+01:00",
            ],
            [60, 60, 60, 60],
        ),
        (
            "Europe/Berlin",  # 02 does not come
            "2026-03-29T00:00:00Z",
            ["2026-03-29T01+01:00", "2026-03-29T03+02:00"],
            [60, 60],
        ),
        (
            "Australia/Lord_Howe",  # 02:00 becomes 01:30
            "2026-04-04T14:00:00Z",
            ["2026-04-05T01+11:00", "2026-04-05T01+10:30", "2026-04-05T02+10:30"],
            [60, 30, 60],
        ),
        (
            "Australia/Lord_Howe",  # 02:00 becomes 02:30
            "2026-10-03T14:30:00Z",
            ["2026-10-04T01+10:30", "2026-10-04T02+11:00", "2026-10-04T03+11:00"],
            [60, 30, 60],
        ),
        (
            "Asia/Kathmandu",
            "2026-10-03T14:15:00Z",
            ["2026-10-03T20+05:45", "2026-10-03T21+05:45"],
            [60, 60],
        ),
        (
            "America/St_Johns",  # 00:01 became 23:01
            "2010-11-07T02:00:00Z",
            [
                "2010-11-06T23-02:30",
                "2010-11-07T00-02:30",
                "2010-11-06T23-03:30",
                "2010-11-07T00-03:30",
            ],
            [60, 1, 59, 60],
        ),
    ],
)
def test_hours(zone: str, instant: str, names: list[str], minutes: list[int]) -> None:
    period = containing(instant, HOURLY, zone)
    found = [period]
    while len(found) < len(names):
        period = period_containing(period.end, HOURLY, time_zone(zone))
        found.append(period)
    lengths = [(one.end - one.start) // timedelta(minutes=1) for one in found]
    assert ([one.name for one in found], lengths) == (names, minutes)


@pytest.mark.parametrize(
    ("rhythm", "instant", "name", "dates"),
    [
        (WEEKLY, "2026-03-29T21:59:59Z", "2026-W13", ("2026-03-23", "2026-03-29")),
        (WEEKLY, "2026-03-29T22:00:00Z", "2026-W14", ("2026-03-30", "2026-04-05")),
        (SUNDAYS, "2026-03-29T12:00:00Z", "2026-W13-7", ("2026-03-29", "2026-04-04")),
        (WEEKLY, "2027-01-02T12:00:00Z", "2026-W53", ("2026-12-28", "2027-01-03")),
        (SUNDAYS, "2027-01-05T12:00:00Z", "2026-W53-7", ("2027-01-03", "2027-01-09")),
        (MONTHLY, "2026-01-31T22:59:59Z", "2026-01", ("2026-01-01", "2026-01-31")),
        (MONTHLY, "2026-01-31T23:00:00Z", "2026-02", ("2026-02-01", "2026-02-28")),
        (MONTHLY, "2028-02-29T12:00:00Z", "2028-02", ("2028-02-01", "2028-02-29")),
        (MONTHLY, "2026-12-31T12:00:00Z", "2026-12", ("2026-12-01", "2026-12-31")),
    ],
)
def test_a_week_or_month_in_berlin(
    rhythm: Rhythm, instant: str, name: str, dates: tuple[str, str]
) -> None:
    period = containing(instant, rhythm, "Europe/Berlin")
    assert (period.name, period.dates) == (name, dates)
