"""The most memory that a delivering process has, however many webhooks are due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from benchmarks.figures import BenchmarkFailed, Figure
from benchmarks.webhooks.checks import check_arrivals, check_delivered
from benchmarks.webhooks.dataset import Fleet, all_due, load
from benchmarks.webhooks.inbox import inbox
from benchmarks.webhooks.measuring import Measured, Parameters, run
from benchmarks.webhooks.outcome import Outcome
from benchmarks.webhooks.plan import Plan
from benchmarks.webhooks.store import empty_store
from benchmarks.webhooks.throughput import told

MEGABYTES = 300


def memory(plan: Plan) -> Outcome:
    """Few, and many."""
    runs = {count: _deliver(plan, count) for count in (plan.memory_small, plan.memory_large)}
    return Outcome(
        figures_of(runs, plan), {f"{count:,} due": asdict(one) for count, one in runs.items()}
    )


def figures_of(runs: Mapping[int, Measured], plan: Plan) -> dict[str, Figure]:
    """The peak with many due, and against few."""
    small, large = plan.memory_small, plan.memory_large
    peak = runs[large].peak_rss_bytes
    return {
        f"peak RSS with {large:,} due, MB": Figure(peak / 1e6, MEGABYTES),
        f"peak RSS with {large:,} due, against {small:,}": Figure(
            peak / runs[small].peak_rss_bytes, 1.1
        ),
    }


def _deliver(plan: Plan, count: int) -> Measured:
    name = f"{count:,} due"
    due = all_due(count, plan.endpoints, plan.payload_bytes)
    with empty_store() as store, inbox() as received:
        load(store, Fleet(received.url, plan.endpoints), due)
        measured = run("ours", Parameters(store.url, received.url, count))
        if measured.delivered != count:
            raise BenchmarkFailed(f"{name}: {measured.delivered:,} delivered")
        check_arrivals(name, received.arrivals(), due)
        check_delivered(name, store, due)
    print(f"  {name}: {told(measured)}", flush=True)
    return measured
