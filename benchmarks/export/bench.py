"""What the benchmark has measured so far; a run that did not do its work is none."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.export.checks import check_done
from benchmarks.export.fanout import FanOut
from benchmarks.export.processes import StandIns, run
from benchmarks.export.subjects.measuring import Done, Measured, Parameters
from benchmarks.figures import BenchmarkFailed
from benchmarks.processes import OWN_PYTHON

MILLION = 1_000_000


@dataclass(frozen=True)
class Plan:
    """How often is measured what takes turns, and over how many rows.

    Peers read fewer rows, for they keep them all in memory; what a run costs however few there are
    counts for more with them. It is a figure of its own (`few`), and subtracted nowhere.
    """

    rounds: int = 3
    rows: int = 4 * MILLION
    peer_rows: int = 200_000
    shape_rows: int = 500_000
    shape_peer_rows: int = 50_000
    capped_rows: int = 2 * MILLION  # by default, a slice has 500,000: four of them
    small: int = MILLION
    large: int = 10 * MILLION
    few: int = 1_000


QUICK = Plan(
    rounds=1,
    rows=50_000,
    peer_rows=5_000,
    shape_rows=20_000,
    shape_peer_rows=2_000,
    capped_rows=50_000,
    small=20_000,
    large=200_000,
    few=100,
)
"""To see that all of it runs; its figures mean nothing."""


@dataclass
class Bench:
    """The runs, by what they are called, and the fan-outs."""

    runs: dict[str, list[Measured]] = field(default_factory=dict)
    fan_outs: list[FanOut] = field(default_factory=list)
    number: int = 0

    def measure(
        self,
        name: str,
        servers: StandIns,
        subject: str,
        python: Path = OWN_PYTHON,
        **parameters: Any,
    ) -> None:
        """Run a subject once and keep what it took.

        Raises:
            BenchmarkFailed: it failed, or it did not export the whole table.
        """
        self.number += 1
        before = servers.arrived()
        given = Parameters(servers.dynamodb, servers.s3, export_id=f"export-{self.number}")
        measured = run(subject, Parameters(**{**asdict(given), **parameters}), python)
        sizes = servers.sizes_of(measured.done.written)
        check(name, measured.done, servers.rows, servers.arrived() - before, sizes)
        self.runs.setdefault(name, []).append(measured)
        print(f"  {name}: {_told(measured)}", flush=True)

    def median(self, name: str, of: Callable[[Measured], float]) -> float:
        """The median of something over the runs of a name."""
        return statistics.median(of(one) for one in self.runs[name])

    def per_cpu_second(self, name: str) -> float:
        """Rows per CPU-second, the median of the runs."""
        return self.median(name, lambda one: one.done.rows / one.cpu_seconds)

    def per_second(self, name: str) -> float:
        """Rows per second by the wall clock, the median of the runs."""
        return self.median(name, lambda one: one.done.rows / one.wall_seconds)


def check(name: str, done: Done, rows: int, arrived: int, sizes: Mapping[str, int]) -> None:
    """Hold what a run says that it did against the table and the bucket.

    `arrived`: the bytes that the bucket was sent meanwhile; `sizes`: what it has of the objects.

    Raises:
        BenchmarkFailed: they do not agree.
    """
    check_done(name, done, rows, sizes)
    if not arrived or (sizes and sum(sizes.values()) != arrived):
        told = sum(sizes.values())
        raise BenchmarkFailed(f"{name}: {arrived:,} bytes arrived, and it wrote {told:,}")


def _told(measured: Measured) -> str:
    rows, wall, cpu = measured.done.rows, measured.wall_seconds, measured.cpu_seconds
    return (
        f"{rows:,} rows, {rows / wall:,.0f}/s, {rows / cpu:,.0f} per CPU-second, "
        f"peak RSS {measured.peak_rss_bytes / 1e6:,.0f} MB"
    )
