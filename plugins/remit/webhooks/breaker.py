"""The circuit breaker of one endpoint: when its failures mean that it is left alone for a while.

closed ──failures──► open ──the period is over──► half-open ──a success──► closed
                       ▲                             │
                       └────────── a failure ────────┘

While it is half-open one probe goes out, over all deliverers; `health` sees to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

WINDOW_SECONDS = 60
_BUCKET_SECONDS = 10
_BUCKETS = WINDOW_SECONDS // _BUCKET_SECONDS


class State(StrEnum):
    """What a breaker lets through: all, nothing, one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True)
class BreakerPolicy:
    """When a breaker opens, and for how long.

    At `failure_rate` over at least `least_outcomes` in the window, or after `in_a_row` failures
    without a success in it. The period doubles every time that a probe fails, up to `longest`.
    """

    least_outcomes: int = 10
    failure_rate: float = 0.5
    in_a_row: int = 5
    first: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(minutes=10)

    def period(self, opens: int) -> timedelta:
        """How long it stays open at the n-th opening without a success between (at least 1)."""
        return min(self.first * (1 << min(opens - 1, 16)), self.longest)


@dataclass(frozen=True)
class Verdict:
    """One row of `VERDICTS`: a range of HTTP statuses and whether they count as failures."""

    first: int
    last: int
    fails: bool


VERDICTS = (
    Verdict(408, 408, fails=True),
    Verdict(429, 429, fails=True),
    Verdict(100, 499, fails=False),  # an answer, of an endpoint that is alive
    Verdict(500, 599, fails=True),
)
"""The first row that holds the status decides. No answer, and any other status: a failure."""


def is_failure(status: int | None) -> bool:
    """Whether an attempt's HTTP status (None: no answer) counts as a failure of the endpoint."""
    if status is not None:
        for verdict in VERDICTS:
            if verdict.first <= status <= verdict.last:
                return verdict.fails
    return True


class Breaker:
    """What this process has seen of an endpoint, and when it is asked again."""

    def __init__(self, policy: BreakerPolicy = BreakerPolicy()) -> None:
        self._policy = policy
        self._forget()
        self.opens = 0
        """Openings without a success between them."""
        self.open_until: datetime | None = None

    def state(self, now: datetime) -> State:
        """What it lets through at an instant."""
        if self.open_until is None:
            return State.CLOSED
        return State.OPEN if now < self.open_until else State.HALF_OPEN

    def record(self, now: datetime, *, failed: bool) -> bool:
        """An attempt has ended; True: the breaker has changed with it.

        While it is open, failures of attempts that were under way change nothing.
        """
        if not failed:
            was_open = self.open_until is not None
            if was_open:
                self._forget()
                self.open_until, self.opens = None, 0
            self._count(now, failed=False)
            return was_open
        state = self.state(now)
        if state is State.OPEN:
            return False
        self._count(now, failed=True)
        if state is State.HALF_OPEN or self._fails():
            self.open(now)
            return True
        return False

    def open(self, now: datetime) -> None:
        """Let nothing through for a period."""
        self.opens += 1
        self.open_until = now + self._policy.period(self.opens)
        self._forget()

    def _forget(self) -> None:
        self._ok = [0] * _BUCKETS
        self._failed = [0] * _BUCKETS
        self._bucket = -1

    def _count(self, now: datetime, *, failed: bool) -> None:
        bucket = int(now.timestamp()) // _BUCKET_SECONDS
        if bucket != self._bucket:
            passed = min(bucket - self._bucket, _BUCKETS) if self._bucket >= 0 else _BUCKETS
            for old in range(bucket - passed + 1, bucket + 1):
                self._ok[old % _BUCKETS] = self._failed[old % _BUCKETS] = 0
            self._bucket = bucket
        (self._failed if failed else self._ok)[bucket % _BUCKETS] += 1

    def _fails(self) -> bool:
        policy, failed, ok = self._policy, sum(self._failed), sum(self._ok)
        if ok == 0 and failed >= policy.in_a_row:
            return True
        total = failed + ok
        return total >= policy.least_outcomes and failed >= policy.failure_rate * total
