"""Where an export's rows come from: the merchant's payments in the order of creation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from remit.clock import parse_instant
from remit.exports.request import TimeRange

INDEX = "gsi-merchant-created"

OFFSET_MARGIN = timedelta(hours=14)
"""Stored times may carry any offset (-12:00 to +14:00), and the index orders them as strings. The
key condition is wider by this much on both sides; the report's SQL then decides by the instant."""


@dataclass(frozen=True)
class KeyRange:
    """A range of the index: from `first` to `last`, texts that every stored form of a time sorts
    against by its wall clock. Adjoining ranges share an edge, which no stored time equals."""

    first: str
    last: str


def key_ranges(span: TimeRange, count: int = 1) -> list[KeyRange]:
    """The range of the index that may hold the span's payments, in so many parts end to end.

    Each payment lies in exactly one part, whatever its offset: parts are cut by the index's own
    order, and only the outer edges have the margin.
    """
    step = (span.end - span.start) / count
    inner = [span.start + step * number for number in range(1, count)]
    edges = [
        _wall_clock(span.start - OFFSET_MARGIN),
        *map(_wall_clock, inner),
        _wall_clock(span.end + OFFSET_MARGIN + timedelta(seconds=1)),
    ]
    return [KeyRange(first, last) for first, last in pairwise(edges)]


def query_for(table: str, merchant_id: str, keys: KeyRange) -> dict[str, Any]:
    """A Query request for every payment in a range of the index."""
    return {
        "TableName": table,
        "IndexName": INDEX,
        "KeyConditionExpression": "#merchant = :merchant AND #created BETWEEN :first AND :last",
        "ExpressionAttributeNames": {"#merchant": "merchantID", "#created": "createdAt"},
        "ExpressionAttributeValues": {
            ":merchant": {"S": merchant_id},
            ":first": {"S": keys.first},
            ":last": {"S": keys.last},
        },
    }


def estimate(span: TimeRange, rows: int, last_created_at: str | None) -> int:
    """Rows in the span, from a first page that holds `rows` and ends at `last_created_at`.

    None: the first page was the only one, and its rows are all there are.
    """
    if last_created_at is None:
        return rows
    start, end = span.start - OFFSET_MARGIN, span.end + OFFSET_MARGIN
    covered = (_instant(last_created_at, end) - start).total_seconds()
    return int(rows * (span.end - span.start).total_seconds() / max(covered, 1.0))


def _wall_clock(instant: datetime) -> str:
    """The prefix that every stored form of a time shares: it sorts before all of them."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


def _instant(text: str, default: datetime) -> datetime:
    try:
        return parse_instant(text)
    except ValueError:
        return default
