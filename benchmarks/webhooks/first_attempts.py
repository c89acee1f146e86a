"""On a stack: from an event's acceptance to its webhook's first attempt, beside a bare run, and the
same while one endpoint hangs.

A sample begins before the event is published, in the outbox's transaction; then a run of
`deliver_webhooks` is started through Airflow's REST API; it ends when the whole request has
arrived at the receiver. A bare run is one task that does nothing, from its trigger until it is
seen to have succeeded (benchmarks/latency.py). They take turns. Between two samples the machine
comes to rest, so that neither shares it with what the other has left.

The benchmark starts the run itself, as a producer does that wants its first attempt at once. A task
with the outlet `remit_outbox`, as those of exports are, has Airflow start it when it succeeds; who
does neither waits for the schedule, up to a minute. Neither of these two is measured here.

Then two series at a fixed pace, with no rest between the samples: what the one before has left is
there for the next. With each sample one more webhook goes to one other endpoint. In the first
series that is as well as all others. In the second it takes requests and never answers, from the
first sample on, and has a backlog: first attempts are beside its attempts, its retries and its
breaker. Samples begin at the same seconds of a minute in both series, so that the schedule's own
runs, which begin with the minute, meet as many of one as of the other.
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

_HEALTHY = 10  # merchants, in turn; the endpoint that hangs later is that of one more
_TIMEOUT_SECONDS = 120.0
_HANGING = "/hanging"


@dataclass
class Samples:
    """Seconds of each kind."""

    bare: list[float] = field(default_factory=list)
    rested: list[float] = field(default_factory=list)
    """First attempts in turn with bare runs, from rest."""
    paced: list[float] = field(default_factory=list)
    """First attempts at a fixed pace, while no endpoint fails."""
    beside_failing: list[float] = field(default_factory=list)
    """The same while one hangs."""
    failed_attempts: int = 0
    """Of the endpoint that hangs."""
    failing_seconds: float = 0.0
    """From its first failure to the last sample beside it."""


class Publisher:
    """Publishes to merchants in turn, and measures."""

    def __init__(self, at: Stage, plan: Plan) -> None:
        self._stage = at
        self._plan = plan
        self._numbers = itertools.count()
        self._healthy = itertools.cycle(range(_HEALTHY))
        self._fleet = Fleet(at.inbox.url, _HEALTHY + 1)

    def set_up(self) -> None:
        """Write the merchants; nobody's endpoint fails."""
        self._stage.add(self._fleet)

    def hang(self) -> None:
        """From now on the last merchant's endpoint hangs."""
        hanging = f"{self._stage.inbox.url}{_HANGING}?hang=1"
        changed = {**self._fleet.merchants[_HEALTHY], "webhookURL": hanging}
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

    def publish_to_last(self, count: int) -> None:
        """Publish to the last merchant, whose endpoint may hang."""
        now = datetime.now(UTC)
        self._stage.publish_due([self._due(_HEALTHY) for _ in range(count)], now)

    def failures(self) -> list[Arrival]:
        """The requests to the endpoint that hangs.

        Raises:
            BenchmarkFailed: there are none.
        """
        failures = [one for one in self._stage.inbox.arrivals() if one.path == _HANGING]
        if not failures:
            raise BenchmarkFailed("the endpoint that was to hang has not been asked")
        return failures

    def _due(self, merchant: int) -> Due:
        return Due(next(self._numbers), merchant, datetime.now(UTC), self._plan.payload_bytes)

    def _arrival(self, due: Due) -> Arrival:
        return next(one for one in self._stage.inbox.arrivals() if one.id == due.id)


def first_attempts(plan: Plan) -> Outcome:
    """From rest; then at a pace, before one endpoint hangs and while it does."""
    with stage(plan) as at:
        at.await_dag("bare")
        publisher, samples = Publisher(at, plan), Samples()
        publisher.set_up()
        for _ in range(WARM_UP):
            at.rest()
            at.bare()
            publisher.first_attempt()
        _take_turns(at, publisher, samples, plan.events)
        samples.paced = _at_a_pace(publisher, plan, "no endpoint failing")
        _beside_failing(at, publisher, samples, plan)
    return Outcome(figures_of(samples), runs_of(samples))


def figures_of(samples: Samples) -> dict[str, Figure]:
    """The 95th percentiles, and their bars."""
    bare, rested, paced, beside = map(
        p95, (samples.bare, samples.rested, samples.paced, samples.beside_failing)
    )
    return {
        "event accepted to first attempt, p95, s": Figure(rested, bare + OVER_BARE_SECONDS),
        "first attempts' p95, one endpoint failing against none": Figure(
            beside / paced, MOST_AFFECTED
        ),
        "bare run, p95, s": Figure(bare),
        "bare run, median, s": Figure(statistics.median(samples.bare)),
        "event accepted to first attempt, median, s": Figure(statistics.median(samples.rested)),
        "first attempts' p95 at a pace, no endpoint failing, s": Figure(paced),
        "first attempts' p95 at a pace, one endpoint failing, s": Figure(beside),
        "minutes for which the endpoint failed": Figure(samples.failing_seconds / 60),
        "attempts at the endpoint that failed": Figure(samples.failed_attempts),
    }


def runs_of(samples: Samples) -> Mapping[str, object]:
    """As JSON has them."""
    return {
        "bare_s": samples.bare,
        "first_attempt_s": samples.rested,
        "first_attempt_at_a_pace_s": samples.paced,
        "first_attempt_at_a_pace_beside_failing_s": samples.beside_failing,
        "failed_attempts": samples.failed_attempts,
    }


def next_beat(now: float, pace: float) -> float:
    """The next moment that is a multiple of the pace: a pace that divides a minute has the same
    seconds in every minute. Unix seconds."""
    return (now // pace + 1) * pace


def _take_turns(at: Stage, publisher: Publisher, samples: Samples, count: int) -> None:
    for number in range(count):
        at.rest()
        samples.bare.append(at.bare())
        at.rest()
        samples.rested.append(publisher.first_attempt())
        print(
            f"  {number + 1:3} of {count}   bare run {samples.bare[-1]:6.2f} s"
            f"   first attempt {samples.rested[-1]:6.2f} s",
            flush=True,
        )


def _beside_failing(at: Stage, publisher: Publisher, samples: Samples, plan: Plan) -> None:
    at.rest()  # of what the series before has left, which belongs to neither
    publisher.hang()
    publisher.publish_to_last(plan.failing_backlog)
    samples.beside_failing = _at_a_pace(publisher, plan, "one endpoint hanging")
    failures = publisher.failures()
    samples.failed_attempts = len(failures)
    samples.failing_seconds = time.time() - failures[0].at


def _at_a_pace(publisher: Publisher, plan: Plan, beside: str) -> list[float]:
    """So many samples; one that takes longer than the pace is followed at the next beat."""
    seconds: list[float] = []
    for number in range(plan.events):
        time.sleep(next_beat(time.time(), plan.sample_seconds) - time.time())
        publisher.publish_to_last(1)
        seconds.append(publisher.first_attempt())
        print(
            f"  {number + 1:3} of {plan.events}   first attempt, {beside}, {seconds[-1]:6.2f} s",
            flush=True,
        )
    return seconds
