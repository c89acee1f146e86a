from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.clock import format_instant, parse_instant

INSTANTS = st.datetimes(
    min_value=datetime(1, 1, 2),
    max_value=datetime(9999, 12, 30),
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m))),
)


@given(INSTANTS)
def test_what_is_written_is_read_back(instant: datetime) -> None:
    assert parse_instant(format_instant(instant)) == instant


@given(INSTANTS, INSTANTS)
def test_the_order_of_the_texts_is_the_order_of_the_instants(a: datetime, b: datetime) -> None:
    assert (format_instant(a) < format_instant(b)) == (a < b)
    assert len(format_instant(a)) == 27


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-31T23:59:59Z", datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-01-31t23:59:59z", datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-01-31 23:59:59+00:00", datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-02-01T05:44:59.5+05:45", datetime(2026, 1, 31, 23, 59, 59, 500000, tzinfo=UTC)),
        ("2026-01-31T18:59:59.123456789-05:00", datetime(2026, 1, 31, 23, 59, 59, 123456, UTC)),
        (f"2026-01-31T23:59:59.{'9' * 40}Z", datetime(2026, 1, 31, 23, 59, 59, 999999, UTC)),
    ],
)
def test_every_form_of_rfc_3339_is_the_right_instant(text: str, instant: datetime) -> None:
    assert parse_instant(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T23:59:59",
        "2026-01-31T23:59Z",
        "2026-13-01T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T23:59:59.Z",
        "2026-01-31T23:59:59+05:60",
        "2026-01-31T23:59:59-05:99",
        "2026-01-31T23:59:59+24:00",
        "2026-01-31T23:59:59 NZ",
        "2026-01-3\u0661T23:59:59Z",
        "26-01-31T00:00:00Z",
        "2026-01-31T23:59:59+5:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "now",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_instant(text)


def test_a_time_without_a_zone_is_not_written() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        format_instant(datetime(2026, 1, 1))
