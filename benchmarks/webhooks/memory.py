"""The most memory that a delivering process has, however many webhooks are due, and however large
their payloads are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from benchmarks.figures import BenchmarkFailed, Figure
from benchmarks.webhooks.checks import check_arrivals, check_delivered
from benchmarks.webhooks.dataset import Fleet, all_due, load
from benchmarks.webhooks.inbox import inbox
from benchmarks.webhooks.measuring import Measured, Parameters, run
from benchmarks.webhooks.outcome import Outcome
from benchmarks.webhooks.plan import Plan
from benchmarks.webhooks.store import empty_store
from benchmarks.webhooks.throughput import told
from remit.webhooks.event import PAYLOAD_LIMIT

MEGABYTES = 300


@dataclass(frozen=True)
class Backlog:
    """What is due."""

    count: int
    payload_bytes: int

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.count:,} due of {self.payload_bytes // 1024} KB"


def backlogs(plan: Plan) -> tuple[Backlog, Backlog, Backlog]:
    """Few, many, and those whose payloads are the largest that there are."""
    return (
        Backlog(plan.memory_small, plan.payload_bytes),
        Backlog(plan.memory_large, plan.payload_bytes),
        Backlog(plan.memory_heavy, PAYLOAD_LIMIT),
    )


def memory(plan: Plan) -> Outcome:
    """All of them, each by a process of its own."""
    runs = {backlog: _deliver(plan, backlog) for backlog in backlogs(plan)}
    return Outcome(
        figures_of(runs, plan), {backlog.name: asdict(one) for backlog, one in runs.items()}
    )


def figures_of(runs: Mapping[Backlog, Measured], plan: Plan) -> dict[str, Figure]:
    """The peak with many due, against few, and with large payloads."""
    small, large, heavy = (runs[backlog].peak_rss_bytes for backlog in backlogs(plan))
    return {
        f"peak RSS with {plan.memory_large:,} due, MB": Figure(large / 1e6, MEGABYTES),
        f"peak RSS with {plan.memory_large:,} due, against {plan.memory_small:,}": Figure(
            large / small, 1.1
        ),
        f"peak RSS with {plan.memory_heavy:,} due of {PAYLOAD_LIMIT // 1024} KB each, MB": Figure(
            heavy / 1e6, MEGABYTES
        ),
    }


def _deliver(plan: Plan, backlog: Backlog) -> Measured:
    name, count = backlog.name, backlog.count
    due = all_due(count, plan.endpoints, backlog.payload_bytes)
    with empty_store() as store, inbox() as received:
        load(store, Fleet(received.url, plan.endpoints), due)
        measured = run("ours", Parameters(store.url, received.url, count))
        if measured.delivered != count:
            raise BenchmarkFailed(f"{name}: {measured.delivered:,} delivered")
        check_arrivals(name, received.arrivals(), due)
        check_delivered(name, store, due)
    print(f"  {name}: {told(measured)}", flush=True)
    return measured
