"""On a stack: so many webhooks by one mapped task each, with the HTTP provider, and by one run of
`deliver_webhooks`; both from the trigger of the run until all have arrived.

Remit's are published before and come due at the moment of the trigger, so that no run of the
schedule takes them earlier; they are signed, claimed and recorded. The mapped tasks post what is
there when the DAG is parsed. How many of them run at once is the stack's parallelism, which is told
beside the figures.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.figures import BenchmarkFailed, Figure
from benchmarks.webhooks.checks import check_arrivals, check_requests
from benchmarks.webhooks.dataset import Due, Fleet
from benchmarks.webhooks.outcome import Outcome, at_least
from benchmarks.webhooks.plan import Plan
from benchmarks.webhooks.stage import DELIVERY, Stage, stage

PEER_DAG = "mapped_http"
PEER_PATH = "/mapped"
TIMES_FASTER = 30

_OURS_TIMEOUT_SECONDS = 120.0
_PEER_TIMEOUT_SECONDS = 1_800.0
_PAUSE_SECONDS = 0.5
_PUBLISHED_PER_SECOND = 50  # at the least
_MINUTE = 60
_FROM, _TO = 5, 35  # seconds of a minute in which the schedule starts nothing


@dataclass(frozen=True)
class Took:
    """Seconds until all had arrived."""

    ours: Sequence[float]
    peer: float
    parallelism: int
    """Tasks that the stack runs at once, of whatever DAG."""


def mapped(plan: Plan) -> Outcome:
    """Ours several times, the peer, which takes minutes, once."""
    with stage(plan) as at:
        at.await_dag(PEER_DAG)
        fleet = Fleet(at.inbox.url, plan.endpoints)
        at.add(fleet)
        ours = [_ours(at, plan, number) for number in range(plan.rounds)]
        took = Took(ours, _peer(at, plan), at.parallelism)
    return Outcome(
        figures_of(took, plan),
        {"ours_s": list(took.ours), "mapped_s": took.peer, "parallelism": took.parallelism},
    )


def figures_of(took: Took, plan: Plan) -> dict[str, Figure]:
    """How many times faster ours is."""
    ours = statistics.median(took.ours)
    return {
        f"{plan.mapped:,} webhooks, times faster than a mapped HttpOperator each": at_least(
            took.peer / ours, TIMES_FASTER
        ),
        f"{plan.mapped:,} webhooks, trigger to the last arrival, s": Figure(ours),
        f"{plan.mapped:,} webhooks, by a mapped HttpOperator each, s": Figure(took.peer),
        "tasks that the stack runs at once": Figure(took.parallelism),
    }


def _ours(at: Stage, plan: Plan, number: int) -> float:
    first = number * plan.mapped
    at.inbox.reset()
    at.rest()
    ready = timedelta(seconds=10 + plan.mapped / _PUBLISHED_PER_SECOND)
    moment = _next_moment(datetime.now(UTC) + ready)
    due = [
        Due(n, n % plan.endpoints, moment, plan.payload_bytes)
        for n in range(first, first + plan.mapped)
    ]
    at.publish_due(due, moment)
    if datetime.now(UTC) >= moment:
        raise BenchmarkFailed(f"{plan.mapped:,} events were not published before they were due")
    at.rest()
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))
    started = time.time()
    at.start(DELIVERY)
    ids = {one.id for one in due}
    at.inbox.await_webhooks(ids, _OURS_TIMEOUT_SECONDS, pause=_PAUSE_SECONDS)
    arrivals = at.inbox.arrivals()
    check_arrivals("ours", arrivals, due)
    seconds = max(arrival.at for arrival in arrivals) - started
    print(f"  ours: {plan.mapped:,} webhooks in {seconds:.2f} s", flush=True)
    return seconds


def _peer(at: Stage, plan: Plan) -> float:
    at.inbox.reset()
    at.rest()
    started = time.time()
    at.start(PEER_DAG)
    expected = peer_requests(plan)
    ids = {key for key, _, _ in expected}
    at.inbox.await_webhooks(ids, _PEER_TIMEOUT_SECONDS, pause=_PAUSE_SECONDS)
    arrivals = at.inbox.arrivals()
    check_requests("a mapped HttpOperator each", arrivals, expected)
    seconds = max(arrival.at for arrival in arrivals) - started
    print(
        f"  a mapped HttpOperator each: {plan.mapped:,} in {seconds:.2f} s,"
        f" {at.parallelism} tasks at once",
        flush=True,
    )
    return seconds


def peer_requests(plan: Plan) -> set[tuple[str, str, int]]:
    """What the mapped tasks are to send: ids, the path, the bytes of each body."""
    return {(f"peer-{number:07d}", PEER_PATH, plan.payload_bytes) for number in range(plan.mapped)}


def _next_moment(earliest: datetime) -> datetime:
    """The next moment that is not near the beginning of a minute, when the schedule starts runs."""
    second = earliest.second
    if second < _FROM:
        return earliest + timedelta(seconds=_FROM - second)
    if second >= _TO:
        return earliest + timedelta(seconds=_MINUTE + _FROM - second)
    return earliest
