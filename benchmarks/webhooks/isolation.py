"""How long healthy endpoints wait while half of the endpoints hang, and while none does.

Webhooks come due one after the other, at a pace below what a deliverer can do, and are there
before: so that each is due at an instant that nobody's load moves. Deliverers come as the schedule
lets them, one at the beginning of each minute. Latency is from `dueAt` to the arrival of the whole
request, of the same endpoints in both cases: those that never hang.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.figures import BenchmarkFailed, Figure
from benchmarks.processes import Subject, started
from benchmarks.webhooks.checks import check_arrivals
from benchmarks.webhooks.dataset import Due, Fleet, load, paced
from benchmarks.webhooks.inbox import Arrival, Inbox, inbox
from benchmarks.webhooks.measuring import Parameters
from benchmarks.webhooks.outcome import Outcome
from benchmarks.webhooks.plan import Plan
from benchmarks.webhooks.store import Store, empty_store

SHIFT_SECONDS = 60.0
"""How long a deliverer is on duty: the next one comes with the next minute."""

_HEAD_START_SECONDS = 1.0  # of the first deliverer
_LOADED_PER_SECOND = 1_000  # at the least
_QUIET_SECONDS = 2.0  # in which the last ones arrive and nobody asks the receiver anything
_DRAIN_SECONDS = 30.0


@dataclass(frozen=True)
class Latencies:
    """Seconds from due to arrival of the webhooks of healthy endpoints, in one run."""

    hanging: int
    """Endpoints that hung."""
    seconds: tuple[float, ...]


def isolation(plan: Plan) -> Outcome:
    """In turns, so that both see the same machine."""
    half = plan.isolation_endpoints // 2
    runs: list[Latencies] = []
    for number in range(plan.isolation_rounds):
        print(f"round {number + 1} of {plan.isolation_rounds}", flush=True)
        for hanging in (0, half) if number % 2 == 0 else (half, 0):
            one = _run(plan, hanging)
            runs.append(one)
            print(
                f"  {hanging} of {plan.isolation_endpoints} endpoints hang:"
                f" {len(one.seconds):,} webhooks of the others,"
                f" p50 {statistics.median(one.seconds) * 1e3:.0f} ms,"
                f" p99 {p99(one.seconds) * 1e3:.0f} ms",
                flush=True,
            )
    return Outcome(figures_of(runs), {"latencies": [_summary(one) for one in runs]})


def figures_of(runs: Sequence[Latencies]) -> dict[str, Figure]:
    """The 99th percentiles over all runs of a kind, and their ratio."""
    none, half = (
        p99([s for run in runs if bool(run.hanging) is hangs for s in run.seconds])
        for hangs in (False, True)
    )
    return {
        "healthy endpoints' p99, half hanging against none": Figure(half / none, 1.2),
        "healthy endpoints' p99, none hanging, ms": Figure(none * 1e3),
        "healthy endpoints' p99, half hanging, ms": Figure(half * 1e3),
    }


def latencies_of(arrivals: Sequence[Arrival], due: Sequence[Due]) -> tuple[float, ...]:
    """Seconds from due to arrival.

    Raises:
        BenchmarkFailed: one arrived before it was due.
    """
    due_at = {one.id: one.at.timestamp() for one in due}
    seconds = tuple(arrival.at - due_at[arrival.id] for arrival in arrivals)
    if min(seconds) < 0:
        raise BenchmarkFailed(f"a webhook arrived {-min(seconds):.3f} s before it was due")
    return seconds


def p99(values: Sequence[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100)[-1]


def _run(plan: Plan, hanging: int) -> Latencies:
    name = f"{hanging} of {plan.isolation_endpoints} endpoints hang"
    with empty_store() as store, inbox() as received:
        fleet = Fleet(received.url, plan.isolation_endpoints, hanging)
        with ExitStack() as stack:
            shifts = [stack.enter_context(one) for one in _shifts(plan, store, received)]
            for shift in shifts:
                shift.await_ready()
            due = _load(plan, store, fleet)
            healthy = [one for one in due if one.merchant >= plan.isolation_endpoints // 2]
            _serve(shifts, due, healthy, received)
        paths = {one.path for one in healthy}
        arrivals = [arrival for arrival in received.arrivals() if arrival.path in paths]
    check_arrivals(name, arrivals, healthy)
    return Latencies(hanging, latencies_of(arrivals, healthy))


def _shifts(plan: Plan, store: Store, received: Inbox) -> list[AbstractContextManager[Subject]]:
    """The deliverers, one for each minute that begins before the last webhook is due."""
    count = int((plan.paced_seconds + _HEAD_START_SECONDS) // SHIFT_SECONDS) + 1
    parameters = Parameters(store.url, received.url, seconds=SHIFT_SECONDS)
    return [
        started("benchmarks.webhooks.subjects.ours_on_duty", json.dumps(asdict(parameters)))
        for _ in range(count)
    ]


def _load(plan: Plan, store: Store, fleet: Fleet) -> list[Due]:
    count = plan.pace * plan.paced_seconds
    start = datetime.now(UTC) + timedelta(seconds=5 + count / _LOADED_PER_SECOND)
    due = paced(start, plan.paced_seconds, plan.pace, plan.isolation_endpoints, plan.payload_bytes)
    load(store, fleet, due)
    if datetime.now(UTC) > start - timedelta(seconds=_HEAD_START_SECONDS):
        raise BenchmarkFailed(f"{count:,.0f} webhooks were not loaded before the first was due")
    return due


def _serve(
    shifts: Sequence[Subject], due: Sequence[Due], healthy: Sequence[Due], received: Inbox
) -> None:
    """Let the deliverers begin, each at its minute, and stop them when all that is healthy is
    there."""
    begin = due[0].at.timestamp() - _HEAD_START_SECONDS
    for number, shift in enumerate(shifts):
        _sleep_until(begin + number * SHIFT_SECONDS)
        shift.go()
    _sleep_until(due[-1].at.timestamp() + _QUIET_SECONDS)
    received.await_webhooks({one.id for one in healthy}, _DRAIN_SECONDS, pause=1.0)
    for shift in shifts:
        shift.stop()
    for shift in shifts:
        shift.result()


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def _summary(run: Latencies) -> dict[str, float]:
    cuts = statistics.quantiles(run.seconds, n=100)
    return {
        "hanging": run.hanging,
        "webhooks": len(run.seconds),
        "p50_ms": cuts[49] * 1e3,
        "p95_ms": cuts[94] * 1e3,
        "p99_ms": cuts[98] * 1e3,
        "most_ms": max(run.seconds) * 1e3,
    }
