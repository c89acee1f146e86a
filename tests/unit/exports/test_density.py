from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.exports.density import (
    FEWEST_PROBES,
    MOST_PROBES,
    PROBE_RECORDS,
    PROBES_PER_SLICE,
    Probe,
    cuts,
)
from remit.exports.pipeline import PROBES_PER_DAY
from remit.settings import Settings

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
DAY, HOUR = 86_400, 3_600
MONTH, YEAR = 31 * DAY, 365 * DAY
SLICE_ROWS = 20_000

Times = np.ndarray
"""Seconds from the start of the range, in order."""


class Index:
    """Records at known times, as the probes see them: to the second, a few at a time."""

    def __init__(self, times: Times, seconds: int) -> None:
        self.times = np.sort(times)
        self.start, self.end = START, START + timedelta(seconds=seconds)
        self.probed: list[datetime] = []

    def probe_all(self, places: Sequence[datetime]) -> list[Probe]:
        self.probed += places
        return [self._probe(place) for place in places]

    def _probe(self, place: datetime) -> Probe:
        first = int(np.searchsorted(self.times, (place - self.start).total_seconds()))
        found = self.times[first : first + PROBE_RECORDS]
        if len(found) < PROBE_RECORDS:
            return Probe(len(found), None)
        return Probe(len(found), self.start + timedelta(seconds=int(found[-1])))

    def cut(self, **changes: int) -> list[datetime]:
        asked = {
            "expected": len(self.times),
            "slice_rows": SLICE_ROWS,
            "most_slices": 64,
            **changes,
        }
        return cuts(self.start, self.end, self.probe_all, **asked)

    def slices(self, found: list[datetime]) -> list[int]:
        """The records of each slice."""
        edges = [(cut - self.start).total_seconds() for cut in found]
        at = np.searchsorted(self.times, edges)
        return np.diff([0, *at, len(self.times)]).tolist()


def even(random: np.random.Generator) -> Index:
    return Index(random.uniform(0, MONTH, 300_000), MONTH)


def one_heavy_day(random: np.random.Generator) -> Index:
    usual, sale = random.uniform(0, MONTH, 150_000), random.uniform(10 * DAY, 11 * DAY, 150_000)
    return Index(np.concatenate([usual, sale]), MONTH)


def business_hours(random: np.random.Generator) -> Index:
    days, hours = random.integers(0, 31, 300_000), random.uniform(9, 17, 300_000)
    return Index(days * DAY + hours * HOUR, MONTH)


def two_hour_spike(random: np.random.Generator) -> Index:
    usual = random.uniform(0, MONTH, 200_000)
    spike = random.uniform(20.4 * DAY, 20.4 * DAY + 2 * HOUR, 100_000)
    return Index(np.concatenate([usual, spike]), MONTH)


def year_with_one_heavy_day(random: np.random.Generator) -> Index:
    usual, sale = random.uniform(0, YEAR, 300_000), random.uniform(327 * DAY, 328 * DAY, 200_000)
    return Index(np.concatenate([usual, sale]), YEAR)


def growing(random: np.random.Generator) -> Index:
    return Index(YEAR * np.sqrt(random.uniform(0, 1, 300_000)), YEAR)


SHAPES = [
    even,
    one_heavy_day,
    business_hours,
    two_hour_spike,
    year_with_one_heavy_day,
    growing,
]
Shape = Callable[[np.random.Generator], Index]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_heaviest_slice_is_at_most_half_as_much_again_as_the_mean(shape: Shape) -> None:
    for seed in range(3):
        index = shape(np.random.default_rng(seed))
        sizes = index.slices(index.cut())
        assert len(sizes) >= len(index.times) / SLICE_ROWS / 1.2
        assert max(sizes) <= 1.5 * sum(sizes) / len(sizes), (seed, sizes)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("most_slices", [64, 4])
