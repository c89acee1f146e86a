"""`benchmarks/results/export.json`: everything that was measured, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.documents import RESULTS, machine, write_document
from benchmarks.export.bench import Bench, Plan
from benchmarks.export.shapes import ITEM_BYTES
from benchmarks.export.subjects.measuring import Measured
from benchmarks.figures import Figure

PATH = RESULTS / "export.json"


def document(bench: Bench, plan: Plan, figures: Mapping[str, Figure]) -> dict[str, Any]:
    """All of it, as JSON has it."""
    return {
        "machine": machine(),
        "plan": asdict(plan),
        "item_bytes": ITEM_BYTES,
        "subjects": {
            name: {"settings": runs[0].settings, "versions": dict(runs[0].versions)}
            for name, runs in bench.runs.items()
        },
        "runs": {name: [_run(one) for one in runs] for name, runs in bench.runs.items()},
        "fan_out": [{**asdict(one), "seconds": one.seconds} for one in bench.fan_outs],
        "figures": {name: figure.to_json() for name, figure in figures.items()},
    }


def write(bench: Bench, plan: Plan, figures: Mapping[str, Figure], path: Path = PATH) -> None:
    """Write the document."""
    write_document(path, document(bench, plan, figures))


def _run(one: Measured) -> dict[str, Any]:
    return {
        "rows": one.done.rows,
        "bytes": sum(size for size in one.done.written.values() if size),
        "wall_seconds": one.wall_seconds,
        "rendering_seconds": one.done.rendering_seconds,
        "cpu_seconds": one.cpu_seconds,
        "peak_rss_bytes": one.peak_rss_bytes,
        "rows_per_second": one.done.rows / one.wall_seconds,
        "rows_per_cpu_second": one.done.rows / one.cpu_seconds,
    }
