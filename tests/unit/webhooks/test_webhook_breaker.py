from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from remit.webhooks.breaker import (
    COUNTS,
    MOVES,
    Breaker,
    BreakerPolicy,
    Counts,
    Signal,
    State,
    Window,
    counts_as,
)
from tests.support.webhooks import NOW

POLICY = BreakerPolicy()
PERIOD = POLICY.period


def breaker(state: State = State.CLOSED, random: float = 0.0) -> Breaker:
    """A breaker in that state at `NOW`."""
    made = Breaker(POLICY, lambda: random)
    if state is not State.CLOSED:
        made.opened_elsewhere(NOW + PERIOD if state is State.OPEN else NOW, 1)
        assert made.at(NOW) is state
    return made


def trip(made: Breaker) -> None:
    for _ in range(POLICY.failures_in_row):
        made.record(Counts.FAILURE, NOW)


def answer(made: Breaker) -> None:
    made.record(Counts.ANSWER, NOW)


def fail(made: Breaker) -> None:
    made.record(Counts.FAILURE, NOW)


SENT: dict[Signal, Callable[[Breaker], object]] = {
    Signal.TRIPPED: trip,
    Signal.ELAPSED: lambda made: made.at(NOW + PERIOD),
    Signal.ANSWERED: answer,
    Signal.FAILED: fail,
    Signal.OPENED_ELSEWHERE: lambda made: made.opened_elsewhere(NOW + PERIOD, 2),
    Signal.CLOSED_ELSEWHERE: lambda made: made.closed_elsewhere(),
}


@pytest.mark.parametrize(
    ("state", "signal"),
    # Many failures begin with one, which is a signal of its own in a half-open breaker.
    [pair for pair in product(State, Signal) if pair != (State.HALF_OPEN, Signal.TRIPPED)],
)
def test_every_signal_in_every_state_leads_where_the_table_says(
    state: State, signal: Signal
) -> None:
    made = breaker(state)
    SENT[signal](made)
    assert made.state is MOVES.get((state, signal), state)
    assert (made.until is None) == (made.opens == 0) == (made.state is State.CLOSED)


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        (None, Counts.FAILURE),
        (100, Counts.FAILURE),
        (200, Counts.ANSWER),
        (204, Counts.ANSWER),
        (302, Counts.ANSWER),
        (400, Counts.ANSWER),
        (404, Counts.ANSWER),
        (408, Counts.FAILURE),
        (410, Counts.ANSWER),
        (429, Counts.FAILURE),
        (499, Counts.ANSWER),
        (500, Counts.FAILURE),
        (503, Counts.FAILURE),
        (599, Counts.FAILURE),
        (600, Counts.FAILURE),
    ],
)
def test_what_a_status_counts_as(status: int | None, counts: Counts) -> None:
    assert counts_as(status) is counts


@pytest.mark.parametrize("row", COUNTS, ids=lambda row: f"{row.first}-{row.last}")
def test_every_row_of_the_table_decides_its_first_and_last_status(row) -> None:
    assert counts_as(row.first) is counts_as(row.last) is row.counts


@pytest.mark.parametrize(
    ("outcomes", "failures", "in_row", "opens"),
    [
        (4, 4, 4, False),
        (5, 5, 5, True),
        (6, 5, 5, False),  # a success within the window
        (1, 1, 5, True),  # the others of the row are older than the window
        (9, 8, 3, False),
        (10, 5, 1, True),
        (10, 4, 4, False),
        (1000, 499, 300, False),
        (1000, 500, 1, True),
    ],
)
def test_when_a_breaker_opens(outcomes: int, failures: int, in_row: int, opens: bool) -> None:
    assert POLICY.opens(outcomes, failures, in_row) is opens


def test_an_endpoint_that_hangs_one_request_at_a_time_is_found_in_its_fifth() -> None:
    made = breaker()
    changed = [
        made.record(Counts.FAILURE, NOW + timedelta(seconds=15 * number)) for number in range(5)
    ]
    assert changed == [False, False, False, False, True]