def test_probes_are_counted_by_the_slices_and_no_place_is_probed_twice(
    shape: Shape, most_slices: int
) -> None:
    index = shape(np.random.default_rng(1))
    index.cut(most_slices=most_slices)
    slices = min(-(-len(index.times) // SLICE_ROWS), most_slices)
    assert slices * PROBES_PER_SLICE / 2 < len(index.probed) <= slices * PROBES_PER_SLICE
    assert len(set(index.probed)) == len(index.probed)


def test_a_slice_of_the_usual_size_is_probed_at_a_five_hundredth_of_its_records() -> None:
    read = PROBES_PER_SLICE * PROBE_RECORDS
    assert read * 500 <= Settings().slice_rows


@pytest.mark.parametrize("most_slices", [2, 4, 8])
@pytest.mark.parametrize("shape", [one for one in SHAPES if one is not two_hour_spike])
def test_a_few_slices_are_as_even_wherever_a_peak_lasts_a_day(
    shape: Shape, most_slices: int
) -> None:
    for seed in range(3):
        index = shape(np.random.default_rng(seed))
        days = (index.end - index.start).days
        fewest = max(days * PROBES_PER_DAY, FEWEST_PROBES)
        sizes = index.slices(index.cut(most_slices=most_slices, fewest_probes=fewest))
        assert len(sizes) == most_slices
        assert max(sizes) <= 1.5 * sum(sizes) / len(sizes), (seed, sizes)


@pytest.mark.parametrize(
    ("expected", "most_slices", "fewest", "most"),
    [
        (0, 64, FEWEST_PROBES, FEWEST_PROBES),
        (10**9, 64, FEWEST_PROBES, 64 * PROBES_PER_SLICE),
        (10**9, 1000, FEWEST_PROBES, MOST_PROBES),
        (10**9, 3, FEWEST_PROBES, 3 * PROBES_PER_SLICE),
        (0, 64, 730, 730),
        (0, 64, 10**6, MOST_PROBES),
    ],
)
def test_the_probes_are_bounded_whatever_is_expected(
    expected: int, most_slices: int, fewest: int, most: int
) -> None:
    index = even(np.random.default_rng(1))
    index.cut(expected=expected, most_slices=most_slices, fewest_probes=fewest)
    assert len(index.probed) <= most


@pytest.mark.parametrize("expected", [1_000, 50_000_000])
def test_a_guess_that_is_far_off_still_cuts(expected: int) -> None:
    index = even(np.random.default_rng(1))
    sizes = index.slices(index.cut(expected=expected))
    assert max(sizes) <= 1.5 * sum(sizes) / len(sizes)


COUNTS = st.lists(
    st.tuples(st.integers(0, MONTH - 1), st.integers(1, DAY), st.integers(0, 30_000)), max_size=4
)


@settings(max_examples=40, deadline=None)
@given(COUNTS, st.integers(1, 64), st.integers(500, 20_000))
def test_slices_cover_the_range_end_to_end_and_none_is_empty_of_time(
    bursts: list[tuple[int, int, int]], most: int, slice_rows: int
) -> None:
    random = np.random.default_rng(1)
    times = [random.uniform(at, min(at + width, MONTH), count) for at, width, count in bursts]
    index = Index(np.concatenate([np.empty(0), *times]), MONTH)

    found = index.cut(most_slices=most, slice_rows=slice_rows)

    edges = [index.start, *found, index.end]
    assert all(before < after for before, after in pairwise(edges))
    assert all(cut.microsecond == 0 for cut in found)
    assert len(found) < most
    assert sum(index.slices(found)) == len(index.times)


def test_an_empty_range_is_one_slice() -> None:
    assert Index(np.empty(0), MONTH).cut(expected=100_000) == []


def test_a_range_without_time_is_one_slice() -> None:
    assert Index(np.zeros(5), 0).cut(expected=100_000) == []


def test_fewer_rows_than_a_slice_are_one_slice() -> None:
    assert Index(np.random.default_rng(1).uniform(0, MONTH, SLICE_ROWS // 2), MONTH).cut() == []


def test_what_is_small_stays_together() -> None:
    index = even(np.random.default_rng(1))
    assert index.cut(small_rows=10**6) == []


def test_everything_in_one_second_cannot_be_cut() -> None:
    index = Index(np.full(200_000, 12 * DAY + 0.5), MONTH)
    sizes = index.slices(index.cut())
    assert max(sizes) == 200_000
    assert len(index.probed) <= len(index.times) / SLICE_ROWS * PROBES_PER_SLICE


def test_no_more_slices_than_allowed() -> None:
    index = even(np.random.default_rng(1))
    assert len(index.slices(index.cut(most_slices=3))) == 3
    assert index.cut(most_slices=1) == []
