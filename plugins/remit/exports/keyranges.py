"""Ranges of an index: where the records of a span of time may lie, and the queries for them.

The key condition is wider than the span by `OFFSET_MARGIN`, up to whole days: within a day, the
index first has the times with a space before the clock, then those with a `T`, then those with a
`t`. The report's SQL then decides by the instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from remit.clock import OFFSET_MARGIN, parse_instant
from remit.exports.reports import Source
from remit.exports.request import TimeRange

_DAY = timedelta(days=1)
_BESIDE_T: Mapping[str, str] = MappingProxyType({"": "00:00:00", " ": "00:00:00", "t": "23:59:59"})
"""Where a stored text lies among the times of its day that have a `T`, by what comes after the day
in its place."""


@dataclass(frozen=True)
class KeyRange:
    """A range of the index: from `first` to `last`. Adjoining ranges share an edge, which no stored
    time and no stored day equals."""

    first: str
    last: str


def outer_edges(span: TimeRange) -> tuple[datetime, datetime]:
    """Where the records of a span may lie, as wall clock times of the index: whole days."""
    return _midnight(span.start - OFFSET_MARGIN), _midnight(span.end + OFFSET_MARGIN) + _DAY


def _midnight(wall_clock: datetime) -> datetime:
    return wall_clock.replace(hour=0, minute=0, second=0, microsecond=0)


def key_ranges(span: TimeRange, cuts: list[datetime] | None = None) -> list[KeyRange]:
    """The range of the index that may hold the span's records, cut at some wall clock times.

    Each record lies in exactly one part, whatever its offset: parts are cut by the index's own
    order, and only the outer edges have the margin.
    """
    start, end = (wall_clock(one)[:10] for one in outer_edges(span))
    edges = [start, *map(wall_clock, cuts or []), end]
    return [KeyRange(first, last) for first, last in pairwise(edges)]


def query_for(source: Source, table: str, merchant_id: str, keys: KeyRange) -> dict[str, Any]:
    """A Query request for every record of a merchant in a range of the source's index."""
    return {
        "TableName": table,
        "IndexName": source.index,
        "KeyConditionExpression": "#merchant = :merchant AND #range BETWEEN :first AND :last",
        "ExpressionAttributeNames": {
            "#merchant": source.partition,
            "#range": source.range.name,
        },
        "ExpressionAttributeValues": {
            ":merchant": {"S": merchant_id},
            ":first": {"S": keys.first},
            ":last": {"S": keys.last},
        },
    }


def estimate(span: TimeRange, rows: int, last_text: str | None) -> int:
    """Records in the span, from a first page that holds `rows` and ends at `last_text`.

    None: the first page was the only one, and its records are all there are.
    """
    if last_text is None:
        return rows
    start, end = outer_edges(span)
    asked_for = (span.end - span.start) / (end - start)
    return int(asked_for * rows / max(share_before(start, end, last_text), 1e-9))


def share_before(start: datetime, end: datetime, text: str) -> float:
    """The part of a range of the index, from 0 to 1, that lies before a stored text."""
    covered = (wall_clock_of(text, end) - start).total_seconds()
    return min(max(covered / max((end - start).total_seconds(), 1.0), 0.0), 1.0)


def wall_clock(instant: datetime) -> str:
    """The prefix of a time as it is mostly stored, in any offset: it sorts before that time. Its
    first ten characters are the day, which sorts before every form of every time of that day."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


def wall_clock_of(text: str, default: datetime) -> datetime:
    """The wall clock time of a stored text, as if it were UTC: its place in the index. A text that
    is no time is at the default."""
    clock = _BESIDE_T.get(text[10:11], text[11:19])
    try:
        return parse_instant(f"{text[:10]}T{clock}Z")
    except ValueError:
        return default
