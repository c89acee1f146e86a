"""An exporter as a process of its own: `python -m tests.support.exporter DYNAMODB S3`.

It claims the export that is due, or the one that `--export` names, with a short lease, and works on
it until it is finished, or killed. `exporting` on its standard output says that it has the claim,
`publishing` that the slices of a large export are rendered, `exported` that all is done.
`--stop-before` names where it stops itself (SIGSTOP).
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from remit.aws.multipart import Upload
from remit.aws.objects import ObjectWriter
from remit.exports import engine
from remit.exports.pipeline import ExportPipeline
from remit.exports.publishing import Publisher
from remit.exports.store import ExportStore
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop, stop_on_sigterm
from tests.support.aws import REGION, aws_at

LEASE = timedelta(seconds=2)

STAGES: Mapping[str, tuple[type, str, int]] = {
    "second part": (Upload, "send", 2),
    "second file": (ObjectWriter, "commit", 2),
    "manifest": (Publisher, "_write", 1),
    "last move": (ExportStore, "complete", 1),
}
"""Where an exporter can stop itself: before the n-th call of a method."""

FRAME_ROWS = 100
"""Rows of a frame: few, so that there is something between the frames of a small export."""


def short_lease_services(dynamodb: str, s3: str, slices: int = 1) -> Services:
    """Real time; a worker that dies has lost its export after two seconds. An export has that many
    slices, if it has more than a few records."""
    limits = {"small_export_rows": 100, "slice_rows": 100, "max_slices": slices}
    settings = Settings(
        region=REGION,
        export_lease=LEASE,
        export_queue_lease=LEASE,
        export_handover=timedelta(milliseconds=1),
        export_attempts=100,
        grace=timedelta(milliseconds=100),
        **(limits if slices > 1 else {}),
    )
    return Services(settings, aws_at(dynamodb, s3))


def export(pipeline: ExportPipeline, owner: str, wanted: str | None = None) -> bool:
    """Export that job, or the one that is due, from the claim to the end; False: there is none."""
    for export_id in [wanted] if wanted else pipeline.store.queue.due(1):
        if (claim := pipeline.store.claim(export_id, owner)) is not None:
            print("exporting", flush=True)
            if slices := pipeline.prepare(claim):
                rendered = [pipeline.render(piece) for piece in slices]
                print("publishing", flush=True)
                pipeline.publish(rendered)
            print("exported", flush=True)
            return True
    return False


def pipeline_of(services: Services, stop: Stop | None = None) -> ExportPipeline:
    """The engine on these services."""
    return ExportPipeline(services, stop or Stop())


def _stop_before(owner: type, name: str, number: int) -> None:
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def stopping(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGSTOP)
        return original(*arguments, **named)

    setattr(owner, name, stopping)


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dynamodb")
    parser.add_argument("s3")
    parser.add_argument("--slices", type=int, default=1)
    parser.add_argument("--export")
    parser.add_argument("--stop-before", choices=STAGES)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    engine.BATCH_ROWS = FRAME_ROWS  # in a process of its own, so that it concerns nobody else
    if given.stop_before:
        _stop_before(*STAGES[given.stop_before])
    services = short_lease_services(given.dynamodb, given.s3, given.slices)
    with stop_on_sigterm(services.settings.grace) as stop:
        assert export(pipeline_of(services, stop), "exporter", given.export)


if __name__ == "__main__":
    main()
