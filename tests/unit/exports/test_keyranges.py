from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.clock import OFFSET_MARGIN, format_instant
from remit.exports.engine import Selection
from remit.exports.keyranges import (
    KeyRange,
    estimate,
    key_ranges,
    outer_edges,
    query_for,
    share_before,
    wall_clock,
    wall_clock_of,
)
from remit.exports.request import TimeRange, parse_request
from tests.support.exports import REPORTS, request_values
from tests.unit.exports.building import JANUARY, exported, page, record, selection, settlement

START, END = JANUARY.start, JANUARY.end
MICROSECOND = timedelta(microseconds=1)
NEAR = [timedelta(0), MICROSECOND, -MICROSECOND, timedelta(seconds=1), timedelta(seconds=-1)]
OFFSETS = [timedelta(minutes=minutes) for minutes in range(-12 * 60, 14 * 60 + 1, 15)]

INSTANTS = st.datetimes(
    datetime(2026, 1, 1), datetime(2026, 1, 31, 23, 59, 59, 999999), timezones=st.just(UTC)
)
SEPARATORS = "Tt "
OFFSET = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timedelta(minutes=minutes))
CUTS = st.lists(
    st.datetimes(datetime(2025, 12, 31, 12), datetime(2026, 2, 1, 12), timezones=st.just(UTC)).map(
        lambda cut: cut.replace(microsecond=0)
    ),
    unique=True,
    max_size=8,
).map(sorted)


def stored(instant: datetime, offset: timedelta, digits: int, separator: str = "T") -> str:
    """An instant as some writer may have stored it, to so many digits of a second."""
    local = instant.astimezone(timezone(offset))
    fraction = f"{local.microsecond:06d}999"[:digits]
    zone = local.isoformat()[-6:] if offset else "Z"
    seconds = local.strftime(f"%Y-%m-%d{separator}%H:%M:%S")
    return seconds + ("." + fraction if digits else "") + zone


def read_as(instant: datetime, digits: int) -> datetime:
    """The instant that is stored, with what its digits leave of it."""
    kept = f"{instant.microsecond:06d}"[:digits].ljust(6, "0")
    return instant.replace(microsecond=int(kept))


def readers(text: str, ranges: list[KeyRange]) -> int:
    return sum(keys.first <= text <= keys.last for keys in ranges)


@settings(deadline=None)
@given(INSTANTS, OFFSET, st.integers(0, 9), st.sampled_from(SEPARATORS), CUTS)
def test_every_form_of_an_instant_in_the_range_is_read_by_exactly_one_slice(
    instant: datetime, offset: timedelta, digits: int, separator: str, cuts: list[datetime]
) -> None:
    assert readers(stored(instant, offset, digits, separator), key_ranges(JANUARY, cuts)) == 1


@settings(deadline=None)
@given(
    st.datetimes(datetime(2026, 1, 2), datetime(2026, 1, 30), timezones=st.just(UTC)),
    st.timedeltas(MICROSECOND, timedelta(days=1)),
    st.floats(0, 1, exclude_max=True),
    OFFSET,
    st.sampled_from(SEPARATORS),
)
def test_every_form_of_an_instant_is_read_however_short_the_range(
    start: datetime, length: timedelta, part: float, offset: timedelta, separator: str
) -> None:
    """Within a day, times with a space come before all others, and those with a `t` behind them."""
    instant = min(start + length * part, start + length - MICROSECOND)
    text = stored(instant, offset, 6, separator)
    assert readers(text, key_ranges(TimeRange(start, start + length))) == 1


@settings(deadline=None)
@given(INSTANTS, OFFSET, st.integers(0, 9), st.sampled_from(SEPARATORS))
def test_a_cut_at_the_very_time_of_a_record_leaves_it_in_one_slice(
    instant: datetime, offset: timedelta, digits: int, separator: str
) -> None:
    text = stored(instant, offset, digits, separator)
    cut = datetime.fromisoformat(f"{text[:10]}T{text[11:19]}Z")
    assert readers(text, key_ranges(JANUARY, [cut])) == 1


