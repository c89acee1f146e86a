"""Fan-out: an export in four slices, each on a partition of its own, beside the same in one.

Both are measured from the claim to the completed job. In four slices that is the time to prepare
them, the slowest of the renderings, which begin together, and the time to publish. The start of the
worker processes is not counted, neither here nor there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.export.checks import check_done
from benchmarks.export.processes import StandIns, run, run_at_once, stand_ins
from benchmarks.export.subjects.measuring import Measured, Parameters
from benchmarks.figures import BenchmarkFailed

SLICES = 4


@dataclass(frozen=True)
class FanOut:
    """The seconds of an export that is cut: its stages, and what each slice's worker spent with
    rendering alone."""

    prepare: float
    slices: tuple[float, ...]
    publish: float
    renderings: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """From the claim to the completed job: all slices are rendered at once."""
        return self.prepare + max(self.slices) + self.publish


def fan_out(faults: Mapping[str, float], rows: int) -> FanOut:
    """Export the rows in four slices, each stage in processes of its own."""
    with stand_ins(rows, faults=faults, partitions=SLICES) as servers:
        prepared = _prepared(servers)
        pieces = [{"stage": "render", "slice": one} for one in prepared.done.result]
        rendered = run_at_once("ours_cut", [_stage(servers, piece) for piece in pieces])
        results = [one.done.result for one in rendered]
        published = run("ours_cut", _stage(servers, {"stage": "publish", "rendered": results}))
        done = published.done
        check_done("ours, in slices", done, rows, servers.sizes_of(done.written))
    return FanOut(
        prepared.wall_seconds,
        tuple(one.wall_seconds for one in rendered),
        published.wall_seconds,
        tuple(one.done.rendering_seconds or 0.0 for one in rendered),
    )


def _prepared(servers: StandIns) -> Measured:
    settings = {"slice_rows": servers.rows // SLICES, "max_slices": SLICES}
    prepared = run("ours_cut", _stage(servers, {"stage": "prepare", "settings": settings}))
    if len(prepared.done.result) != SLICES:
        raise BenchmarkFailed(f"{len(prepared.done.result)} slices, not {SLICES}")
    return prepared


def _stage(servers: StandIns, piece: dict[str, Any]) -> Parameters:
    return Parameters(servers.dynamodb, servers.s3, export_id="export-cut", piece=piece)
