"""What the hook tells of an export's record; the records are put into the table by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from remit.clock import epoch_seconds, format_instant
from remit.services import Services
from tests.support.api import bearer, token
from tests.support.clock import ManualClock

SHA, CRC = "14fde3a3" * 8, "ZB2vx0IuB9s="


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


def key_of(url: str) -> str:
    return urlsplit(url).path.partition("/remit-exports/")[2]


def test_the_only_file_is_also_the_download(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    body = told(client, services, clock, files=[file(1)], resultKey="exports/m/e/1/payments-1.csv")

    (only,) = body["files"]
    url = only.pop("url")
    assert only == {
        "name": "payments-1.csv",
        "rows": 10,
        "bytes": 99,
        "checksum": {"sha256": SHA, "crc64nvme": CRC},
        "expires_at": format_instant(clock() + timedelta(hours=1)),
    }
    assert key_of(url) == "exports/m/e/1/payments-1.csv"
    assert (body["download_url"], body["download_expires_at"]) == (url, only["expires_at"])
    assert body["checksum"] == only["checksum"]
    assert key_of(body["manifest_url"]) == "exports/m/e/1/manifest.json"
    assert (body["rejects"], body["rejects_url"]) == (0, None)


def test_of_several_files_each_has_a_link(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    files = [file(1), file(2, sha256=None)]
    body = told(client, services, clock, files=files, resultKey=files[0]["key"])

    assert [key_of(one["url"]) for one in body["files"]] == [one["key"] for one in files]
    assert body["files"][1]["checksum"] == {"sha256": None, "crc64nvme": CRC}
    assert body["download_url"] is body["download_expires_at"] is body["checksum"] is None
    assert body["manifest_url"]


def test_what_was_rejected_has_a_link(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    key = "exports/m/e/1/rejects.jsonl"
    body = told(client, services, clock, files=[file(1)], rejects=3, rejectsKey=key)

    assert body["rejects"] == 3
    assert key_of(body["rejects_url"]) == key


def test_links_end_with_the_job(client: TestClient, services: Services, clock: ManualClock) -> None:
    body = told(
        client,
        services,
        clock,
        files=[file(1)],
        expiresAt=epoch_seconds(clock() + timedelta(minutes=10)),
    )

    (only,) = body["files"]
    assert only["expires_at"] == format_instant(clock() + timedelta(minutes=10))
    assert parse_qs(urlsplit(only["url"]).query)["X-Amz-Expires"] == ["600"]


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
    assert key_of(body["download_url"]) == "exports/m/e/1/payments.csv"
    assert (body["rejects"], body["manifest_url"]) == (0, None)


@pytest.mark.parametrize("status", ["pending", "processing", "failed", "canceled", "expired"])
def test_only_a_completed_export_has_links(
    client: TestClient, services: Services, clock: ManualClock, status: str
) -> None:
    body = told(client, services, clock, status=status, files=[file(1)], resultKey="k")

    assert body["files"] == []
    empty = ("checksum", "download_url", "download_expires_at", "manifest_url", "rejects_url")
    assert [body[name] for name in empty] == [None] * 5
    assert body["rejects"] is None


@pytest.mark.parametrize(
    "record",
    [
        {"query": ...},
        {"query": "all", "format": ...},
        {"query": {"StartDate": {"a": b"1"}, "Columns": b"x", "Limit": 20}},
        {"files": "none", "resultKey": ...},
        {"files": [b"x", {}], "resultKey": 5},
    ],
)
def test_the_record_of_another_service_is_told_as_far_as_it_goes(
    client: TestClient, services: Services, clock: ManualClock, record: dict[str, Any]
) -> None:
    body = told(client, services, clock, **record)

    assert (body["status"], body["report"], body["files"]) == ("completed", "payments", [])
    assert body["options"].keys() <= {"start_date", "end_date"}
