from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from pyarrow import parquet

from remit.aws.query import RawQuery
from remit.errors import ExportFailed, Interrupted, LeaseLost, StoreUnavailable
from remit.exports.pipeline import ExportPipeline
from remit.exports.slices import RenderedSlice, Slice
from remit.exports.source import key_ranges, query_for
from remit.services import Services
from remit.stop import Stop
from tests.support.clock import ManualClock
from tests.support.exports import claimed, export_job, payment, store_payments


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def pipeline(services: Services, stop: Stop) -> ExportPipeline:
    return ExportPipeline(services, stop)


def create(pipeline: ExportPipeline, **request: Any) -> None:
    pipeline.store.create(export_job(**request))


def content(services: Services, key: str) -> bytes:
    body = services.s3.get_object(Bucket=services.settings.bucket, Key=key)["Body"].read()
    assert isinstance(body, bytes)
    return body


def objects(services: Services) -> list[str]:
    listing = services.s3.list_objects_v2(Bucket=services.settings.bucket)
    return sorted(entry["Key"] for entry in listing.get("Contents", []))


def open_uploads(services: Services) -> list[Any]:
    bucket = services.settings.bucket
    return list(services.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []))


def finished(services: Services) -> dict[str, Any]:
    item = services.tables.export_jobs.get("export-1")
    assert item is not None
    assert not item.keys() & {"claim", "dueShard", "dueAt"}, "it is still in the queue"
    return item


def read_csv(services: Services, key: str) -> list[dict[str, str]]:
    text = content(services, key).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_small_export_is_finished_by_prepare(
    services: Services, pipeline: ExportPipeline
) -> None:
    store_payments(
        services,
        payment(1, amount=-70, description='=HYPERLINK("x")', metadata={"order": "é", "n": 1}),
        payment(2, currency="JPY", description='a "quoted"\r\nline, and a comma'),
        payment(3, merchantID="merchant-2"),
    )
    create(pipeline)

    assert pipeline.prepare(claimed(pipeline)) == []

    job = finished(services)
    assert job["status"] == "completed"
    assert (job["rows"], job["generation"]) == (2, 1)
    rows = read_csv(services, job["resultKey"])
    assert [row["payment_id"] for row in rows] == ["pay-000001", "pay-000002"]
    assert rows[0]["amount_minor"] == "-70"
    assert rows[0]["description"] == '\'=HYPERLINK("x")'
    assert json.loads(rows[0]["metadata"]) == {"order": "é", "n": 1}
    assert rows[1]["description"] == 'a "quoted"\r\nline, and a comma'


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
def test_the_manifest_describes_the_file(
    services: Services, pipeline: ExportPipeline, format: str
) -> None:
    store_payments(services, *(payment(n) for n in range(1, 31)))
    create(pipeline, format=format)

    pipeline.prepare(claimed(pipeline))

    job = finished(services)
    file = content(services, job["resultKey"])
    manifest = json.loads(content(services, job["manifestKey"]))
    assert manifest["rows"] == job["rows"] == 30
    assert manifest["bytes"] == job["bytes"] == len(file)
    assert manifest["checksums"]["sha256"] == hashlib.sha256(file).hexdigest()
    assert manifest["as_of"] == "2026-11-23T12:00:00.000000Z"
    assert manifest["range"] == {
        "start": "2026-01-01T00:00:00.000000Z",
        "end": "2026-02-01T00:00:00.000000Z",
    }
    rows = {
        "csv": lambda: len(read_csv(services, job["resultKey"])),
        "json": lambda: len([json.loads(line) for line in file.splitlines()]),
        "parquet": lambda: parquet.read_table(io.BytesIO(file)).num_rows,
    }[format]()
    assert rows == 30


