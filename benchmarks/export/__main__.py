"""`make bench-export`: Remit's export beside what people write today, on the same rows.

Every subject is a process of its own and tells what it took after its imports. The stand-ins are
processes, too, and their CPU is not counted, but they share the machine: with two cores, what they
take is not there for whoever is measured. Peers read fewer rows, for they keep them all in memory;
rates do not depend on that much, and if they do, then in the peers' favour.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.export.fanout import fan_out
from benchmarks.export.processes import PEERS_PYTHON, StandIns, run, stand_ins
from benchmarks.export.subjects.measuring import Measured, Parameters
from benchmarks.figures import Figure, finish

RESULTS = Path(__file__).resolve().parents[1] / "results" / "export.json"

MILLION = 1_000_000
ROWS = 2 * MILLION
LARGE = 10 * MILLION
PEER_ROWS = 100_000
PARTITION_BYTES_PER_SECOND = 24e6
LATENCY_SECONDS = 0.005
ROUNDS = 3
CAPPED = {"bytes_per_second": PARTITION_BYTES_PER_SECOND, "latency_seconds": LATENCY_SECONDS}
ITEM_BYTES = 480

PEERS = {
    "boto3 + pandas": ("boto3_pandas", Path(sys.executable)),
    "awswrangler": ("wrangler", PEERS_PYTHON),
    "DynamoDBToS3Operator": ("operator", Path(sys.executable)),
}


class Bench:
    """The runs so far, by what they are called."""

    def __init__(self) -> None:
        self.runs: dict[str, list[Measured]] = {}
        self._number = 0

    def measure(
        self,
        name: str,
        servers: StandIns,
        subject: str,
        python: Path = Path(sys.executable),
        **parameters: Any,
    ) -> Measured:
        """Run a subject once and keep what it took."""
        self._number += 1
        given = Parameters(servers.dynamodb, servers.s3, export_id=f"export-{self._number}")
        measured = run(subject, Parameters(**{**asdict(given), **parameters}), python)
        self.runs.setdefault(name, []).append(measured)
        print(f"  {name}: {_told(measured)}", flush=True)
        return measured

    def median(self, name: str, of: Callable[[Measured], float]) -> float:
        """The median of something over the runs of a name."""
        return statistics.median(of(one) for one in self.runs[name])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status says whether every figure is within its bar."""
    options = _options(arguments)
    bench = Bench()
    _uncapped(bench, options.rounds)
    _capped(bench)
    slices = fan_out(CAPPED, MILLION)
    print(f"  4 slices on 4 partitions: {slices.ratio:.2f} times as fast as 1", flush=True)
    if not options.quick:
        _large(bench)
    figures = _figures(bench, slices.ratio)
    _write(bench, figures)
    return finish(figures)


def _uncapped(bench: Bench, rounds: int) -> None:
    """In turns, so that all see the same machine."""
    for number in range(1, rounds + 1):
        print(f"uncapped, round {number} of {rounds}", flush=True)
        with stand_ins(ROWS) as servers:
            for form in ("csv", "json", "parquet"):
                bench.measure(f"ours, {form}", servers, "ours", format=form)
        with stand_ins(PEER_ROWS) as servers:
            for name, (subject, python) in PEERS.items():
                bench.measure(name, servers, subject, python)


def _capped(bench: Bench) -> None:
    print("one partition: 24 MB/s, 5 ms", flush=True)
    # One slice reads one partition after the other: it is as fast as one of them.
    with stand_ins(MILLION, faults=CAPPED) as servers:
        bench.measure("ours, capped", servers, "ours")


def _large(bench: Bench) -> None:
    print("one million rows, and ten", flush=True)
    for name, rows in (("ours, 1 million", MILLION), ("ours, 10 million", LARGE)):
        with stand_ins(rows, keep=False) as servers:
            bench.measure(name, servers, "ours")


def _figures(bench: Bench, fan_out_ratio: float) -> dict[str, Figure]:
    def per_cpu(name: str) -> float:
        return bench.median(name, lambda one: one.rows / one.cpu_seconds)

    def per_wall(name: str) -> float:
        return bench.median(name, lambda one: one.rows / one.wall_seconds)

    capped = bench.runs["ours, capped"][0]
    rate = capped.rows * ITEM_BYTES / capped.wall_seconds
    pandas = per_cpu("boto3 + pandas")
    figures = {
        "CSV, share of a partition's 24 MB/s": _at_least(rate / PARTITION_BYTES_PER_SECOND, 0.95),
        "CSV, cores taken at that": Figure(capped.cpu_seconds / capped.wall_seconds, 0.35),
        "CSV, wall, against boto3 + pandas": _at_least(
            per_wall("ours, csv") / per_wall("boto3 + pandas"), 35
        ),
        "CSV, per CPU-second, against boto3 + pandas": _at_least(per_cpu("ours, csv") / pandas, 20),
        "NDJSON, per CPU-second, against boto3 + pandas": _at_least(
            per_cpu("ours, json") / pandas, 15
        ),
        "Parquet, per CPU-second, against boto3 + pandas": _at_least(
            per_cpu("ours, parquet") / pandas, 15
        ),
        "CSV, per CPU-second, against awswrangler": _at_least(
            per_cpu("ours, csv") / per_cpu("awswrangler"), 15
        ),
        "NDJSON, per CPU-second, against DynamoDBToS3Operator": _at_least(
            per_cpu("ours, json") / per_cpu("DynamoDBToS3Operator"), 15
        ),
        "fan-out, 4 slices against 1": _at_least(fan_out_ratio, 3.5),
    }
    if "ours, 10 million" in bench.runs:
        figures |= _at_ten_million(bench)
    return figures


def _at_ten_million(bench: Bench) -> dict[str, Figure]:
    large, small = bench.runs["ours, 10 million"][0], bench.runs["ours, 1 million"][0]
    return {
        "peak RSS at 10 million rows, MB": Figure(large.peak_rss_bytes / 1e6, 450),
        "peak RSS at 10 million rows, against 1 million": Figure(
            large.peak_rss_bytes / small.peak_rss_bytes, 1.1
        ),
        "CPU per row at 10 million rows, against 1 million": Figure(
            large.cpu_seconds / large.rows / (small.cpu_seconds / small.rows), 1.05
        ),
    }


def _at_least(value: float, bar: float) -> Figure:
    return Figure(value, bar, at_least=True)


def _told(measured: Measured) -> str:
    rows, wall, cpu = measured.rows, measured.wall_seconds, measured.cpu_seconds
    return (
        f"{rows:,} rows, {rows / wall:,.0f}/s, {rows / cpu:,.0f} per CPU-second, "
        f"peak RSS {measured.peak_rss_bytes / 1e6:,.0f} MB"
    )


def _write(bench: Bench, figures: dict[str, Figure]) -> None:
    """The runs and the figures, as `benchmarks/results/export.json`."""
    document = {
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
            "processor": platform.machine(),
        },
        "item_bytes": ITEM_BYTES,
        "runs": {
            name: [
                {
                    **{k: v for k, v in asdict(one).items() if k != "result"},
                    "rows_per_second": one.rows / one.wall_seconds,
                    "rows_per_cpu_second": one.rows / one.cpu_seconds,
                }
                for one in runs
            ]
            for name, runs in bench.runs.items()
        },
        "figures": {
            name: {"value": one.value, "bar": one.bar, "ok": one.ok}
            for name, one in figures.items()
        },
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print("\nsettings of the peers")
    for name in PEERS:
        print(f"  {name}: {bench.runs[name][0].settings}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-export", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of the uncapped runs")
    parser.add_argument("--quick", action="store_true", help="without the ten million rows")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
