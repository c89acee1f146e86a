"""The figures of `make bench-export`, and their bars: what the runs come to."""

from __future__ import annotations

import statistics

from benchmarks.export.bench import MILLION, Bench, Plan
from benchmarks.export.shapes import ITEM_BYTES
from benchmarks.figures import Figure

PARTITION_BYTES_PER_SECOND = 24e6

OURS, PANDAS, WRANGLER, OPERATOR = "ours", "boto3 + pandas", "awswrangler", "DynamoDBToS3Operator"
FORMATS = {"csv": "CSV", "json": "NDJSON", "parquet": "Parquet"}
SHAPES = {
    "flat": "flat items",
    "deep": "items with maps in maps, a list, a set",
    "nulls": "items with a NULL",
}
"""Shapes beside `nested`, which all figures with a bar are of."""


def format_run(form: str) -> str:
    """What the uncapped runs of a format are called."""
    return f"{OURS}, {FORMATS[form]}"


def shape_run(subject: str, shape: str) -> str:
    """What the run of a subject on a shape is called."""
    return f"{subject}, {SHAPES[shape]}"


def rows_run(subject: str, rows: int) -> str:
    """What the run of a subject on a table of so many rows is called."""
    return f"{subject}, {_number(rows)} rows"


def _number(rows: int) -> str:
    return f"{rows // MILLION} million" if rows % MILLION == 0 else f"{rows:,}"


CAPPED = f"{OURS}, one partition"


def figures_of(bench: Bench, plan: Plan) -> dict[str, Figure]:
    """Every figure: those with a bar first."""
    return {
        **_capped(bench),
        **_against_peers(bench),
        **_fan_out(bench),
        **_at_size(bench, plan),
        **_shapes(bench),
        **_fixed_costs(bench, plan),
    }


def _capped(bench: Bench) -> dict[str, Figure]:
    share = bench.per_second(CAPPED) * ITEM_BYTES / PARTITION_BYTES_PER_SECOND
    cores = bench.median(CAPPED, lambda one: one.cpu_seconds / one.wall_seconds)
    return {
        "CSV, share of a partition's 24 MB/s": _at_least(share, 0.95),
        "CSV, cores taken at that": Figure(cores, 0.35),
    }


def _against_peers(bench: Bench) -> dict[str, Figure]:
    def ratio(form: str, peer: str) -> float:
        return bench.per_cpu_second(format_run(form)) / bench.per_cpu_second(peer)

    wall = bench.per_second(format_run("csv")) / bench.per_second(PANDAS)
    return {
        f"CSV, wall, against {PANDAS}": _at_least(wall, 35),
        f"CSV, per CPU-second, against {PANDAS}": _at_least(ratio("csv", PANDAS), 20),
        f"NDJSON, per CPU-second, against {PANDAS}": _at_least(ratio("json", PANDAS), 15),
        f"Parquet, per CPU-second, against {PANDAS}": _at_least(ratio("parquet", PANDAS), 15),
        f"CSV, per CPU-second, against {WRANGLER}": _at_least(ratio("csv", WRANGLER), 15),
        f"NDJSON, per CPU-second, against {OPERATOR}": _at_least(ratio("json", OPERATOR), 15),
    }


def _fan_out(bench: Bench) -> dict[str, Figure]:
    one = bench.median(CAPPED, lambda run: run.wall_seconds)
    four = statistics.median(each.seconds for each in bench.fan_outs)
    rendering = bench.median(CAPPED, lambda run: run.done.rendering_seconds or 0.0)
    slowest = statistics.median(max(each.renderings) for each in bench.fan_outs)
    return {
        "fan-out, 4 slices against 1": _at_least(one / four, 3.5),
        "fan-out, rendering alone": Figure(rendering / slowest),
    }


def _at_size(bench: Bench, plan: Plan) -> dict[str, Figure]:
    large, small = rows_run(OURS, plan.large), rows_run(OURS, plan.small)
    at, against = f"{_number(plan.large)} rows", _number(plan.small)
    peak = bench.median(large, lambda one: one.peak_rss_bytes)
    peaks = peak / bench.median(small, lambda one: one.peak_rss_bytes)
    costs = bench.per_cpu_second(small) / bench.per_cpu_second(large)
    return {
        f"peak RSS at {at}, MB": Figure(peak / 1e6, 450),
        f"peak RSS at {at}, against {against}": Figure(peaks, 1.1),
        f"CPU per row at {at}, against {against}": Figure(costs, 1.05),
    }


def _shapes(bench: Bench) -> dict[str, Figure]:
    figures = {}
    for shape, told in SHAPES.items():
        ours, peer = (bench.per_cpu_second(shape_run(one, shape)) for one in (OURS, PANDAS))
        figures[f"CSV of {told}, rows per CPU-second"] = Figure(ours)
        figures[f"CSV of {told}, per CPU-second, against {PANDAS}"] = Figure(ours / peer)
    return figures


def _fixed_costs(bench: Bench, plan: Plan) -> dict[str, Figure]:
    return {
        f"CPU-seconds, {(run := rows_run(subject, plan.few))}": Figure(
            bench.median(run, lambda one: one.cpu_seconds)
        )
        for subject in (OURS, PANDAS, WRANGLER, OPERATOR)
    }


def _at_least(value: float, bar: float) -> Figure:
    return Figure(value, bar, at_least=True)
