from __future__ import annotations

import csv
import hashlib
import io
import random
import subprocess
import time
from contextlib import suppress
from typing import Any

import pytest

from remit.exports.job import ExportJob
from remit.exports.pipeline import ExportPipeline
from remit.services import Services
from remit.stop import Stop
from tests.support.aws import empty_tables
from tests.support.exporter import short_lease_services
from tests.support.exports import export_job, payment, store_payments
from tests.support.process import worker

KILLS = 10
PAYMENTS = 400
# Together more than one part of a multipart upload: the kill may come between two parts.
DESCRIPTION = "x" * 30_000

pytestmark = pytest.mark.slow


def test_an_export_whose_renderer_is_killed_anywhere_is_completed_once(aws_server: str) -> None:
    empty_tables(aws_server)
    services = short_lease_services(aws_server)
    records = (payment(n, description=DESCRIPTION) for n in range(PAYMENTS))
    store_payments(services, *records)
    chance = random.Random(20261123)
    merchant = {"id": "merchant-1", "webhookURL": "http://127.0.0.1:9/", "webhookSecret": "s" * 32}
    services.tables.merchants.put(merchant)
    sums, met_alive = set(), 0
    for number in range(KILLS):
        job = new_job(services, f"export-{number}")
        kill_after(aws_server, chance.uniform(0, 1.5))
        met_alive += record(services, job.id)["status"] == "processing"
        sums.add(finish(services, job.id))
    print(f"{met_alive} of {KILLS} kills met the renderer at work")
    assert met_alive >= KILLS // 3, "the kills come too late to show anything"
    assert len(services.webhook_queue.due(100)) == KILLS, "each export is announced once"
    assert len(sums) == 1, "every export of the same rows is the same file"


def new_job(services: Services, export_id: str) -> ExportJob:
    job = export_job(export_id)
    ExportPipeline(services, Stop()).store.create(job)
    # Its expiry is real time here.
    services.tables.export_jobs.update(
        export_id,
        set={"expiresAt": int(time.time()) + 86_400},
        condition="attribute_exists(#id)",
    )
    return job


def kill_after(endpoint: str, seconds: float) -> None:
    """Start an exporter and kill it so long after it has claimed the export."""
    with worker("tests.support.exporter", endpoint) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"exporting\n"
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


def finish(services: Services, export_id: str) -> str:
    """Let a successor finish the export, if it is not; returns the checksum of the one result."""
    pipeline = ExportPipeline(services, Stop())
    deadline = time.monotonic() + 20
    while (item := record(services, export_id))["status"] != "completed":
        assert time.monotonic() < deadline, item
        if (claim := pipeline.store.claim(export_id, "successor")) is not None:
            pipeline.prepare(claim)
    content = services.s3.get_object(Bucket=services.settings.bucket, Key=item["resultKey"])["Body"]
    file = content.read()
    assert hashlib.sha256(file).hexdigest() == item["checksum"]["sha256"]
    assert len(list(csv.reader(io.StringIO(file.decode(), newline="")))) == PAYMENTS + 1
    assert not item.keys() & {"claim", "dueShard", "dueAt"}
    return str(item["checksum"]["sha256"])


def record(services: Services, export_id: str) -> dict[str, Any]:
    item = services.tables.export_jobs.get(export_id)
    assert item is not None
    return item
