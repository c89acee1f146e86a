"""On a stack: from an event's acceptance to its webhook's first attempt, beside a bare run, and the
same while one endpoint fails.

A sample begins before the event is published, in the outbox's transaction; then a run of
`deliver_webhooks` is started as the trigger hook starts runs; it ends when the whole request has
arrived at the receiver. A bare run is one task that does nothing, from its trigger until it is seen
to have succeeded (benchmarks/latency.py). They take turns. Between two samples the machine comes to
rest, so that neither shares it with what the other has left.

The failing endpoint has a backlog when it begins to fail, gets one more webhook with each sample,
and has failed for a while before the first of them. The same samples are taken before it fails and
after it was mended: half and half.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from benchmarks.figures import BenchmarkFailed, Figure
from benchmarks.latency import p95
from benchmarks.webhooks.dataset import Due, Fleet
from benchmarks.webhooks.inbox import Arrival
from benchmarks.webhooks.outcome import Outcome
from benchmarks.webhooks.plan import Plan
from benchmarks.webhooks.stage import DELIVERY, Stage, stage

OVER_BARE_SECONDS = 1.0
MOST_AFFECTED = 1.2
WARM_UP = 3

_HEALTHY = 10  # merchants, in turn
_TIMEOUT_SECONDS = 120.0
_MENDED_SECONDS = 300.0


@dataclass
class Samples:
    """Seconds of each kind."""

    bare: list[float] = field(default_factory=list)
    healthy: list[float] = field(default_factory=list)
    """First attempts while no endpoint fails."""
    beside_failing: list[float] = field(default_factory=list)
    failed_attempts: int = 0
    """Of the endpoint that fails."""
    failing_seconds: float = 0.0
    """From its first failure to its last."""


class Publisher:
    """Publishes to merchants in turn, and measures."""

    def __init__(self, at: Stage, plan: Plan) -> None:
        self._stage = at
        self._plan = plan
        self._numbers = itertools.count()
        self.fleet = Fleet(at.inbox.url, _HEALTHY)
        self._failing = _HEALTHY

    def set_up(self) -> None:
        """Write the merchants; the failing one's endpoint is whole so far."""
        self._stage.add(self.fleet)
        self._point("")

    def first_attempt(self, *, beside: bool = False) -> float:
        """Seconds from an event's publication to its webhook's arrival."""
        while True:
            due = self._due()
            if beside:
                self._publish_failing(1)
            started = time.time()
            self._stage.outbox.publish(due.event())
            run = self._stage.start(DELIVERY)
            self._stage.inbox.await_webhooks({due.id}, _TIMEOUT_SECONDS)
            if run.attempts == 1:  # else it waited for SQLite, which a bare run does not count
                return self._arrival(due).at - started

    @contextmanager
    def failing(self) -> Iterator[None]:
        """One endpoint fails until the end of the block; it has failed for a while at the
        beginning."""
        self._point("?status=500")
        self._publish_failing(self._plan.failing_backlog)
        self._stage.start(DELIVERY)
        time.sleep(self._plan.failing_seconds)
        if not self.failures():
            raise BenchmarkFailed("the endpoint that was to fail has not been asked")
        yield
        self._point("")

    def failures(self) -> list[Arrival]:
        """The requests to the endpoint that fails."""
        path = f"/failing-{self._failing}"
        return [one for one in self._stage.inbox.arrivals() if one.path == path]

    def _publish_failing(self, count: int) -> None:
        due = [self._due(self._failing) for _ in range(count)]
        self._stage.publish_due(due, datetime.now(UTC))

    def _due(self, merchant: int | None = None) -> Due:
        number = next(self._numbers)
        chosen = number % _HEALTHY if merchant is None else merchant
        return Due(number, chosen, datetime.now(UTC), self._plan.payload_bytes)

    def _arrival(self, due: Due) -> Arrival:
        return next(one for one in self._stage.inbox.arrivals() if one.id == due.id)

    def _point(self, query: str) -> None:
        """Set the URL of the endpoint that fails: whole, it has another path."""
        path = f"/failing-{self._failing}{query}" if query else "/mended"
        record = Fleet(self._stage.inbox.url, self._failing + 1).merchants[self._failing]
        changed = {**record, "webhookURL": f"{self._stage.inbox.url}{path}"}
        self._stage.services().tables.merchants.put(changed)


def first_attempts(plan: Plan) -> Outcome:
    """Before, while and after one endpoint fails."""
    with stage(plan) as at:
        at.await_dag("bare")
        publisher, samples = Publisher(at, plan), Samples()
        publisher.set_up()
        for _ in range(WARM_UP):
            at.rest()
            at.bare()
            publisher.first_attempt()
        before = plan.events // 2
        _take_turns(at, publisher, samples, before)
        with publisher.failing():
            _beside_failing(at, publisher, samples, plan.events)
        _await_mended(at)
        _take_turns(at, publisher, samples, plan.events - before)
    return Outcome(figures_of(samples), runs_of(samples))


def figures_of(samples: Samples) -> dict[str, Figure]:
    """The 95th percentiles, and their bars."""
    bare, healthy, beside = map(p95, (samples.bare, samples.healthy, samples.beside_failing))
    return {
        "event accepted to first attempt, p95, s": Figure(healthy, bare + OVER_BARE_SECONDS),
        "first attempts' p95, one endpoint failing against none": Figure(
            beside / healthy, MOST_AFFECTED
        ),
        "bare run, p95, s": Figure(bare),
        "bare run, median, s": Figure(statistics.median(samples.bare)),
        "event accepted to first attempt, median, s": Figure(statistics.median(samples.healthy)),
        "first attempts' p95 beside a failing endpoint, s": Figure(beside),
        "minutes for which the endpoint failed": Figure(samples.failing_seconds / 60),
    }


def runs_of(samples: Samples) -> Mapping[str, object]:
    """As JSON has them."""
    return {
        "bare_s": samples.bare,
        "first_attempt_s": samples.healthy,
        "first_attempt_beside_failing_s": samples.beside_failing,
        "failed_attempts": samples.failed_attempts,
    }


def _take_turns(at: Stage, publisher: Publisher, samples: Samples, count: int) -> None:
    for number in range(count):
        at.rest()
        samples.bare.append(at.bare())
        at.rest()
        samples.healthy.append(publisher.first_attempt())
        print(
            f"  {number + 1:3} of {count}   bare run {samples.bare[-1]:6.2f} s"
            f"   first attempt {samples.healthy[-1]:6.2f} s",
            flush=True,
        )


def _beside_failing(at: Stage, publisher: Publisher, samples: Samples, count: int) -> None:
    for number in range(count):
        at.rest()
        samples.beside_failing.append(publisher.first_attempt(beside=True))
        print(
            f"  {number + 1:3} of {count}   first attempt beside a failing endpoint"
            f" {samples.beside_failing[-1]:6.2f} s",
            flush=True,
        )
    failures = publisher.failures()
    samples.failed_attempts = len(failures)
    samples.failing_seconds = failures[-1].at - failures[0].at


def _await_mended(at: Stage) -> None:
    """Wait until nothing is left in the queue that the failing endpoint has put there."""
    waiting: Sequence[str] = ["?"]
    deadline = time.monotonic() + _MENDED_SECONDS
    queue = at.services().webhook_queue
    while waiting and time.monotonic() < deadline:
        at.start(DELIVERY)
        at.rest()
        waiting = queue.due(1)
