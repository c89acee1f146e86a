"""Remit itself on the stand-ins: what it creates, and exports from the request to the file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace

from remit.aws.cloudformation import adopt, apply
from remit.exports.pipeline import ExportPipeline
from remit.queue import INDEX
from remit.services import Services
from remit.stop import Stop
from tests.support.clock import ManualClock
from tests.support.exports import claimed, export_job, payment, store_payments


def content(services: Services, key: str) -> bytes:
    body: bytes = services.s3.get_object(Bucket=services.settings.bucket, Key=key)["Body"].read()
    return body


def test_what_is_applied_is_complete(services_on_standins: Services) -> None:
    aws = services_on_standins.aws
    other = {"TablePrefix": "eu-", "BucketName": "eu-exports"}

    assert apply(aws, {}) == []
    assert "created bucket eu-exports" in apply(aws, other)
    assert apply(aws, other) == []


def test_an_index_is_adopted(services_on_standins: Services) -> None:
    aws = services_on_standins.aws
    aws.client("dynamodb").update_table(
        TableName="ExportJobs", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": INDEX}}]
    )

    assert adopt(aws, {}, Stop()) == [f"created index {INDEX} of ExportJobs"]
    assert adopt(aws, {}, Stop()) == []


def test_a_small_export_is_written_and_announced(services_on_standins: Services) -> None:
    services = services_on_standins
    services.tables.merchants.put(
        {"id": "merchant-1", "webhookURL": "http://127.0.0.1:9/hook", "webhookSecret": "s" * 32}
    )
    store_payments(services, *(payment(n) for n in range(1, 31)))
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job())

    assert pipeline.prepare(claimed(pipeline)) == []

    job = services.tables.export_jobs.get("export-1") or {}
    file = content(services, job["resultKey"])
    assert (job["status"], job["rows"]) == ("completed", 30)
    assert len(list(csv.DictReader(io.StringIO(file.decode(), newline="")))) == 30
    manifest = json.loads(content(services, job["manifestKey"]))
    (described,) = manifest["files"]
    assert described["checksums"]["sha256"] == hashlib.sha256(file).hexdigest()
    assert len(services.webhook_queue.due(10)) == 1


def test_a_large_export_is_composed_of_its_slices(
    services_on_standins: Services, clock: ManualClock
) -> None:
    services = services_on_standins
    ids = []
    for n in range(400):
        day, hour = 1 + n * 30 // 400, n % 24
        record = payment(
            n, createdAt=f"2026-01-{day:02d}T{hour:02d}:00:00Z", description="x" * 60_000
        )
        store_payments(services, record)
        ids.append(record["id"])
    settings = replace(services.settings, small_export_rows=10, slice_rows=10, max_slices=4)
    pipeline = ExportPipeline(Services(settings, services.aws, clock), Stop())
    pipeline.store.create(export_job(format="json"))

    slices = pipeline.prepare(claimed(pipeline))
    pipeline.publish([pipeline.render(piece) for piece in slices])

    job = services.tables.export_jobs.get("export-1") or {}
    rows = [json.loads(line) for line in content(services, job["resultKey"]).splitlines()]
    assert len(slices) == 4
    assert sorted(row["payment_id"] for row in rows) == ids
    left = services.s3.list_objects_v2(Bucket=settings.bucket, Prefix="staging/")
    assert left["KeyCount"] == 0
    assert "Uploads" not in services.s3.list_multipart_uploads(Bucket=settings.bucket)
