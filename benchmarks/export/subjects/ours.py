"""Remit: a job in the queue, claimed, prepared, rendered and published by the pipeline itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.export.server import aws_at
from benchmarks.export.subjects.measuring import (
    FIRST_DAY,
    LAST_DAY,
    MERCHANT,
    Done,
    Parameters,
    measure,
)
from remit.clock import epoch_seconds, system_clock
from remit.exports import engine, rendering  # noqa: F401 - imported before it is measured
from remit.exports.job import ExportJob
from remit.exports.pipeline import ExportPipeline
from remit.exports.request import parse_request
from remit.exports.slices import RenderedSlice
from remit.exports.store import IF_FREE_OR_MINE
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop

NEVER_CUT = 10**8
DISTRIBUTIONS = ("awscrt", "botocore", "duckdb", "isal", "numpy", "pandas", "pyarrow")


class TimedPipeline(ExportPipeline):
    """Tells how long it renders, in one slice as in several: read, decode, write, upload."""

    rendering_seconds = 0.0

    def _render(self, *arguments: Any, **options: Any) -> RenderedSlice:
        started = time.perf_counter()
        rendered = super()._render(*arguments, **options)
        self.rendering_seconds = time.perf_counter() - started
        return rendered


def pipeline_on(parameters: Parameters, **settings: Any) -> TimedPipeline:
    """The pipeline on the stand-ins, with a deployment's defaults but for `settings`."""
    chosen = Settings(**settings)
    services = Services(chosen, aws_at(parameters.dynamodb, parameters.s3))
    return TimedPipeline(services, Stop())


def new_claim(pipeline: TimedPipeline, parameters: Parameters) -> Any:
    """Store a job for the whole month, and claim it as a run does."""
    values = {"start_date": FIRST_DAY, "end_date": LAST_DAY, "format": parameters.format}
    job = ExportJob(
        id=parameters.export_id,
        merchant_id=MERCHANT,
        request=parse_request(values, pipeline.reports.current().usable),
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
        expires_at=epoch_seconds(system_clock() + timedelta(days=1)),
    )
    pipeline.store.create(job)
    claim = pipeline.store.claim(job.id, "benchmark#0", IF_FREE_OR_MINE)
    assert claim is not None, f"{job.id} is not to be had"
    return claim


def completed(item: Mapping[str, Any]) -> Done:
    """What a completed job says of itself."""
    assert item["status"] == "completed", item
    files = {str(file["key"]): int(file["bytes"]) for file in item["files"]}
    assert sum(files.values()) == int(item["bytes"]), item
    written = {**files, str(item["manifestKey"]): None}
    return Done(int(item["rows"]), int(item["rejects"]), written)


def export(parameters: Parameters) -> Done:
    """One slice, from the claim to the completed job."""
    pipeline = pipeline_on(parameters, small_export_rows=NEVER_CUT, slice_rows=NEVER_CUT)
    claim = new_claim(pipeline, parameters)
    assert not pipeline.prepare(claim), "it was cut into slices"
    done = completed(pipeline.store.get(parameters.export_id))
    return replace(done, rendering_seconds=pipeline.rendering_seconds)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    measure(export, "the defaults of a deployment, in one slice", DISTRIBUTIONS)
