"""Deliveries per CPU-second of the process that delivers: Remit, a peer, and the limit.

They take turns, each with a stand-in that holds what is due and nothing else, in another order in
every round.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from benchmarks.figures import BenchmarkFailed, Figure
from benchmarks.processes import cores_apart, on_cores
from benchmarks.webhooks.checks import (
    check_arrivals,
    check_attempts,
    check_delivered,
    check_signatures,
)
from benchmarks.webhooks.dataset import Due, Fleet, all_due, load
from benchmarks.webhooks.inbox import Inbox, inbox
from benchmarks.webhooks.measuring import Measured, Parameters, run
from benchmarks.webhooks.outcome import Outcome, at_least
from benchmarks.webhooks.plan import Plan
from benchmarks.webhooks.store import Store, empty_store

OURS, PEER, BARE = "ours", "requests + boto3", "bare aiohttp"
SUBJECTS = {OURS: "ours", PEER: "requests_boto3", BARE: "bare_aiohttp"}

Runs = Mapping[str, Sequence[Measured]]


@dataclass(frozen=True)
class Scene:
    """What a run starts from, and is held to."""

    name: str
    store: Store
    inbox: Inbox
    fleet: Fleet
    due: Sequence[Due]


def _check_recorded(scene: Scene) -> None:
    check_signatures(scene.name, scene.inbox.samples(), scene.fleet.secrets)
    check_delivered(scene.name, scene.store, scene.due)


def _check_recorded_with_attempts(scene: Scene) -> None:
    _check_recorded(scene)
    check_attempts(scene.name, scene.store, scene.due)


CHECKS: dict[str, Callable[[Scene], None]] = {
    OURS: _check_recorded_with_attempts,
    PEER: _check_recorded,
    BARE: lambda _: None,
}
"""Beside that every webhook arrived once."""


def throughput(plan: Plan) -> Outcome:
    """All of them, so many rounds."""
    runs: dict[str, list[Measured]] = {name: [] for name in SUBJECTS}
    for number in range(plan.rounds):
        print(f"round {number + 1} of {plan.rounds}", flush=True)
        for name in rotated(list(SUBJECTS), number):
            measured = _one(name, plan)
            runs[name].append(measured)
            print(f"  {name}: {told(measured)}", flush=True)
    return Outcome(
        figures_of(runs), {name: [asdict(one) for one in some] for name, some in runs.items()}
    )


def rotated(names: Sequence[str], by: int) -> list[str]:
    """The names, beginning with another one each time."""
    start = by % len(names)
    return [*names[start:], *names[:start]]


def figures_of(runs: Runs) -> dict[str, Figure]:
    """Medians, and how ours relates to the others'."""
    rates = {name: _median_rate(some) for name, some in runs.items()}
    return {
        f"deliveries per CPU-second, against {PEER}": at_least(rates[OURS] / rates[PEER], 6),
        f"deliveries per CPU-second, against {BARE}": at_least(rates[OURS] / rates[BARE], 0.5),
        **{f"{name}, deliveries per CPU-second": Figure(rate) for name, rate in rates.items()},
        **{
            f"{name}, deliveries per second": Figure(
                statistics.median(one.delivered / one.wall_seconds for one in some)
            )
            for name, some in runs.items()
        },
    }


def told(measured: Measured) -> str:
    """One run in a line."""
    delivered, wall, cpu = measured.delivered, measured.wall_seconds, measured.cpu_seconds
    return (
        f"{delivered:,} webhooks, {delivered / wall:,.0f}/s, {delivered / cpu:,.0f} per CPU-second"
        f" ({cpu / delivered * 1e6:,.0f} µs each), peak RSS {measured.peak_rss_bytes / 1e6:,.0f} MB"
    )


def _median_rate(some: Sequence[Measured]) -> float:
    return statistics.median(one.delivered / one.cpu_seconds for one in some)


def _one(name: str, plan: Plan) -> Measured:
    due = all_due(plan.count, plan.endpoints, plan.payload_bytes)
    own, others = cores_apart()
    with ExitStack() as opened:
        with on_cores(others):
            store, received = opened.enter_context(empty_store()), opened.enter_context(inbox())
        fleet = Fleet(received.url, plan.endpoints)
        if name != BARE:  # which reads nothing
            load(store, fleet, due)
        parameters = Parameters(
            store.url,
            received.url,
            plan.count,
            plan.endpoints,
            plan.payload_bytes,
            plan.concurrency,
        )
        with on_cores(own):
            measured = run(SUBJECTS[name], parameters)
        if measured.delivered != plan.count:
            raise BenchmarkFailed(f"{name}: {measured.delivered:,} of {plan.count:,} delivered")
        check_arrivals(name, received.arrivals(), due)
        CHECKS[name](Scene(name, store, received, fleet, due))
    return measured