def test_the_instant_decides_at_the_edges_whatever_the_offset(
    services: Services, pipeline: ExportPipeline
) -> None:
    edges = {
        "first": "2026-01-01T00:00:00Z",
        "first-elsewhere": "2026-01-01T05:30:00.5+05:30",
        "last": "2026-01-31T18:59:59.999999999-05:00",
        "too-early": "2026-01-01T05:29:59.9+05:30",
        "too-late": "2026-01-31T19:00:00-05:00",
        "far-east": "2026-02-01T13:59:59+14:00",
        "far-west": "2025-12-31T12:00:00-12:00",
    }
    store_payments(services, *(payment(id=name, createdAt=at) for name, at in edges.items()))
    create(pipeline)

    pipeline.prepare(claimed(pipeline))

    found = {row["payment_id"] for row in read_csv(services, finished(services)["resultKey"])}
    assert found == {"first", "first-elsewhere", "last", "far-east", "far-west"}


def test_filters_select(services: Services, pipeline: ExportPipeline) -> None:
    store_payments(
        services,
        payment(1),
        payment(2, status="failed"),
        payment(3, customerID="cus-2"),
        payment(4, amount=50),
        payment(5, amount=5000),
    )
    create(pipeline, status="succeeded", customer_id="cus-1", min_amount=100, max_amount=4999)

    pipeline.prepare(claimed(pipeline))

    rows = read_csv(services, finished(services)["resultKey"])
    assert [row["payment_id"] for row in rows] == ["pay-000001"]


def test_what_is_created_after_the_request_is_left_out(
    services: Services, pipeline: ExportPipeline
) -> None:
    store_payments(
        services,
        payment(1, createdAt="2026-11-23T11:59:59Z"),
        payment(2, createdAt="2026-11-23T12:00:00Z"),
    )
    create(pipeline, start_date="2026-11-23", end_date="2026-11-23")

    pipeline.prepare(claimed(pipeline))

    assert finished(services)["rows"] == 1


def test_an_empty_export_has_a_header(services: Services, pipeline: ExportPipeline) -> None:
    create(pipeline)

    pipeline.prepare(claimed(pipeline))

    job = finished(services)
    assert job["rows"] == 0
    assert content(services, job["resultKey"]).startswith(b"payment_id,created_at_utc,")


def test_a_malformed_record_fails_the_export_with_its_id(
    services: Services, pipeline: ExportPipeline
) -> None:
    store_payments(services, payment(1), payment(2, createdAt="2026-01-20 soon"))
    create(pipeline)

    with pytest.raises(ExportFailed, match="payment pay-000002: createdAt is not an instant"):
        pipeline.prepare(claimed(pipeline))

    job = finished(services)
    assert (job["status"], job["errorCode"]) == ("failed", "malformed_record")
    assert "pay-000002" in job["error"]
    assert objects(services) == []


def test_a_finished_export_is_announced_in_the_same_write(
    services: Services, pipeline: ExportPipeline
) -> None:
    services.tables.merchants.put(
        {"id": "merchant-1", "webhookURL": "http://127.0.0.1:9/hook", "webhookSecret": "s" * 32}
    )
    create(pipeline)

    pipeline.prepare(claimed(pipeline))

    event = services.tables.events.get("evt-export-1-completed")
    assert event is not None
    assert event["type"] == "export.completed"
    assert json.loads(event["payload"])["data"]["export_id"] == "export-1"
    assert len(services.webhook_queue.due(10)) == 1


def test_an_export_that_is_done_again_is_announced_once(
    services: Services, pipeline: ExportPipeline
) -> None:
    services.tables.merchants.put(
        {"id": "merchant-1", "webhookURL": "http://127.0.0.1:9/hook", "webhookSecret": "s" * 32}
    )
    create(pipeline)
    pipeline.prepare(claimed(pipeline))

    pipeline.store.reopen("export-1")
    pipeline.prepare(claimed(pipeline, owner="run-1#1"))

    job = finished(services)
    assert (job["status"], job["generation"]) == ("completed", 2)
    assert len(services.webhook_queue.due(10)) == 1


def large(services: Services, clock: ManualClock) -> ExportPipeline:
    """A pipeline for which anything beyond a page or ten rows is large."""
    settings = replace(services.settings, small_export_rows=10, slice_rows=10, max_slices=4)
    return ExportPipeline(Services(settings, services.aws, clock), Stop())


