from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

import pyarrow as pa
import pytest

from remit.clock import format_instant
from remit.exports.engine import Selection
from remit.exports.local_days import local_days
from remit.exports.request import ExportRequest, TimeRange, parse_request
from remit.exports.zones import first_day_from, start_of, time_zone, time_zones
from tests.support.exports import REPORTS, request_values
from tests.unit.exports.building import (
    Exported,
    exported,
    page,
    record,
    settlement,
    transaction,
)

MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
ZONES = sorted(time_zones())
YEARS = (1970, 1995, 2011, 2026, 2027, 2038, 2999)

CHANGED = ["America/Vancouver", "America/Edmonton", "America/Winnipeg", "Africa/Casablanca"]
"""Zones whose rules for the winter of 2026 differ from one database to the next."""


def days_of(year: int) -> Iterator[date]:
    """The days around the edges of a year and of its months."""
    for month in range(1, 13):
        for beside in (-1, 0, 1):
            yield date(year, month, 1) + beside * DAY


def local(zone: ZoneInfo, instants: list[datetime]) -> list[date]:
    found = local_days(zone, pa.chunked_array([pa.array(instants, pa.timestamp("us", "UTC"))]))
    return list(found.to_pylist())


def test_the_zones_are_those_that_python_knows() -> None:
    assert time_zones() == available_timezones() - {"localtime"}


@pytest.mark.parametrize("name", ["localtime", "../zones", "posix/UTC", "utc ", "", "Mars/Olympus"])
def test_another_name_is_no_zone(name: str) -> None:
    with pytest.raises(ValueError, match="there is no time zone"):
        time_zone(name)


def test_the_rules_are_those_of_the_package_and_not_of_the_machine(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "America").mkdir()
    (tmp_path / "America" / "Vancouver").write_bytes(b"what the machine has")
    request.addfinalizer(reset_tzpath)
    reset_tzpath([tmp_path])
    time_zone.cache_clear()
    assert start_of(date(2026, 12, 5), time_zone("America/Vancouver")).hour in (7, 8)


@pytest.mark.parametrize("name", ZONES)
def test_a_day_is_what_lies_between_its_start_and_that_of_the_next(name: str) -> None:
    zone = time_zone(name)
    days = [day for year in YEARS for day in days_of(year)]
    starts = [start_of(day, zone) for day in days]
    ends = [start_of(day + DAY, zone) for day in days]

    whole = [
        (day, start, end) for day, start, end in zip(days, starts, ends, strict=True) if start < end
    ]
    assert local(zone, [start for _, start, _ in whole]) == [day for day, _, _ in whole]
    assert local(zone, [end - MICROSECOND for _, _, end in whole]) == [day for day, _, _ in whole]
    assert all(first_day_from(start, zone) == day for day, start, _ in whole)
    assert all(first_day_from(start + MICROSECOND, zone) == day + DAY for day, start, _ in whole)


@pytest.mark.parametrize("name", ZONES)
def test_a_local_day_is_that_of_the_wall_clock(name: str) -> None:
    zone = time_zone(name)
    instants = [
        datetime(year, month, 1, hour, 30, tzinfo=UTC)
        for year in YEARS
        for month in range(1, 13)
        for hour in range(24)
    ]
    assert local(zone, instants) == [instant.astimezone(zone).date() for instant in instants]


def test_a_day_that_the_clocks_skip_has_no_instants() -> None:
    zone = time_zone("Pacific/Apia")
    skipped = date(2011, 12, 30)
    assert start_of(skipped, zone) == start_of(skipped + DAY, zone)
    around = [start_of(skipped, zone) - MICROSECOND, start_of(skipped, zone)]
    assert local(zone, around) == [skipped - DAY, skipped + DAY]


def test_an_hour_that_comes_twice_around_midnight_belongs_to_the_day_that_it_is_in_between() -> (
    None
):
    zone = time_zone("America/St_Johns")  # from 00:01 on 7 November back to 23:01 on the 6th
    start = start_of(date(2010, 11, 7), zone)
    again = start + timedelta(minutes=30)
    assert again.astimezone(zone).date() == date(2010, 11, 6)
    assert local(zone, [start - MICROSECOND, start, again]) == [
        date(2010, 11, 6),
        date(2010, 11, 7),
        date(2010, 11, 7),
    ]


@pytest.mark.parametrize("name", ["Pacific/Kiritimati", "Etc/GMT+12", "UTC"])
def test_the_ends_of_the_calendar_have_a_day(name: str) -> None:
    ends = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    first, last = local(time_zone(name), ends)
    assert first - date.min <= DAY
    assert date.max - last <= DAY


def of_a_day(report: str, day: date, zone: str) -> tuple[ExportRequest, Selection]:
    values = request_values(report=report, start_date=str(day), end_date=str(day), timezone=zone)
    request = parse_request(values, REPORTS)
    as_of = datetime(2030, 1, 1, tzinfo=UTC)
    return request, Selection.of(REPORTS[report], request, request.range, as_of)


@pytest.mark.parametrize("zone", CHANGED)
@pytest.mark.parametrize("day", [date(2026, 12, 5), date(2026, 11, 1), date(2027, 3, 14)])
def test_an_export_of_one_day_has_the_settlements_of_that_day(zone: str, day: date) -> None:
    _, wanted = of_a_day("settlements", day, zone)
    records = [settlement(n, date={"S": str(day + (n - 1) * DAY)}) for n in range(3)]
    assert exported(wanted, page(*records)).column("settlement_date") == [day]


@pytest.mark.parametrize("zone", CHANGED)
@pytest.mark.parametrize("day", [date(2026, 12, 5), date(2026, 11, 1), date(2027, 3, 14)])
def test_a_summary_of_one_day_has_that_day_alone(zone: str, day: date) -> None:
    request, wanted = of_a_day("daily_summary", day, zone)
    found = summary(wanted, request.range)
    assert {row["day"] for row in found.rows} == {day}
    assert sum(row["payment_count"] for row in found.rows) == 2, "the first instant, and the last"


def summary(wanted: Selection, span: TimeRange) -> Exported:
    """Of records at both edges of a range, within and beyond."""
    edges = [span.start - MICROSECOND, span.start, span.end - MICROSECOND, span.end]
    times = [{"createdAt": {"S": format_instant(edge)}} for edge in edges]
    payments = page(*(record(n, **time) for n, time in enumerate(times)))
    refunds = page(*(transaction(n, **time) for n, time in enumerate(times)))
    return exported(wanted, payments=[payments], transactions=[refunds])
