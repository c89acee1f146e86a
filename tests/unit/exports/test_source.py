from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from remit.clock import format_instant
from remit.exports.request import TimeRange
from remit.exports.source import KeyRange, estimate, key_ranges, query_for

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

    (whole,) = key_ranges(SPAN)
    assert whole.first <= stored <= whole.last
    holders = [keys for keys in key_ranges(SPAN, 7) if keys.first <= stored <= keys.last]
    assert len(holders) == 1, "each payment is read by exactly one slice"


@given(st.integers(1, 64))
def test_slices_cover_the_index_end_to_end(count: int) -> None:
    slices = key_ranges(SPAN, count)
    (whole,) = key_ranges(SPAN)
    assert len(slices) == count
    assert (slices[0].first, slices[-1].last) == (whole.first, whole.last)
    assert all(a.last == b.first for a, b in zip(slices, slices[1:], strict=False))


def test_only_the_outer_edges_have_the_margin() -> None:
    first, second = key_ranges(TimeRange(START, START + timedelta(days=1)), 2)
    assert (first.first, first.last) == ("2025-12-31T10:00:00", "2026-01-01T12:00:00")
    assert (second.first, second.last) == ("2026-01-01T12:00:00", "2026-01-02T14:00:01")


def test_an_empty_range_has_a_range_of_the_index() -> None:
    assert len(key_ranges(TimeRange(START, START))) == 1


def test_the_query_is_on_the_index_of_the_merchant() -> None:
    query = query_for("Payments", "merchant-1", KeyRange("a", "b"))
    assert query["IndexName"] == "gsi-merchant-created"
    assert query["ExpressionAttributeValues"] == {
        ":merchant": {"S": "merchant-1"},
        ":first": {"S": "a"},
        ":last": {"S": "b"},
    }


def test_one_page_is_all_there_is() -> None:
    assert estimate(SPAN, 123, None) == 123


def test_the_density_of_the_first_page_is_taken_for_the_whole() -> None:
    after_a_tenth = START - timedelta(hours=14) + (END - START + timedelta(hours=28)) / 10
    # A tenth of the range with its margins, 28 hours, which are not asked for.
    share = (END - START) / (END - START + timedelta(hours=28))
    assert estimate(SPAN, 1000, format_instant(after_a_tenth)) == int(10_000 * share)


def test_a_last_key_that_does_not_read_counts_the_page_alone() -> None:
    assert estimate(SPAN, 1000, "soon") <= 1000