def test_what_lies_at_an_edge_lands_on_its_side_of_the_range_whatever_its_form() -> None:
    """The key condition finds it, and the SQL decides: in every offset, to every precision."""
    forms = [
        (stored(edge + near, offset, digits, separator), read_as(edge + near, digits))
        for edge, near, offset, digits, separator in product(
            (START, END), NEAR, OFFSETS, range(10), SEPARATORS
        )
    ]
    (keys,) = key_ranges(JANUARY)
    found = {text for text, _ in forms if keys.first <= text <= keys.last}
    records = [
        record(number, createdAt={"S": text})
        for number, (text, _) in enumerate(forms)
        if text in found
    ]

    ids = set(exported(selection(), page(*records)).column("payment_id"))

    assert ids == {
        f"pay-{number:06d}" for number, (_, instant) in enumerate(forms) if START <= instant < END
    }


@pytest.mark.parametrize(
    ("zone", "first_day", "last_day", "start", "end"),
    [
        ("UTC", "2026-01-15", "2026-01-15", "2026-01-15T00:00Z", "2026-01-16T00:00Z"),
        ("Asia/Kathmandu", "2026-01-15", "2026-01-15", "2026-01-14T18:15Z", "2026-01-15T18:15Z"),
        # The clocks go forward: 23 hours.
        ("Europe/Berlin", "2026-03-29", "2026-03-29", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
        # The clocks go back: 25 hours.
        ("Europe/Berlin", "2026-10-25", "2026-10-25", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
        # The clocks go from 00:00 to 01:00: the day begins at one.
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04", "2018-11-04T03:00Z", "2018-11-05T02:00Z"),
        ("America/Sao_Paulo", "2018-11-03", "2018-11-03", "2018-11-03T03:00Z", "2018-11-04T03:00Z"),
        (
            "Pacific/Kiritimati",
            "2026-01-15",
            "2026-01-16",
            "2026-01-14T10:00Z",
            "2026-01-16T10:00Z",
        ),
    ],
)
def test_a_plain_end_date_means_the_whole_day_of_the_exports_zone(
    zone: str, first_day: str, last_day: str, start: str, end: str
) -> None:
    values = request_values(start_date=first_day, end_date=last_day, timezone=zone)
    request = parse_request(values, REPORTS)
    as_of = datetime(2026, 11, 23, tzinfo=UTC)
    wanted = Selection.of(REPORTS["payments"], request, request.range, as_of)
    edges = [datetime.fromisoformat(edge) for edge in (start, end)]
    times = [edge + near for edge in edges for near in (-MICROSECOND, timedelta(0))]
    records = [record(n, createdAt={"S": format_instant(at)}) for n, at in enumerate(times)]

    found = exported(wanted, page(*records)).column("created_at_utc")

    assert found == times[1:3], "the first instant and the last one, and none beside them"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "Etc/GMT+12"])
def test_a_record_of_a_day_is_in_the_range_of_its_day_in_any_zone(zone: str) -> None:
    days = ["2026-01-14", "2026-01-15", "2026-01-16", "2026-01-17"]
    values = request_values(
        report="settlements", start_date=days[1], end_date=days[2], timezone=zone
    )
    request = parse_request(values, REPORTS)
    as_of = datetime(2026, 11, 23, tzinfo=UTC)
    wanted = Selection.of(REPORTS["settlements"], request, request.range, as_of)
    (keys,) = key_ranges(request.range)

    records = [settlement(n, date={"S": day}) for n, day in enumerate(days)]
    found = exported(wanted, page(*records)).column("settlement_id")

    assert found == ["set-000001", "set-000002"]
    assert all(keys.first <= day <= keys.last for day in days[1:3])


