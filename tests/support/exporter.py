"""An exporter as a process of its own: `python -m tests.support.exporter ENDPOINT`.

It exports what is due, with a short lease, until it is killed. `exporting` on its standard output
says that it has claimed the export.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from remit.exports.pipeline import ExportPipeline
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop
from tests.support.aws import REGION, aws_at


def short_lease_services(endpoint: str) -> Services:
    """Real time; a worker that dies has lost its export after two seconds."""
    settings = Settings(
        region=REGION,
        export_lease=timedelta(seconds=2),
        export_handover=timedelta(milliseconds=1),
        export_attempts=100,
    )
    return Services(settings, aws_at(endpoint))


def main(endpoint: str) -> None:
    """Claim the one export that is due, and render it."""
    pipeline = ExportPipeline(short_lease_services(endpoint), Stop())
    (export_id,) = pipeline.store.queue.due(1)
    claim = pipeline.store.claim(export_id, "killed")
    assert claim is not None
    print("exporting", flush=True)
    pipeline.prepare(claim)


if __name__ == "__main__":
    main(sys.argv[1])
