from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import openpyxl
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from pyarrow import parquet

from remit.clock import parse_instant
from remit.errors import ExportFailed, Interrupted, LeaseLost, OutOfRoom, StoreUnavailable
from remit.exports.pipeline import ExportPipeline
from remit.exports.render import XlsxRenderer
from remit.services import Services
from remit.stop import Stop
from tests.support.aws import content, objects, open_uploads, put_many
from tests.support.clock import ManualClock
from tests.support.exports import claimed, export_job, payment, store_payments
from tests.support.results import csv_rows, file_of, finished, manifest_of, record, rejects_of

MERCHANT = {"id": "merchant-1", "webhookURL": "http://127.0.0.1:9/", "webhookSecret": "s" * 32}


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def pipeline(services: Services, stop: Stop) -> ExportPipeline:
    return ExportPipeline(services, stop)


def create(pipeline: ExportPipeline, **request: Any) -> None:
    pipeline.store.create(export_job(**request))


def with_settings(services: Services, **changes: Any) -> ExportPipeline:
    settings = replace(services.settings, **changes)
    return ExportPipeline(Services(settings, services.aws, services.clock), Stop())


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
    rows = csv_rows(services, job)
    assert [row["payment_id"] for row in rows] == ["pay-000001", "pay-000002"]
    assert rows[0]["amount_minor"] == "-70"
    assert rows[0]["description"] == '\'=HYPERLINK("x")'
    assert json.loads(rows[0]["metadata"]) == {"order": "é", "n": 1}
    assert rows[1]["description"] == 'a "quoted"\r\nline, and a comma'


ROWS_IN: dict[str, Callable[[bytes], int]] = {
    "csv": lambda file: len(file.splitlines()) - 1,
    "json": lambda file: len([json.loads(line) for line in file.splitlines()]),
    "parquet": lambda file: parquet.read_table(io.BytesIO(file)).num_rows,
    "xlsx": lambda file: openpyxl.load_workbook(io.BytesIO(file)).active.max_row - 1,
}


@pytest.mark.parametrize("format", ROWS_IN)
def test_record_and_manifest_describe_the_file(
    services: Services, pipeline: ExportPipeline, format: str
) -> None:
    store_payments(services, *(payment(n) for n in range(1, 31)))
    create(pipeline, format=format)

    pipeline.prepare(claimed(pipeline))

    job = finished(services)
    file, manifest = file_of(services, job), manifest_of(services, job)
    digest = hashlib.sha256(file).hexdigest()
    (entry,) = manifest["files"]
    assert manifest["schema_version"] == 2
    assert manifest["rows"] == job["rows"] == entry["rows"] == 30 == ROWS_IN[format](file)
    assert manifest["bytes"] == job["bytes"] == entry["bytes"] == len(file)
    assert entry["checksums"]["sha256"] == job["checksum"]["sha256"] == digest
    assert job["files"] == [
        {
            "key": job["resultKey"],
            "name": entry["name"],
            "rows": 30,
            "bytes": len(file),
            "sha256": digest,
            "crc64nvme": job["checksum"]["crc64nvme"],
        }
    ]
    assert manifest["totals"] == {"amount_major": {"USD": "599.7000"}}
    assert (job["rejects"], manifest["rejects"]) == (0, None)
    assert manifest["as_of"] == "2026-11-23T11:59:55.000000Z"
    assert manifest["range"] == {
        "start": "2026-01-01T00:00:00.000000Z",
        "end": "2026-02-01T00:00:00.000000Z",
        "timezone": "UTC",
    }


def test_files_are_saved_under_their_names_and_encrypted_with_the_key_that_is_set(
    services: Services,
) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/1b2c"
    pipeline = with_settings(services, kms_key=key)
    store_payments(services, payment(1), payment(2, amount="12"))
    create(pipeline)

    pipeline.prepare(claimed(pipeline))

    job = finished(services)
    names = {
        job["resultKey"]: 'attachment; filename="payments_2026-01-01_2026-01-31.csv"',
        job["rejectsKey"]: 'attachment; filename="rejects.ndjson"',
        job["manifestKey"]: None,
    }
    assert sorted(names) == objects(services)
    for stored, disposition in names.items():
        head = services.s3.head_object(Bucket=services.settings.bucket, Key=stored)
        assert head.get("ContentDisposition") == disposition
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


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

    found = {row["payment_id"] for row in csv_rows(services, finished(services))}
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

    rows = csv_rows(services, finished(services))
    assert [row["payment_id"] for row in rows] == ["pay-000001"]


