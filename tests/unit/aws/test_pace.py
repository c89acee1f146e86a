from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.aws.pace import Pace


class Time:
    """A clock in seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def pace(budget: float | None = None) -> tuple[Pace, Time]:
    time = Time()
    return Pace(budget, time), time


def read(one: Pace, time: Time, *pages: float) -> float:
    """Read pages of so many units, waiting as told; returns how long that takes."""
    started = time.now
    for units in pages:
        time.now += one.wait_seconds()
        one.took(units)
    return time.now - started


def test_without_a_budget_no_page_waits() -> None:
    one, time = pace()
    assert read(one, time, *[1000.0] * 10) == 0
    assert one.wait_seconds() == 0


@pytest.mark.parametrize("budget", [None, 0, 0.0])
def test_no_budget_is_no_limit(budget: float | None) -> None:
    one, _ = pace(budget)
    one.took(1e9)
    assert one.wait_seconds() == 0


def test_the_next_page_waits_for_the_units_of_the_last() -> None:
    one, time = pace(10)
    assert one.wait_seconds() == 0
    one.took(5)
    assert one.wait_seconds() == pytest.approx(0.5)
    time.now += 0.2
    assert one.wait_seconds() == pytest.approx(0.3)
    time.now += 0.3
    assert one.wait_seconds() == pytest.approx(0, abs=1e-9)


@settings(deadline=None)
@given(st.floats(0.1, 10_000), st.lists(st.floats(0, 128), min_size=1, max_size=30))
def test_the_budget_is_kept_over_any_pages(budget: float, pages: list[float]) -> None:
    one, time = pace(budget)
    assert read(one, time, *pages) + one.wait_seconds() == pytest.approx(sum(pages) / budget)


def test_time_that_nobody_read_in_is_not_made_up_for() -> None:
    one, time = pace(10)
    time.now += 3600
    one.took(5)
    assert one.wait_seconds() == pytest.approx(0.5)


def throttled_at(rate: float, budget: float | None = None) -> tuple[Pace, Time]:
    """A pace that has reached a rate and was throttled then."""
    one, time = pace(budget)
    one.took(rate * 10)
    time.now += 10
    one.throttled()
    return one, time


@pytest.mark.parametrize("budget", [None, 1000, 10_000])
def test_being_throttled_halves_the_rate_that_was_reached(budget: float | None) -> None:
    one, _ = throttled_at(1000, budget)
    one.took(500)
    assert one.wait_seconds() == pytest.approx(1)


def test_being_throttled_again_halves_it_again() -> None:
    one, _ = throttled_at(1000)
    one.throttled()
    one.took(500)
    assert one.wait_seconds() == pytest.approx(2)


def test_it_never_stands_still_a_full_page_per_second_is_left() -> None:
    one, _ = throttled_at(1000)
    for _ in range(100):
        one.throttled()
    one.took(128)
    assert one.wait_seconds() == pytest.approx(1)


def test_a_budget_below_a_page_per_second_is_kept_under_throttling() -> None:
    one, _ = throttled_at(10, 10)
    one.took(10)
    assert one.wait_seconds() == pytest.approx(1)


def test_being_throttled_before_the_first_page_slows_nothing_down() -> None:
    one, _ = pace()
    one.throttled()
    one.took(128)
    assert one.wait_seconds() == 0


def test_every_page_that_passes_raises_the_rate_by_a_tenth() -> None:
    one, time = throttled_at(1000)
    gaps = [read(one, time, 500.0, 0.0) for _ in range(3)]
    # A page of no units raises it, too: two tenths for each pair.
    assert gaps == pytest.approx([1, 1 / 1.21, 1 / 1.21**2])


def test_it_recovers_up_to_the_budget_and_no_further() -> None:
    one, time = throttled_at(100, 100)
    read(one, time, *[1.0] * 100)
    read(one, time, 0.0)
    one.took(100)
    assert one.wait_seconds() == pytest.approx(1)
