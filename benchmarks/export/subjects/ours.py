"""Remit: a job in the queue, claimed, prepared, rendered and published by the pipeline itself."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.export.server import aws_at
from benchmarks.export.subjects.measuring import (
    FIRST_DAY,
    LAST_DAY,
    MERCHANT,
    Parameters,
    measure,
)
from remit.clock import epoch_seconds, system_clock
from remit.exports import engine, rendering  # noqa: F401 - imported before it is measured
from remit.exports.job import ExportJob
from remit.exports.pipeline import ExportPipeline
from remit.exports.request import parse_request
from remit.exports.store import IF_FREE_OR_MINE
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop

NEVER_CUT = 10**8


def pipeline_on(parameters: Parameters, **settings: Any) -> ExportPipeline:
    """The pipeline on the stand-ins, with a deployment's defaults but for `settings`."""
    chosen = Settings(**settings)
    services = Services(chosen, aws_at(parameters.dynamodb, parameters.s3))
    return ExportPipeline(services, Stop())


def new_claim(pipeline: ExportPipeline, parameters: Parameters) -> Any:
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


def export(parameters: Parameters) -> tuple[int, Any]:
    """One slice, from the claim to the completed job."""
    pipeline = pipeline_on(parameters, small_export_rows=NEVER_CUT, slice_rows=NEVER_CUT)
    claim = new_claim(pipeline, parameters)
    assert not pipeline.prepare(claim), "it was cut into slices"
    item = pipeline.store.get(parameters.export_id)
    assert item["status"] == "completed", item
    return int(item["rows"]), {"bytes": int(item["bytes"]), "rejects": int(item["rejects"])}


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    measure(export, "the defaults of a deployment, in one slice")
