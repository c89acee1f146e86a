"""The circuit breaker of one endpoint, as this process sees it: what counts, when it opens, and the
table of its states. Pure: it is told the time and the chance, and stores nothing.

An open breaker keeps an endpoint that is down from taking the places of others, and from being hit
by its whole backlog once it is up again: one probe goes first.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Counts(StrEnum):
    """What an outcome says about the endpoint."""

    ANSWER = "it is alive"
    """Even where it refuses this webhook: to wait would change nothing for the others."""
    FAILURE = "it is down, or cannot keep up"


@dataclass(frozen=True)
class Row:
    """A range of HTTP statuses and what they count as."""

    first: int
    last: int
    counts: Counts


COUNTS = (
    Row(408, 408, Counts.FAILURE),
    Row(429, 429, Counts.FAILURE),
    Row(200, 499, Counts.ANSWER),
    Row(500, 599, Counts.FAILURE),
)
"""The first row that holds the status decides. No answer, and any other status: a failure."""


_BY_STATUS: dict[int | None, Counts] = {
    status: row.counts for row in reversed(COUNTS) for status in range(row.first, row.last + 1)
}


def counts_as(status: int | None) -> Counts:
    """What an HTTP status counts as; None stands for no answer."""
    return _BY_STATUS.get(status, Counts.FAILURE)


class State(StrEnum):
    """What a breaker lets through."""

    CLOSED = "closed"
    """Everything."""
    OPEN = "open"
    """Nothing, until a certain moment."""
    HALF_OPEN = "half-open"
    """One probe."""


class Signal(StrEnum):
    """What moves a breaker from state to state."""

    TRIPPED = "so many outcomes were failures that it opens"
    ELAPSED = "its open period is over"
    ANSWERED = "an attempt was answered"
    FAILED = "an attempt failed"
    OPENED_ELSEWHERE = "another process opened it"
    CLOSED_ELSEWHERE = "another process closed it"


MOVES: dict[tuple[State, Signal], State] = {
    (State.CLOSED, Signal.TRIPPED): State.OPEN,
    (State.CLOSED, Signal.OPENED_ELSEWHERE): State.OPEN,
    (State.OPEN, Signal.ELAPSED): State.HALF_OPEN,
    (State.OPEN, Signal.OPENED_ELSEWHERE): State.OPEN,
    (State.OPEN, Signal.CLOSED_ELSEWHERE): State.CLOSED,
    (State.HALF_OPEN, Signal.ANSWERED): State.CLOSED,
    (State.HALF_OPEN, Signal.FAILED): State.OPEN,
    (State.HALF_OPEN, Signal.OPENED_ELSEWHERE): State.OPEN,
    (State.HALF_OPEN, Signal.CLOSED_ELSEWHERE): State.CLOSED,
}
"""What is not in here changes nothing: an attempt that was under way when the breaker opened, for
one, says nothing new when it ends."""


@dataclass(frozen=True)
class BreakerPolicy:
    """When a breaker opens, and for how long."""

    window_seconds: int = 60
    outcomes: int = 10
    """So many outcomes within the window, at the least,"""
    failure_rate: float = 0.5
    """and such a share of failures among them open it."""
    failures_in_row: int = 5
    """So do as many failures in a row and no success within the window: an endpoint that hangs has
    few outcomes. A window without any outcome ends the row."""
    period: timedelta = timedelta(seconds=30)
    """How long it is open the first time; each failed probe doubles it,"""
    longest_period: timedelta = timedelta(minutes=10)
    """up to this."""
    jitter: float = 0.2
    """Every period is lengthened by up to so much of itself, never shortened."""

    def opens(self, outcomes: int, failures: int, in_row: int) -> bool:
        """Whether a closed breaker opens, by what the window holds."""
        if in_row >= self.failures_in_row and failures == outcomes:
            return True
        return outcomes >= self.outcomes and failures >= self.failure_rate * outcomes

    def open_period(self, opens: int, random: float) -> timedelta:
        """How long it stays open the first time (1), the second, …; `random` is in [0, 1)."""
        # The exponent is bounded, because a record may claim any number of openings.
        doublings = min(max(opens, 1) - 1, 32)
        return min(self.period * (1 << doublings), self.longest_period) * (1 + self.jitter * random)


class Window:
    """Outcomes of the last seconds: a ring with one bucket for each second."""

    __slots__ = ("_all", "_failed", "_second", "_slot", "failures", "in_row", "outcomes")

    def __init__(self, seconds: int) -> None:
        self._all = array("I", bytes(array("I").itemsize * seconds))
        self._failed = array("I", self._all)
        self._second = 0
        self._slot = 0
        self.outcomes = 0
        self.failures = 0
        self.in_row = 0
        """Failures since the last success."""

    def add(self, failed: bool, second: int) -> None:
        """Count an outcome; `second` is Unix time."""
        if second > self._second:  # a clock that went back counts in the latest second
            self._advance(second)
        self._all[self._slot] += 1
        self.outcomes += 1
        if failed:
            self._failed[self._slot] += 1
            self.failures += 1
            self.in_row += 1
        else:
            self.in_row = 0

    def clear(self) -> None:
        """Forget everything."""
        for slot in range(len(self._all)):
            self._all[slot] = self._failed[slot] = 0
        self.outcomes = self.failures = self.in_row = 0

    def _advance(self, second: int) -> None:
        """Move to a later second; what falls out of the window counts no more."""
        size, steps = len(self._all), second - self._second
        self._second = second
        if steps >= size:
            self.clear()
            return
        for _ in range(steps):
            self._slot = slot = (self._slot + 1) % size
            if self._all[slot]:
                self.outcomes -= self._all[slot]
                self.failures -= self._failed[slot]
                self._all[slot] = self._failed[slot] = 0


class Breaker:
    """The breaker of one endpoint; `random` returns numbers in [0, 1)."""

    __slots__ = ("_policy", "_random", "_window", "opens", "state", "until")

    def __init__(self, policy: BreakerPolicy, random: Callable[[], float]) -> None:
        self._policy = policy
        self._random = random
        self._window = Window(policy.window_seconds)
        self.state = State.CLOSED
        self.until: datetime | None = None
        """The end of the last open period; None: it is closed."""
        self.opens = 0
        """How often it opened since it was closed."""

    def record(self, counts: Counts, now: datetime) -> bool:
        """Take in the outcome of an attempt; whether the state is another for it."""
        failed = counts is Counts.FAILURE
        if self.state is State.CLOSED:
            window = self._window
            window.add(failed, int(now.timestamp()))
            if not failed or not self._policy.opens(
                window.outcomes, window.failures, window.in_row
            ):
                return False
            self._open(Signal.TRIPPED, now)
            return True
        if self.at(now) is State.OPEN:
            return False
        if failed:
            self._open(Signal.FAILED, now)
        else:
            self._close(Signal.ANSWERED)
        return True

    def at(self, now: datetime) -> State:
        """The state at that moment: an open period ends by itself."""
        if self.state is State.OPEN and self.until is not None and now >= self.until:
            self._move(Signal.ELAPSED)
        return self.state

    def opened_elsewhere(self, until: datetime, opens: int) -> None:
        """Another process opened it until then, for the so-many-eth time in a row."""
        if self._move(Signal.OPENED_ELSEWHERE):
            self.until, self.opens = until, opens

    def closed_elsewhere(self) -> None:
        """Another process closed it."""
        self._close(Signal.CLOSED_ELSEWHERE)

    def _open(self, signal: Signal, now: datetime) -> None:
        if self._move(signal):
            self.opens += 1
            self.until = now + self._policy.open_period(self.opens, self._random())

    def _close(self, signal: Signal) -> None:
        if self._move(signal):
            self.until, self.opens = None, 0
            self._window.clear()

    def _move(self, signal: Signal) -> bool:
        """Follow the table; whether it has a move for this state."""
        following = MOVES.get((self.state, signal))
        if following is None:
            return False
        self.state = following
        return True
