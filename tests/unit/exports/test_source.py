from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from remit.clock import format_instant
from remit.exports.request import TimeRange
from remit.exports.source import cut, estimate, query_for

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
SPAN = TimeRange(START, END)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 31, 23, 59, 59), timezones=st.just(UTC)),
    st.integers(-12 * 60, 14 * 60),
    st.integers(0, 9),
)
def test_the_key_condition_covers_every_form_of_an_instant_in_the_range(
    instant: datetime, offset: int, digits: int
) -> None:
    local = instant.astimezone(timezone(timedelta(minutes=offset)))
    fraction = "." + f"{local.microsecond:06d}000"[:digits] if digits else ""
    zone = "Z" if offset == 0 else local.strftime("%z")[:3] + ":" + local.strftime("%z")[3:]
    stored = local.strftime("%Y-%m-%dT%H:%M:%S") + fraction + zone

    values = query_for("Payments", "merchant-1", SPAN)["ExpressionAttributeValues"]

    assert values[":from"]["S"] <= stored <= values[":to"]["S"]


@given(st.integers(1, 64))
def test_slices_cover_the_range_end_to_end(count: int) -> None:
    slices = cut(SPAN, count)
    assert len(slices) == count
    assert (slices[0].start, slices[-1].end) == (START, END)
    assert all(a.end == b.start for a, b in zip(slices, slices[1:], strict=False))


def test_an_empty_range_can_be_cut() -> None:
    assert cut(TimeRange(START, START), 1) == [TimeRange(START, START)]


def test_one_page_is_all_there_is() -> None:
    assert estimate(SPAN, 123, None) == 123


def test_the_density_of_the_first_page_is_taken_for_the_whole() -> None:
    after_a_tenth = START - timedelta(hours=14) + (END - START + timedelta(hours=28)) / 10
    assert estimate(SPAN, 1000, format_instant(after_a_tenth)) in range(9_999, 10_002)


def test_a_last_key_that_does_not_read_counts_the_page_alone() -> None:
    assert estimate(SPAN, 1000, "soon") == 1000
