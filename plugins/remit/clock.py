"""Time: an injected clock, and instants as fixed-width UTC text.

Stored instants have one width and one zone (`2026-01-31T23:59:59.000000Z`), so that the order of
the strings in an index is the order of the instants. What other writers stored (RFC 3339 with any
offset and any number of fraction digits) is still read as the right instant.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Returns the current instant, timezone-aware, in UTC."""

OFFSET_MARGIN = timedelta(hours=14)
"""Stored times may carry any offset (-12:00 to +14:00), and an index orders them as strings: where
it is asked for a span of time, it is asked for this much more on both sides."""

_RFC3339 = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[Tt ](?P<time>(?:[01]\d|2[0-3]):\d{2}:\d{2})"
    r"(?:\.(?P<fraction>\d+))?(?P<offset>[Zz]|[+-]\d{2}:[0-5]\d)",
    re.ASCII,
)


def system_clock() -> datetime:
    """The machine's clock, in UTC."""
    return datetime.now(UTC)


def format_instant(instant: datetime) -> str:
    """Write an aware datetime as fixed-width UTC text with microseconds (27 characters)."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone")
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return utc.isoformat(timespec="microseconds")[:26] + "Z"


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 instant with any offset; digits beyond microseconds are cut off.

    Raises:
        ValueError: the text is not RFC 3339 or has no offset.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 instant such as 2026-01-31T23:59:59Z")
    micros = (match["fraction"] or "0").ljust(6, "0")[:6]
    offset = "+00:00" if match["offset"] in "Zz" else match["offset"]
    try:
        local = datetime.fromisoformat(f"{match['day']}T{match['time']}.{micros}{offset}")
        return local.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is before the year 1 or after the year 9999") from None


def epoch_seconds(instant: datetime) -> int:
    """Whole seconds since 1970, as DynamoDB's TTL and webhook timestamps want them."""
    return int(instant.timestamp())


def seconds(value: float) -> timedelta:
    """A duration; short for the call sites that add one to an instant."""
    return timedelta(seconds=value)
