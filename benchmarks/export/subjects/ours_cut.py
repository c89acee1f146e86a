"""Remit's first and last stage of an export that is cut: prepare, or publish."""

from __future__ import annotations

import logging
from typing import Any

from benchmarks.export.subjects.measuring import Parameters, measure
from benchmarks.export.subjects.ours import new_claim, pipeline_on
from remit.exports import engine, rendering  # noqa: F401 - imported before it is measured
from remit.exports.slices import RenderedSlice, Slice


def export(parameters: Parameters) -> tuple[int, Any]:
    """What `piece` asks for: to prepare `slices` slices, to render one, or to publish them all."""
    piece = parameters.piece or {}
    pipeline = pipeline_on(parameters, small_export_rows=1, **piece.get("settings", {}))
    match piece["stage"]:
        case "prepare":
            slices = pipeline.prepare(new_claim(pipeline, parameters))
            return 0, [one.to_json() for one in slices]
        case "render":
            rendered = pipeline.render(Slice.from_json(piece["slice"]))
            return rendered.rows, rendered.to_json()
        case "publish":
            pipeline.publish([RenderedSlice.from_json(one) for one in piece["rendered"]])
            item = pipeline.store.get(parameters.export_id)
            assert item["status"] == "completed", item
            return int(item["rows"]), None
    raise ValueError(piece["stage"])


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    measure(export, "the defaults of a deployment, a process per slice")
