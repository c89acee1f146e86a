"""Time zones and the days in them, by one set of rules: the package `tzdata`, which is pinned.

The machine has rules of its own, and so has DuckDB. They are of other years, and governments change
their clocks: whoever asked for a day by the one and read it by the other would lose records.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_RULES = files("tzdata")
_DAY = timedelta(days=1)


@cache
def time_zones() -> frozenset[str]:
    """The names of the IANA time zones."""
    return frozenset(_RULES.joinpath("zones").read_text(encoding="ascii").split())


@cache
def time_zone(name: str) -> ZoneInfo:
    """One of `time_zones`.

    Raises:
        ValueError: there is no such zone.
    """
    if name not in time_zones():
        raise ValueError(f"there is no time zone {name!r}")
    with _RULES.joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day, in UTC; the day lasts until the next one starts.

    Where the clocks skip midnight, it starts with the first instant that it has. Where they go back
    over midnight, it starts with the first midnight, and the hour that comes twice belongs to it.

    Raises:
        OverflowError: it starts before the year 1 or after the year 9999.
    """
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def first_day_from(instant: datetime, zone: ZoneInfo) -> date:
    """The first day that starts at an instant or after it."""
    day = instant.astimezone(zone).date()
    while start_of(day, zone) < instant:
        day += _DAY
    return day