def test_what_is_created_shortly_before_the_request_or_later_is_left_out(
    services: Services,
) -> None:
    pipeline = with_settings(services, settle_lag=timedelta(seconds=10))
    store_payments(
        services,
        payment(1, createdAt="2026-11-23T11:59:49.999999Z"),
        payment(2, createdAt="2026-11-23T11:59:50Z"),
        payment(3, createdAt="2026-11-23T12:00:00Z"),
    )
    create(pipeline, start_date="2026-11-23", end_date="2026-11-23")

    pipeline.prepare(claimed(pipeline))

    assert [row["payment_id"] for row in csv_rows(services, finished(services))] == ["pay-000001"]
    assert manifest_of(services, finished(services))["as_of"] == "2026-11-23T11:59:50.000000Z"


def test_an_empty_export_has_a_header(services: Services, pipeline: ExportPipeline) -> None:
    create(pipeline)

    pipeline.prepare(claimed(pipeline))

    job = finished(services)
    assert job["rows"] == 0
    assert content(services, job["resultKey"]).startswith(b"payment_id,created_at_utc,")


def test_a_record_that_cannot_be_read_is_set_aside_and_told(
    services: Services, pipeline: ExportPipeline
) -> None:
    services.tables.merchants.put(MERCHANT)
    store_payments(services, payment(1), payment(2, createdAt="2026-01-20 soon"), payment(3))
    create(pipeline)

    pipeline.prepare(claimed(pipeline))

    job = finished(services)
    assert (job["status"], job["rows"], job["rejects"]) == ("completed", 2, 1)
    assert {row["payment_id"] for row in csv_rows(services, job)} == {"pay-000001", "pay-000003"}
    (reject,) = rejects_of(services, job)
    assert (reject["source"], reject["id"]) == ("payments", "pay-000002")
    assert reject["record"]["createdAt"] == {"S": "2026-01-20 soon"}
    assert manifest_of(services, job)["rejects"]["rows"] == 1
    event = services.tables.events.get("evt-export-1-completed") or {}
    assert json.loads(event["payload"])["data"]["rejects"] == 1


def test_too_many_records_that_cannot_be_read_fail_the_export(services: Services) -> None:
    pipeline = with_settings(services, max_rejects=1)
    store_payments(services, payment(1), *(payment(n, amount="12") for n in (2, 3)))
    create(pipeline)

    with pytest.raises(ExportFailed, match="more than 1 records cannot be read"):
        pipeline.prepare(claimed(pipeline))

    assert (finished(services)["status"], finished(services)["errorCode"]) == (
        "failed",
        "too_many_rejects",
    )
    assert objects(services) == []