def test_a_silent_window_ends_a_row_of_failures() -> None:
    made = breaker()
    for minutes in range(20):
        assert not made.record(Counts.FAILURE, NOW + timedelta(minutes=2 * minutes))


@given(opens=st.integers(-5, 10**30), random=st.floats(0, 1, exclude_max=True))
def test_open_periods_double_up_to_ten_minutes_and_are_only_lengthened(
    opens: int, random: float
) -> None:
    base = POLICY.open_period(opens, 0.0)
    assert timedelta(seconds=30) <= base <= timedelta(minutes=10)
    assert base <= POLICY.open_period(opens, random) <= base * 1.2
    assert POLICY.open_period(opens + 1, 0.0) in {base, base * 2, timedelta(minutes=10)}


def test_failed_probes_double_the_open_period_and_an_answered_one_begins_anew() -> None:
    made, now = breaker(), NOW
    trip(made)
    for seconds in (30, 60, 120, 240, 480, 600, 600):
        assert made.until == now + timedelta(seconds=seconds)
        now = made.until
        assert made.record(Counts.FAILURE, now)
    assert made.until is not None
    assert made.record(Counts.ANSWER, made.until)
    trip(made)
    assert made.until == NOW + PERIOD


def test_the_jitter_lengthens_an_open_period() -> None:
    made = breaker(random=0.5)
    trip(made)
    assert made.until == NOW + PERIOD * 1.1


def test_what_was_before_the_closing_counts_no_more() -> None:
    made = breaker()
    trip(made)
    assert made.until is not None
    made.record(Counts.ANSWER, made.until)
    for _ in range(POLICY.failures_in_row - 1):
        assert not made.record(Counts.FAILURE, made_at := NOW + PERIOD)
    assert made.record(Counts.FAILURE, made_at)


def test_attempts_that_end_while_it_is_open_change_nothing() -> None:
    made = breaker()
    trip(made)
    before = (made.until, made.opens)
    assert not made.record(Counts.FAILURE, NOW + PERIOD / 2)
    assert not made.record(Counts.ANSWER, NOW + PERIOD / 2)
    assert (made.state, made.until, made.opens) == (State.OPEN, *before)


class WindowMachine(RuleBasedStateMachine):
    """A window beside a list of all outcomes."""

    def __init__(self) -> None:
        super().__init__()
        self.window = Window(60)
        self.second = 1_000
        self.all: list[tuple[int, bool]] = []

    @rule(failed=st.booleans(), times=st.integers(1, 5))
    def outcome(self, failed: bool, times: int) -> None:
        for _ in range(times):
            self.window.add(failed, self.second)
            self.all.append((self.second, failed))

    @rule(seconds=st.one_of(st.integers(1, 5), st.integers(50, 70), st.integers(1, 10**6)))
    def time_passes(self, seconds: int) -> None:
        self.second += seconds

    @rule(seconds=st.integers(1, 100), failed=st.booleans())
    def outcome_by_a_clock_that_went_back(self, seconds: int, failed: bool) -> None:
        self.window.add(failed, self.latest - seconds)
        self.all.append((self.latest, failed))

    @property
    def latest(self) -> int:
        return self.all[-1][0] if self.all else 0

    @invariant()
    def it_counts_what_the_last_minute_held_at_the_latest_outcome(self) -> None:
        held = [failed for second, failed in self.all if second > self.latest - 60]
        assert (self.window.outcomes, self.window.failures) == (len(held), sum(held))

    @invariant()
    def a_row_is_ended_by_a_success_or_a_silent_minute(self) -> None:
        row, earlier = 0, 0
        for second, failed in self.all:
            before = 0 if second - earlier >= 60 else row
            row, earlier = before + 1 if failed else 0, second
        assert self.window.in_row == row


TestWindow = WindowMachine.TestCase
TestWindow.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
