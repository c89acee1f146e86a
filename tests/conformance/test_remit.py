"""Remit itself on the stand-ins: what it creates, and exports from the request to the file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from benchmarks.standins.dynamodb.api import DynamoDb
from benchmarks.standins.faults import FaultPlan, Faults
from benchmarks.standins.http import Server
from remit.aws.cloudformation import adopt, apply
from remit.aws.query import RawQuery
from remit.exports.pipeline import ExportPipeline
from remit.queue import INDEX, queued
from remit.services import Services
from remit.stop import Stop
from tests.conformance.tables import create_table, n, s
from tests.support.aws import aws_at
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
    for number in range(400):
        day, hour = 1 + number * 30 // 400, number % 24
        record = payment(
            number, createdAt=f"2026-01-{day:02d}T{hour:02d}:00:00Z", description="x" * 60_000
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


def test_every_page_arrives_once_whatever_goes_wrong(caplog: pytest.LogCaptureFixture) -> None:
    handler = DynamoDb()
    with Server(handler.handle) as server:
        aws = replace(aws_at(""), endpoints={"dynamodb": server.url})
        client = aws.client("dynamodb")
        table = create_table(client, "Readings", "device", "at", numbers=("at",))
        for at in range(50):
            client.put_item(TableName=table, Item={"device": s("d"), "at": n(at)})
        handler.faults = Faults(
            FaultPlan(reset_every=3, error_every=5, garbage_every=7, damage_every=2)
        )
        request = {
            "TableName": table,
            "KeyConditionExpression": "device = :d",
            "ExpressionAttributeValues": {":d": s("d")},
            "Limit": 5,
        }
        query = RawQuery(aws, server.url, Stop(), uniform=lambda _low, _high: 0.0)
        pages = list(query.pages(request))

    assert sum(page.count for page in pages) == 50
    assert len({str(page.last_key) for page in pages}) == len(pages)
    for reason in ("Connection", "500", "not a JSON answer", "damaged"):
        assert reason in caplog.text


def test_one_of_many_workers_claims_a_record(
    services_on_standins: Services, clock: ManualClock
) -> None:
    services = services_on_standins
    services.tables.webhooks.put({"id": "w-1", **queued("w-1", clock())})
    queue = services.webhook_queue
    with ThreadPoolExecutor(8) as workers:
        claims = list(workers.map(lambda _: queue.claim("w-1", timedelta(60)), range(8)))
    assert len([claim for claim in claims if claim is not None]) == 1
    assert queue.due(10) == []