def test_more_rows_than_xlsx_can_hold_fail_the_export_and_the_message_says_how_many_it_can(
    services: Services, pipeline: ExportPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(XlsxRenderer, "max_rows", 3)
    store_payments(services, *(payment(n) for n in range(4)))
    create(pipeline, format="xlsx")

    with pytest.raises(ExportFailed, match="at most 3 rows"):
        pipeline.prepare(claimed(pipeline))

    assert finished(services)["errorCode"] == "too_many_rows"
    assert "at most 3 rows" in finished(services)["error"]
    assert objects(services) == []


def refund(number: int, **changes: Any) -> dict[str, Any]:
    """A refund as the payments platform writes it."""
    return {
        "id": f"txn-{number}",
        "paymentID": f"pay-{number:06d}",
        "merchantID": "merchant-1",
        "type": "refund",
        "status": "succeeded",
        "amount": 1999,
        "currency": "USD",
        "createdAt": "2026-01-15T12:00:00Z",
        **changes,
    }


def test_refunds_are_in_the_major_units_of_their_currency(
    services: Services, pipeline: ExportPipeline
) -> None:
    records = (
        refund(1),
        refund(2, currency="JPY", createdAt="2026-01-16T12:00:00Z"),
        refund(3, currency="KWD", createdAt="2026-01-17T12:00:00Z"),
        refund(4, type="charge"),
        refund(5, merchantID="merchant-2"),
        refund(6, createdAt="2026-02-01T00:00:00Z"),
    )
    put_many(services, "Transactions", records)
    create(pipeline, report="refunds")

    pipeline.prepare(claimed(pipeline))

    rows = csv_rows(services, finished(services))
    assert [(row["refund_id"], row["payment_id"], row["amount_major"]) for row in rows] == [
        ("txn-1", "pay-000001", "19.99"),
        ("txn-2", "pay-000002", "1999"),
        ("txn-3", "pay-000003", "1.999"),
    ]
    assert manifest_of(services, finished(services))["totals"]["amount_major"] == {
        "JPY": "1999.0000",
        "KWD": "1.9990",
        "USD": "19.9900",
    }


def test_settlements_are_those_whose_day_is_in_the_range(
    services: Services, pipeline: ExportPipeline
) -> None:
    def settlement(day: str, **changes: Any) -> dict[str, Any]:
        return {
            "id": f"set-{day}",
            "merchantID": "merchant-1",
            "batchID": f"batch-{day}",
            "date": day,
            "status": "paid",
            "totalAmount": 123456,
            "transactionCount": 12,
            "currency": "KWD",
            "createdAt": f"{day}T23:00:00Z",
            "transactions": [{"paymentID": "pay-1", "amount": 1999}],
            **changes,
        }

    records = (
        settlement("2025-12-31"),
        settlement("2026-01-01", currency="JPY", totalAmount=-5),
        settlement("2026-01-31"),
        settlement("2026-02-01"),
    )
    put_many(services, "Settlements", records)
    create(pipeline, report="settlements", timezone="America/Los_Angeles")

    pipeline.prepare(claimed(pipeline))

    rows = csv_rows(services, finished(services))
    assert [(row["settlement_date"], row["total_minor"], row["total_major"]) for row in rows] == [
        ("2026-01-01", "-5", "-5"),
        ("2026-01-31", "123456", "123.456"),
    ]
    assert rows[1]["transaction_count"] == "12"
    assert json.loads(rows[1]["transactions"]) == [{"paymentID": "pay-1", "amount": 1999}]


def test_a_summary_adds_up_payments_and_refunds_by_the_days_of_its_time_zone(
    services: Services, pipeline: ExportPipeline
) -> None:
    store_payments(
        services,
        payment(1, createdAt="2026-01-14T18:14:59.999999Z"),  # the last microsecond of the 14th
        payment(2, createdAt="2026-01-14T18:15:00Z"),
        payment(3, createdAt="2026-01-15T18:14:59Z", amount=1),
        payment(4, createdAt="2026-01-15T00:00:00+05:45", currency="JPY"),
        payment(5, createdAt="2025-12-31T18:14:59Z"),  # still December
        payment(6, createdAt="2026-01-15T12:00:00Z", amount="12"),
    )
    put_many(services, "Transactions", [refund(1, amount=500), refund(2, type="charge")])
    create(pipeline, report="daily_summary", timezone="Asia/Kathmandu")

    pipeline.prepare(claimed(pipeline))

    job = finished(services)
    columns = ("day", "currency", "payment_count", "refund_count", "gross_minor", "net_major")
    assert [tuple(row[name] for name in columns) for row in csv_rows(services, job)] == [
        ("2026-01-14", "USD", "1", "0", "1999", "19.99"),
        ("2026-01-15", "JPY", "1", "0", "1999", "1999"),
        ("2026-01-15", "USD", "2", "1", "2000", "15.00"),
    ]
    assert [reject["id"] for reject in rejects_of(services, job)] == ["pay-000006"]


def test_all_sources_of_a_report_share_its_budget(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remit.exports import reading

    budgets: list[float | None] = []

    class Noted(reading.Pace):
        def __init__(self, budget: float | None = None) -> None:
            budgets.append(budget)
            super().__init__(budget)

    monkeypatch.setattr(reading, "Pace", Noted)
    pipeline = with_settings(services, read_budget=1000)
    create(pipeline, report="daily_summary")

    pipeline.prepare(claimed(pipeline))

    assert budgets == [500, 500]


def test_a_finished_export_is_announced_in_the_same_write(
    services: Services, pipeline: ExportPipeline
) -> None:
    services.tables.merchants.put(MERCHANT)
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
    services.tables.merchants.put(MERCHANT)
    create(pipeline)
    pipeline.prepare(claimed(pipeline))

    pipeline.store.reopen("export-1")
    pipeline.prepare(claimed(pipeline, owner="run-1#1"))

    job = finished(services)
    assert (job["status"], job["generation"]) == ("completed", 2)
    assert len(services.webhook_queue.due(10)) == 1


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

    with pytest.raises(ExportFailed, match=r"tried 5 times .* no more sign of life"):
        pipeline.prepare(claimed(pipeline))

    assert finished(services)["errorCode"] == "too_many_attempts"


def test_an_outage_does_not_count_as_an_attempt(
    services: Services, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    store_payments(services, payment(1))
    create(pipeline)
    bucket = replace(services.settings, bucket="not-there-yet")
    broken = ExportPipeline(Services(bucket, services.aws, clock), Stop())
    broken.services.s3.meta.events.register("before-call.s3", out_of_reach)
    for _ in range(services.settings.export_attempts + 2):
        with pytest.raises(StoreUnavailable):
            broken.prepare(claimed(pipeline))

    assert pipeline.prepare(claimed(pipeline)) == []

    assert finished(services)["status"] == "completed"


def test_that_no_worker_has_room_counts_as_an_attempt(
    services: Services, pipeline: ExportPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OutOfRoom("the disk is full")

    create(pipeline)
    monkeypatch.setattr("remit.exports.rendering.frames", full)
    for _ in range(services.settings.export_attempts):
        with pytest.raises(OutOfRoom):
            pipeline.prepare(claimed(pipeline))
    with pytest.raises(ExportFailed):
        pipeline.prepare(claimed(pipeline))

    job = finished(services)
    assert job["errorCode"] == "too_many_attempts"
    assert "tried 5 times in vain; the last time: the worker had no room" in job["error"]


def out_of_reach(**_: Any) -> None:
    raise EndpointConnectionError(endpoint_url="http://s3")


def test_a_permission_that_is_missing_does_not_count_as_an_attempt(
    services: Services, pipeline: ExportPipeline
) -> None:
    create(pipeline)
    services.s3.delete_bucket(Bucket=services.settings.bucket)
    for _ in range(services.settings.export_attempts + 2):
        with pytest.raises(ClientError, match="NoSuchBucket"):
            pipeline.prepare(claimed(pipeline))
    job = record(services)
    assert (job["status"], job["lastError"]["code"]) == ("pending", "refused")


def test_a_fault_that_stays_is_met_more_and_more_rarely_and_ends_in_a_failure(
    services: Services, pipeline: ExportPipeline, clock: ManualClock
) -> None:
    create(pipeline)
    clock.advance(60)
    began = clock()
    services.s3.delete_bucket(Bucket=services.settings.bucket)
    rounds = []
    while record(services)["status"] != "failed":
        rounds.append((clock() - began).total_seconds() / 60)
        claim = pipeline.store.claim("export-1", "poller")
        assert claim is not None
        with pytest.raises((ClientError, ExportFailed), match=r"NoSuchBucket|for a day"):
            pipeline.prepare(claim)
        assert pipeline.store.queue.due(10) == []
        clock.now = parse_instant(record(services).get("dueAt", claim.item["dueAt"]))

    assert rounds[:8] == [0, 1, 2, 4, 8, 16, 32, 64]
    assert {later - before for before, later in pairwise(rounds[7:])} == {60}
    job = finished(services)
    assert (job["status"], job["errorCode"]) == ("failed", "refused_too_long")
    assert "a store refused" in job["error"]
    assert "lastError" not in job


def test_an_outage_is_waited_for_however_long_it_takes(
    services: Services, pipeline: ExportPipeline, clock: ManualClock
) -> None:
    create(pipeline)
    pipeline.services.s3.meta.events.register("before-call.s3", out_of_reach)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            pipeline.prepare(claimed(pipeline))
        clock.advance(86_400)
    pipeline.services.s3.meta.events.unregister("before-call.s3", out_of_reach)

    pipeline.prepare(claimed(pipeline))

    job = finished(services)
    assert job["status"] == "completed"
    assert "lastError" not in job


def test_an_error_that_nobody_has_foreseen_counts_and_is_written_down(
    services: Services, pipeline: ExportPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: Any) -> None:
        raise ZeroDivisionError("x" * 5_000)

    create(pipeline)
    monkeypatch.setattr("remit.exports.rendering.frames", bug)
    with pytest.raises(ZeroDivisionError):
        pipeline.prepare(claimed(pipeline))

    job = record(services)
    assert (job["attempts"], job["lastError"]["code"]) == (1, "internal")
    assert job["lastError"]["detail"].startswith("ZeroDivisionError: xxx")
    assert len(job["lastError"]["detail"]) == 1000


def test_an_abort_that_fails_does_not_hide_why(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remit.exports.engine.BATCH_ROWS", 100)
    pipeline = with_settings(services, max_rejects=0)
    good = (payment(n, description="x" * 60_000) for n in range(500))
    put_many(services, "Payments", [*good, payment(999, createdAt="2026-01-30 soon")])
    create(pipeline)
    pipeline.services.s3.meta.events.register("before-call.s3.AbortMultipartUpload", out_of_reach)

    with pytest.raises(ExportFailed, match="pay-000999"):
        pipeline.prepare(claimed(pipeline))

    assert finished(services)["errorCode"] == "too_many_rejects"
    assert len(open_uploads(services)) == 1
