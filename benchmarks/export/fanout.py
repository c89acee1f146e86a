"""Fan-out: an export in four slices, each on a partition of its own, beside the same in one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.export.processes import StandIns, finish, run, stand_ins, start
from benchmarks.export.subjects.measuring import Measured, Parameters

SLICES = 4


@dataclass(frozen=True)
class FanOut:
    """What the slowest of the slices took, and what all rows took in one slice, in seconds of
    rendering: the start of a worker is not the engine's."""

    one_slice: float
    slowest_of_four: float

    @property
    def ratio(self) -> float:
        """How many times as fast."""
        return self.one_slice / self.slowest_of_four


def fan_out(faults: Mapping[str, float], rows: int) -> FanOut:
    """Render the rows in one slice and in four at once, each in a process of its own."""
    settings = {"slice_rows": rows // SLICES, "max_slices": SLICES}
    with stand_ins(rows, faults=faults) as servers:
        whole = run("ours", Parameters(servers.dynamodb, servers.s3, export_id="export-whole"))
    with stand_ins(rows, faults=faults) as servers:
        pieces = _stage(servers, {"stage": "prepare", "settings": settings}).result
        assert len(pieces) == SLICES, f"{len(pieces)} slices"
        time.sleep(1)  # the partitions have rested, as before the first
        processes = [
            start("ours_cut", _parameters(servers, {"stage": "render", "slice": piece}))
            for piece in pieces
        ]
        rendered = [finish(process) for process in processes]
        published = _stage(servers, {"stage": "publish", "rendered": [r.result for r in rendered]})
        assert published.rows == whole.rows == rows, (published.rows, whole.rows)
    return FanOut(whole.wall_seconds, max(one.wall_seconds for one in rendered))


def _stage(servers: StandIns, piece: dict[str, Any]) -> Measured:
    return run("ours_cut", _parameters(servers, piece))


def _parameters(servers: StandIns, piece: dict[str, Any]) -> Parameters:
    return Parameters(servers.dynamodb, servers.s3, export_id="export-cut", piece=piece)
