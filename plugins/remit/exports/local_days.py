"""The days of instants in a time zone: many at once, for DuckDB."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from remit.exports.zones import start_of

_DAY = timedelta(days=1) // timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CALENDAR = tuple(day.toordinal() - _EPOCH.toordinal() for day in (date.min, date.max))


def local_days(zone: ZoneInfo, instants: Any) -> Any:
    """The day of each instant (microseconds, UTC, without NULLs), as `start_of` has them.

    No zone is a day or more from UTC: an instant's day is that of UTC, the one before or the one
    after, and one look at the starts of two days tells which.
    """
    micros = instants.cast(pa.int64()).to_numpy()
    utc_days = micros // _DAY
    days, places = np.unique(utc_days, return_inverse=True)
    starts = np.array([_start(day, zone) for day in days.tolist()], np.int64)[places]
    nexts = np.array([_start(day + 1, zone) for day in days.tolist()], np.int64)[places]
    found = utc_days - 1 + (micros >= starts) + (micros >= nexts)
    return pa.array(found.clip(*_CALENDAR).astype(np.int32)).cast(pa.date32())


@lru_cache(maxsize=4096)
def _start(day: int, zone: ZoneInfo) -> int:
    """The first microsecond of a day, both counted from 1970; at the ends of the calendar, in
    UTC."""
    try:
        start = start_of(date.fromordinal(day + _EPOCH.toordinal()), zone)
    except (OverflowError, ValueError):
        return day * _DAY
    return (start - _EPOCH) // timedelta(microseconds=1)