def many(services: Services, count: int, size: int = 30_000) -> list[str]:
    """Payments over all of January whose pages are full (1 MB) after a few dozen."""
    records = [
        payment(
            n,
            createdAt=f"2026-01-{1 + n * 30 // count:02d}T{n % 24:02d}:00:00Z",
            description="x" * size,
        )
        for n in range(count)
    ]
    store_payments(services, *records)
    return [record["id"] for record in records]


def read_units(services: Services) -> float:
    """What it costs to read all of the merchant's payments once."""
    query = RawQuery(services.aws, services.tables.client.meta.endpoint_url, Stop())
    (keys,) = key_ranges(export_job().request.range)
    request = query_for(services.tables.payments.name, "merchant-1", keys)
    return sum(page.capacity_units for page in query.pages(request))


@pytest.mark.parametrize("format", ["csv", "json"])
def test_a_large_export_without_rows_is_an_empty_file(
    services: Services, clock: ManualClock, format: str
) -> None:
    many(services, 120)
    pipeline = large(services, clock)
    create(pipeline, format=format, status="canceled")

    pipeline.publish([pipeline.render(piece) for piece in pipeline.prepare(claimed(pipeline))])

    job = finished(services)
    file = content(services, job["resultKey"])
    assert job["rows"] == 0
    assert len(file.splitlines()) == (1 if format == "csv" else 0)
    assert job["bytes"] == len(file)


def test_a_slice_that_is_rendered_twice_counts_once(services: Services, clock: ManualClock) -> None:
    many(services, 120)
    pipeline = large(services, clock)
    create(pipeline)
    (first, *_) = pipeline.prepare(claimed(pipeline))

    once = pipeline.render(first)
    again = pipeline.render(first)

    item = services.tables.export_jobs.get("export-1") or {}
    assert once == again
    assert (item["slicesDone"], item["progressRows"]) == (frozenset({0}), once.rows)


@pytest.mark.parametrize("format", ["csv", "json"])
def test_a_large_export_is_cut_rendered_in_slices_and_composed(
    services: Services, clock: ManualClock, format: str
) -> None:
    ids = many(services, 120)
    pipeline = large(services, clock)
    whole_read = read_units(services)
    create(pipeline, format=format)

    slices = pipeline.prepare(claimed(pipeline))
    assert [piece.number for piece in slices] == [0, 1, 2, 3]
    travelled = [Slice.from_json(json.loads(json.dumps(piece.to_json()))) for piece in slices]
    rendered = [pipeline.render(piece) for piece in reversed(travelled)]
    clock.advance(3600)  # a long wait for a worker: nobody has claimed it meanwhile
    pipeline.publish(
        [RenderedSlice.from_json(json.loads(json.dumps(r.to_json()))) for r in rendered]
    )

    job = finished(services)
    file = content(services, job["resultKey"])
    manifest = json.loads(content(services, job["manifestKey"]))
    lines = file.decode().splitlines()
    key = "payment_id"
    rows = read_csv(services, job["resultKey"]) if format == "csv" else map(json.loads, lines)
    assert [row[key] for row in rows] == ids, "each payment once, in the order of the index"
    assert len(lines) == (121 if format == "csv" else 120)
    assert job["rows"] == manifest["rows"] == job["progressRows"] == 120
    assert job["slicesDone"] == frozenset(range(4))
    assert manifest["read_capacity_units"] < 1.5 * whole_read, "slices read nothing twice"
    assert job["bytes"] == len(file)
    for segment in manifest["checksums"]["segments"]:
        part = file[segment["offset"] : segment["offset"] + segment["length"]]
        assert hashlib.sha256(part).hexdigest() == segment["sha256"]
    assert len(manifest["checksums"]["segments"]) == 4
    assert not [key for key in objects(services) if key.startswith("staging/")]
    assert open_uploads(services) == []


