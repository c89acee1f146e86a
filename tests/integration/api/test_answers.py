"""What the hook tells of an export's record; the records are put into the table by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.clock import epoch_seconds, format_instant
from remit.services import Services
from tests.support.api import bearer, token
from tests.support.clock import ManualClock
from tests.support.standins import StandIns

SHA, CRC = "14fde3a3" * 8, "ZB2vx0IuB9s="
DOWNLOAD = "/remit/exports/export-1/download"


def file(number: int, **changes: Any) -> dict[str, Any]:
    name = f"payments-{number}.csv"
    sums = {"sha256": SHA, "crc64nvme": CRC}
    return {
        "key": f"exports/m/e/1/{name}",
        "name": name,
        "rows": 10,
        "bytes": 99,
        **sums,
        **changes,
    }


def told(
    client: TestClient, services: Services, clock: ManualClock, **record: Any
) -> dict[str, Any]:
    """Store a completed record, and ask for it."""
    item = {
        "id": "export-1",
        "merchantID": "merchant-1",
        "status": "completed",
        "format": "csv",
        "query": {"StartDate": "2026-01-01", "EndDate": "2026-01-31"},
        "rows": 20,
        "bytes": 198,
        "manifestKey": "exports/m/e/1/manifest.json",
        "rejects": 0,
        "expiresAt": epoch_seconds(clock() + timedelta(days=7)),
        **record,
    }
    services.tables.export_jobs.put({k: v for k, v in item.items() if v is not ...})
    answer = client.get("/exports/export-1", headers=bearer(token(clock)))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_only_file_is_also_the_download(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    body = told(client, services, clock, files=[file(1)], resultKey="exports/m/e/1/payments-1.csv")

    (only,) = body["files"]
    assert only == {
        "name": "payments-1.csv",
        "rows": 10,
        "bytes": 99,
        "checksum": {"sha256": SHA, "crc64nvme": CRC},
        "url": f"{DOWNLOAD}?file=1",
    }
    until = format_instant(clock() + timedelta(days=7))
    assert (body["download_url"], body["download_expires_at"]) == (DOWNLOAD, until)
    assert body["checksum"] == only["checksum"]
    assert body["manifest_url"] == f"{DOWNLOAD}?file=manifest"
    assert (body["rejects"], body["rejects_url"]) == (0, None)


def test_of_several_files_each_has_a_path(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    files = [file(1), file(2, sha256=None)]
    body = told(client, services, clock, files=files, resultKey=files[0]["key"])

    assert [one["url"] for one in body["files"]] == [f"{DOWNLOAD}?file=1", f"{DOWNLOAD}?file=2"]
    assert body["files"][1]["checksum"] == {"sha256": None, "crc64nvme": CRC}
    assert body["download_url"] is body["checksum"] is None
    assert body["download_expires_at"]
    assert body["manifest_url"]


def test_what_was_rejected_has_a_path(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    key = "exports/m/e/1/rejects.jsonl"
    body = told(client, services, clock, files=[file(1)], rejects=3, rejectsKey=key)

    assert (body["rejects"], body["rejects_url"]) == (3, f"{DOWNLOAD}?file=rejects")


def test_a_manifest_is_summed_up(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    span = {"start": "2026-01-01T00:00:00.000000Z", "end": "2026-02-01T00:00:00.000000Z"}
    body = told(
        client,
        services,
        clock,
        files=[file(1)],
        range={**span, "timezone": "UTC"},
        asOf="2026-11-23T11:59:55.000000Z",
        totals={"amount_major": {"EUR": "19.99"}},
    )

    assert body["manifest"] == {
        "range": {**span, "timezone": "UTC"},
        "as_of": "2026-11-23T11:59:55.000000Z",
        "totals": {"amount_major": {"EUR": "19.99"}},
    }


def test_an_older_record_has_its_only_file(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    body = told(
        client,
        services,
        clock,
        resultKey="exports/m/e/1/payments.csv",
        checksum={"sha256": SHA, "crc64nvme": CRC},
        rejects=...,
        manifestKey=...,
    )

    (only,) = body["files"]
    assert (only["name"], only["rows"], only["bytes"]) == ("payments.csv", 20, 198)
    assert only["checksum"] == body["checksum"] == {"sha256": SHA, "crc64nvme": CRC}
    assert body["download_url"] == DOWNLOAD
    assert (body["rejects"], body["manifest_url"]) == (0, None)
    assert body["manifest"]["as_of"] is body["manifest"]["range"]["start"] is None
    assert body["manifest"]["totals"] == {}


@pytest.mark.parametrize("status", ["pending", "processing", "failed", "canceled", "expired"])
def test_only_a_completed_export_has_files(
    client: TestClient, services: Services, clock: ManualClock, status: str
) -> None:
    body = told(client, services, clock, status=status, files=[file(1)], resultKey="k")

    assert body["files"] == []
    empty = ("checksum", "download_url", "download_expires_at", "manifest_url", "rejects_url")
    assert [body[name] for name in empty] == [None] * 5
    assert body["rejects"] is body["manifest"] is None


@pytest.mark.parametrize(
    "record",
    [
        {"query": ...},
        {"query": "all", "format": ...},
        {"query": {"StartDate": {"a": b"1"}, "Columns": b"x", "Limit": 20}},
        {"files": "none", "resultKey": ...},
        {"files": [b"x", {}, {"key": 5}], "resultKey": 5},
        {"updatedAt": b"\xff", "rows": {"a"}, "bytes": None, "format": {1}, "rejects": "some"},
        {"range": "all", "totals": [1], "asOf": b"\xff", "rejectsKey": 5, "manifestKey": {"a"}},
        {"error": {"why": b"\xff"}, "errorCode": 5, "updatedAt": 5},
        {"lastError": {"code": b"\xff", "message": {b"\xff"}}},
    ],
)
def test_the_record_of_another_service_is_told_as_far_as_it_goes(
    client: TestClient, services: Services, clock: ManualClock, record: dict[str, Any]
) -> None:
    body = told(client, services, clock, **record)

    assert (body["status"], body["report"], body["files"]) == ("completed", "payments", [])
    assert body["options"].keys() <= {"start_date", "end_date"}


def test_an_export_is_told_by_one_read_and_no_write(
    client: TestClient, services: Services, clock: ManualClock, standins: StandIns
) -> None:
    client.get("/exports/none", headers=bearer(token(clock)))  # connects
    told(client, services, clock, files=[file(1)])
    asked, objects = len(standins.queries.seen), len(standins.objects.seen)

    answer = client.get("/exports/export-1", headers=bearer(token(clock)))

    assert answer.json()["download_url"]
    of_jobs = [one for one, body in standins.queries.seen[asked:] if b"ExportJobs" in body]
    assert of_jobs == ["GetItem"]
    assert not any(b"AuditLog" in body for _, body in standins.queries.seen[asked:])
    assert len(standins.objects.seen) == objects
