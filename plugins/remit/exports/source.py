"""Where an export's rows come from: the merchant's payments in the order of creation."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from remit.clock import parse_instant
from remit.exports.request import TimeRange

INDEX = "gsi-merchant-created"

OFFSET_MARGIN = timedelta(hours=14)
"""Stored times may carry any offset (-12:00 to +14:00), and the index orders them as strings. The
key condition is wider by this much on both sides; the report's SQL then decides by the instant."""


def query_for(table: str, merchant_id: str, span: TimeRange) -> dict[str, Any]:
    """A Query request for every payment that may lie in the range."""
    return {
        "TableName": table,
        "IndexName": INDEX,
        "KeyConditionExpression": "#merchant = :merchant AND #created BETWEEN :from AND :to",
        "ExpressionAttributeNames": {"#merchant": "merchantID", "#created": "createdAt"},
        "ExpressionAttributeValues": {
            ":merchant": {"S": merchant_id},
            ":from": {"S": _wall_clock(span.start - OFFSET_MARGIN)},
            ":to": {"S": _wall_clock(span.end + OFFSET_MARGIN + timedelta(seconds=1))},
        },
    }


def estimate(span: TimeRange, rows: int, last_created_at: str | None) -> int:
    """Rows in the range, from a first page that holds `rows` and ends at `last_created_at`.

    None: the first page was the only one, and its rows are all there are.
    """
    if last_created_at is None:
        return rows
    start, end = span.start - OFFSET_MARGIN, span.end + OFFSET_MARGIN
    covered = (_instant(last_created_at, end) - start).total_seconds()
    whole = (end - start).total_seconds()
    return int(rows * whole / max(covered, 1.0))


def cut(span: TimeRange, slices: int) -> list[TimeRange]:
    """The range in so many parts of equal length, end to end."""
    step = (span.end - span.start) / slices
    edges = [span.start + step * n for n in range(slices)] + [span.end]
    return [TimeRange(*pair) for pair in pairwise(edges)]


def _wall_clock(instant: datetime) -> str:
    """The prefix that every stored form of a time shares: it sorts before all of them."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


def _instant(text: str, default: datetime) -> datetime:
    try:
        return parse_instant(text)
    except ValueError:
        return default