def test_a_worker_that_lost_its_lease_changes_nothing(
    services: Services, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    store_payments(services, payment(1))
    create(pipeline)
    stale = claimed(pipeline)
    clock.advance(services.settings.export_lease.total_seconds() + 1)
    successor = pipeline.store.claim("export-1", "run-2")
    assert successor is not None
    pipeline.prepare(successor)
    result = finished(services)

    with pytest.raises(LeaseLost):
        pipeline.prepare(stale)

    assert finished(services) == result
    assert result["generation"] == 2
    assert content(services, result["resultKey"])


def test_a_slice_of_a_lost_export_is_not_rendered(services: Services, clock: ManualClock) -> None:
    many(services, 120)
    pipeline = large(services, clock)
    create(pipeline)
    (piece, *_) = pipeline.prepare(claimed(pipeline))
    clock.advance(services.settings.export_queue_lease.total_seconds() + 1)
    assert pipeline.store.claim("export-1", "run-2") is not None

    with pytest.raises(LeaseLost):
        pipeline.render(piece)

    assert objects(services) == []


def test_a_stop_gives_the_export_back(
    services: Services, stop: Stop, pipeline: ExportPipeline
) -> None:
    store_payments(services, payment(1))
    create(pipeline)
    claim = claimed(pipeline)
    stop.request()

    with pytest.raises(Interrupted):
        pipeline.prepare(claim)

    assert pipeline.store.queue.due(10) == ["export-1"]
    assert objects(services) == []
    successor = pipeline.store.claim("export-1", "run-2")
    assert successor is not None
    assert ExportPipeline(services, Stop()).prepare(successor) == []


def test_an_export_that_was_tried_too_often_fails(
    services: Services, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    create(pipeline)
    for _ in range(services.settings.export_attempts):
        claimed(pipeline)
        clock.advance(3600)

    with pytest.raises(ExportFailed, match="tried 5 times"):
        pipeline.prepare(claimed(pipeline))

    assert finished(services)["errorCode"] == "too_many_attempts"


def test_an_outage_does_not_count_as_an_attempt(
    services: Services, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    store_payments(services, payment(1))
    create(pipeline)
    bucket = replace(services.settings, bucket="not-there-yet")
    broken = ExportPipeline(Services(bucket, services.aws, clock), Stop())
    broken._services.s3.meta.events.register("before-call.s3", _reset_by_peer)
    for _ in range(services.settings.export_attempts + 2):
        with pytest.raises(StoreUnavailable):
            broken.prepare(claimed(pipeline))

    assert pipeline.prepare(claimed(pipeline)) == []

    assert finished(services)["status"] == "completed"


def _reset_by_peer(**_: Any) -> None:
    raise EndpointConnectionError(endpoint_url="http://s3")


def test_a_permission_that_is_missing_does_not_count_as_an_attempt(
    services: Services, pipeline: ExportPipeline
) -> None:
    create(pipeline)
    services.s3.delete_bucket(Bucket=services.settings.bucket)
    for _ in range(services.settings.export_attempts + 2):
        with pytest.raises(ClientError, match="NoSuchBucket"):
            pipeline.prepare(claimed(pipeline))
    assert (services.tables.export_jobs.get("export-1") or {})["status"] == "processing"


def test_an_abort_that_fails_does_not_hide_why(
    services: Services, pipeline: ExportPipeline
) -> None:
    good = [payment(n, description="x" * 30_000) for n in range(700)]
    store_payments(services, *good, payment(999, createdAt="2026-01-30 soon"))
    create(pipeline)
    services.s3.meta.events.register("before-call.s3.AbortMultipartUpload", _reset_by_peer)

    with pytest.raises(ExportFailed, match="pay-000999"):
        pipeline.prepare(claimed(pipeline))

    assert finished(services)["errorCode"] == "malformed_record"


def test_a_slice_that_cannot_be_deleted_does_not_undo_the_export(
    services: Services, clock: ManualClock
) -> None:
    many(services, 120)
    pipeline = large(services, clock)
    create(pipeline)
    rendered = [pipeline.render(piece) for piece in pipeline.prepare(claimed(pipeline))]
    pipeline._services.s3.meta.events.register("before-call.s3.DeleteObject", _reset_by_peer)

    pipeline.publish(rendered)

    assert finished(services)["rows"] == 120
