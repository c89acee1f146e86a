"""On a stack: from an event's acceptance to its webhook's first attempt, beside a bare run, and the
same while one endpoint fails.

A sample begins before the event is published, in the outbox's transaction; then a run of
`deliver_webhooks` is started as the trigger hook starts runs; it ends when the whole request has
arrived at the receiver. A bare run is one task that does nothing, from its trigger until it is seen
to have succeeded (benchmarks/latency.py). They take turns. Between two samples the machine comes to
rest, so that neither shares it with what the other has left.

Then one endpoint fails: it answers 500 to a backlog of webhooks, and to one more with each sample,
and has done so for a while before the first of them.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Mapping
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
_FAILING = "/failing"


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
    """From its first failure to the last sample beside it."""


class Publisher:
    """Publishes to merchants in turn, and measures."""

    def __init__(self, at: Stage, plan: Plan) -> None:
        self._stage = at
        self._plan = plan
        self._numbers = itertools.count()
        self._healthy = itertools.cycle(range(_HEALTHY))

    def set_up(self) -> None:
        """Write the merchants; the last one's endpoint fails whatever it gets."""
        fleet = Fleet(self._stage.inbox.url, _HEALTHY + 1)
        self._stage.add(fleet)
        failing = f"{self._stage.inbox.url}{_FAILING}?status=500"
        changed = {**fleet.merchants[_HEALTHY], "webhookURL": failing}
        self._stage.services().tables.merchants.put(changed)

    def first_attempt(self) -> float:
        """Seconds from an event's publication to its webhook's arrival."""
        while True:
            due = self._due(next(self._healthy))
            started = time.time()
            self._stage.outbox.publish(due.event())
            run = self._stage.start(DELIVERY)
            self._stage.inbox.await_webhooks({due.id}, _TIMEOUT_SECONDS)
            if run.attempts == 1:  # else it waited for SQLite, which a bare run does not count
                return self._arrival(due).at - started

    def publish_failing(self, count: int) -> None:
        """Publish to the endpoint that fails."""
        now = datetime.now(UTC)
        self._stage.publish_due([self._due(_HEALTHY) for _ in range(count)], now)

    def failures(self) -> list[Arrival]:
        """The requests to the endpoint that fails.

        Raises:
            BenchmarkFailed: there are none.
        """
        failures = [one for one in self._stage.inbox.arrivals() if one.path == _FAILING]
        if not failures:
            raise BenchmarkFailed("the endpoint that was to fail has not been asked")
        return failures

    def _due(self, merchant: int) -> Due:
        return Due(next(self._numbers), merchant, datetime.now(UTC), self._plan.payload_bytes)

    def _arrival(self, due: Due) -> Arrival:
        return next(one for one in self._stage.inbox.arrivals() if one.id == due.id)


def first_attempts(plan: Plan) -> Outcome:
    """Before one endpoint fails, and while it does."""
    with stage(plan) as at:
        at.await_dag("bare")
        publisher, samples = Publisher(at, plan), Samples()
        publisher.set_up()
        for _ in range(WARM_UP):
            at.rest()
            at.bare()
            publisher.first_attempt()
        _take_turns(at, publisher, samples, plan.events)
        _beside_failing(at, publisher, samples, plan)
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
        "attempts at the endpoint that failed": Figure(samples.failed_attempts),
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


def _beside_failing(at: Stage, publisher: Publisher, samples: Samples, plan: Plan) -> None:
    publisher.publish_failing(plan.failing_backlog)
    at.start(DELIVERY)
    time.sleep(plan.failing_seconds)
    begun = publisher.failures()[0].at
    for number in range(plan.events):
        at.rest()
        publisher.publish_failing(1)
        samples.beside_failing.append(publisher.first_attempt())
        print(
            f"  {number + 1:3} of {plan.events}   first attempt beside a failing endpoint"
            f" {samples.beside_failing[-1]:6.2f} s",
            flush=True,
        )
    samples.failed_attempts = len(publisher.failures())
    samples.failing_seconds = time.time() - begun
