"""`make bench-export`: Remit's export beside what people write today, on the same rows.

Every subject is a process of its own and tells what it took after its imports. The stand-ins are
processes, too, and their CPU is not counted, but they share the machine's two cores (where there
are more, the rest is left alone): what they take is not there for whoever is measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.export import results
from benchmarks.export.bars import (
    CAPPED,
    FORMATS,
    OPERATOR,
    OURS,
    PANDAS,
    PARTITION_BYTES_PER_SECOND,
    SHAPES,
    WRANGLER,
    figures_of,
    format_run,
    rows_run,
    shape_run,
)
from benchmarks.export.bench import QUICK, Bench, Plan
from benchmarks.export.fanout import fan_out
from benchmarks.export.processes import PEERS_PYTHON, stand_ins
from benchmarks.figures import Figure, report
from benchmarks.processes import OWN_PYTHON, pin

PARTITION = {"bytes_per_second": PARTITION_BYTES_PER_SECOND, "latency_seconds": 0.005}

PEERS = {
    PANDAS: ("boto3_pandas", OWN_PYTHON),
    WRANGLER: ("wrangler", PEERS_PYTHON),
    OPERATOR: ("operator", OWN_PYTHON),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status says whether every figure is within its bar."""
    options = _options(arguments)
    plan = QUICK if options.quick else Plan()
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    return report(lambda: measured(plan, keep=not options.quick))


def measured(plan: Plan, *, keep: bool) -> dict[str, Figure]:
    """All figures; with `keep`, the results are written to their file, too."""
    print(f"on cores {pin()}, of items with a nested map unless something else is said")
    bench = Bench()
    for number in range(1, plan.rounds + 1):
        print(f"round {number} of {plan.rounds}", flush=True)
        _uncapped(bench, plan)
        _capped(bench, plan)
        _small(bench, plan)
    print("once each", flush=True)
    _large(bench, plan)
    _shapes(bench, plan)
    _few(bench, plan)
    figures = figures_of(bench, plan)
    _print_settings(bench)
    if keep:
        results.write(bench, plan, figures)
    return figures


def _uncapped(bench: Bench, plan: Plan) -> None:
    """In turns, so that all see the same machine."""
    with stand_ins(plan.rows) as servers:
        for form in FORMATS:
            bench.measure(format_run(form), servers, "ours", format=form)
    with stand_ins(plan.peer_rows) as servers:
        for name, (subject, python) in PEERS.items():
            bench.measure(name, servers, subject, python)


def _capped(bench: Bench, plan: Plan) -> None:
    """One slice on one partition, and four slices on four."""
    with stand_ins(plan.capped_rows, faults=PARTITION) as servers:
        bench.measure(CAPPED, servers, "ours")
    cut = fan_out(PARTITION, plan.capped_rows)
    bench.fan_outs.append(cut)
    print(
        f"  4 slices on 4 partitions: {cut.seconds:.2f} s (prepare {cut.prepare:.2f}, slowest"
        f" slice {max(cut.slices):.2f}, publish {cut.publish:.2f})",
        flush=True,
    )


def _small(bench: Bench, plan: Plan) -> None:
    with stand_ins(plan.small, keep=False) as servers:
        bench.measure(rows_run(OURS, plan.small), servers, "ours")


def _large(bench: Bench, plan: Plan) -> None:
    with stand_ins(plan.large, keep=False) as servers:
        bench.measure(rows_run(OURS, plan.large), servers, "ours")


def _shapes(bench: Bench, plan: Plan) -> None:
    for shape in SHAPES:
        with stand_ins(plan.shape_rows, shape) as servers:
            bench.measure(shape_run(OURS, shape), servers, "ours")
        with stand_ins(plan.shape_peer_rows, shape) as servers:
            bench.measure(shape_run(PANDAS, shape), servers, "boto3_pandas")


def _few(bench: Bench, plan: Plan) -> None:
    """What a run costs however few rows there are."""
    with stand_ins(plan.few) as servers:
        bench.measure(rows_run(OURS, plan.few), servers, "ours")
        for name, (subject, python) in PEERS.items():
            bench.measure(rows_run(name, plan.few), servers, subject, python)


def _print_settings(bench: Bench) -> None:
    print("\nsettings and versions")
    for name in (format_run("csv"), *PEERS):
        one = bench.runs[name][0]
        versions = ", ".join(f"{package} {number}" for package, number in one.versions.items())
        print(f"  {name}: {one.settings}; {versions}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-export", description=__doc__)
    parser.add_argument("--rounds", type=int, help="how often is measured what takes turns")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="over few rows, to see that all of it runs: the figures mean nothing, and"
        f" {results.PATH.name} stays as it is",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
