"""Remit's stages of an export that is cut: prepare, render a slice, publish."""

from __future__ import annotations

import logging

from benchmarks.export.subjects.measuring import Done, Parameters, measure
from benchmarks.export.subjects.ours import DISTRIBUTIONS, completed, new_claim, pipeline_on
from remit.exports import engine, rendering  # noqa: F401 - imported before it is measured
from remit.exports.slices import RenderedSlice, Slice


def export(parameters: Parameters) -> Done:
    """What `piece` asks for: to prepare the slices, to render one, or to publish them all."""
    piece = parameters.piece or {}
    pipeline = pipeline_on(parameters, small_export_rows=1, **piece.get("settings", {}))
    match piece["stage"]:
        case "prepare":
            slices = pipeline.prepare(new_claim(pipeline, parameters))
            return Done(0, result=[one.to_json() for one in slices])
        case "render":
            rendered = pipeline.render(Slice.from_json(piece["slice"]))
            seconds = pipeline.rendering_seconds
            return Done(rendered.rows, rendering_seconds=seconds, result=rendered.to_json())
        case "publish":
            pipeline.publish([RenderedSlice.from_json(one) for one in piece["rendered"]])
            return completed(pipeline.store.get(parameters.export_id))
    raise ValueError(piece["stage"])


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    measure(export, "the defaults of a deployment, a process per slice", DISTRIBUTIONS)