def test_a_day_that_has_no_midnight_is_in_the_range_of_its_day() -> None:
    values = request_values(
        report="settlements",
        start_date="2018-11-04",
        end_date="2018-11-04",
        timezone="America/Sao_Paulo",
    )
    request = parse_request(values, REPORTS)
    as_of = datetime(2026, 11, 23, tzinfo=UTC)
    wanted = Selection.of(REPORTS["settlements"], request, request.range, as_of)
    days = [f"2018-11-0{day}" for day in (3, 4, 5)]
    records = [settlement(n, date={"S": day}) for n, day in enumerate(days)]

    assert exported(wanted, page(*records)).column("settlement_id") == ["set-000001"]


@settings(deadline=None)
@given(CUTS)
def test_slices_cover_the_index_end_to_end(cuts: list[datetime]) -> None:
    slices = key_ranges(JANUARY, cuts)
    (whole,) = key_ranges(JANUARY)
    assert len(slices) == len(cuts) + 1
    assert (slices[0].first, slices[-1].last) == (whole.first, whole.last)
    assert all(before.last == after.first for before, after in pairwise(slices))
    assert all(one.first < one.last for one in slices)


def test_only_the_outer_edges_have_the_margin() -> None:
    day = TimeRange(START, START + timedelta(days=1))
    first, second = key_ranges(day, [START + timedelta(hours=12)])
    assert (first.first, first.last) == ("2025-12-31", "2026-01-01T12:00:00")
    assert (second.first, second.last) == ("2026-01-01T12:00:00", "2026-01-03")


def test_an_empty_range_has_a_range_of_the_index() -> None:
    assert len(key_ranges(TimeRange(START, START))) == 1


def test_the_query_is_on_the_index_of_the_source() -> None:
    (source,) = REPORTS["settlements"].sources
    query = query_for(source, "Settlements-1", "merchant-1", KeyRange("a", "b"))
    assert query["TableName"] == "Settlements-1"
    assert query["IndexName"] == "gsi-merchant"
    assert query["ExpressionAttributeNames"] == {"#merchant": "merchantID", "#range": "date"}
    assert query["ExpressionAttributeValues"] == {
        ":merchant": {"S": "merchant-1"},
        ":first": {"S": "a"},
        ":last": {"S": "b"},
    }


def test_one_page_is_all_there_is() -> None:
    assert estimate(JANUARY, 123, None) == 123


def test_the_density_of_the_first_page_is_taken_for_the_whole() -> None:
    start, end = outer_edges(JANUARY)
    after_a_tenth = format_instant(start + (end - start) / 10)
    # Ten times as many in the range with its margins, of which the range is a part.
    assert estimate(JANUARY, 1000, after_a_tenth) == pytest.approx(
        10_000 * (END - START) / (end - start), rel=0.001
    )


@pytest.mark.parametrize("text", ["soon", "", "2026-13-01T00:00:00Z"])
def test_a_last_key_that_does_not_read_counts_the_page_alone(text: str) -> None:
    assert estimate(JANUARY, 1000, text) == int(1000 * share_of_january())


def share_of_january() -> float:
    start, end = outer_edges(JANUARY)
    return (END - START) / (end - start)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("2026-01-01T00:00:00Z", 0.0),
        ("2025-06-01T00:00:00Z", 0.0),
        ("2026-01-16T12:00:00.5+05:00", 0.5),
        ("2026-01-16 23:00:00Z", 15 / 31),
        ("2026-01-16t01:00:00Z", 16 / 31),
        ("2026-01-16", 15 / 31),
        ("2026-02-01", 1.0),
        ("2027-01-01T00:00:00Z", 1.0),
    ],
)
def test_the_share_before_a_text_is_by_its_place_in_the_index(text: str, share: float) -> None:
    assert share_before(START, END, text) == pytest.approx(share, rel=1e-4)


@settings(deadline=None)
@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))
def test_a_wall_clock_is_a_prefix_of_what_is_stored_and_reads_back(instant: datetime) -> None:
    whole = instant.replace(microsecond=0)
    assert format_instant(instant).startswith(wall_clock(instant))
    assert wall_clock_of(format_instant(instant), START) == whole


def test_the_margin_is_that_of_the_widest_offset() -> None:
    assert max(OFFSETS) == OFFSET_MARGIN
    assert -min(OFFSETS) <= OFFSET_MARGIN
