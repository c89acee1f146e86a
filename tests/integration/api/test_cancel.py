from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.exports.pipeline import ExportPipeline
from remit.services import Services
from remit.stop import Stop
from tests.support.api import bearer, forged, token
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.exports import claimed, export_job

URL = "/exports/export-1/cancel"


@pytest.fixture
def pipeline(services: Services) -> ExportPipeline:
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job())
    return pipeline


def record(services: Services) -> dict[str, Any]:
    return services.tables.export_jobs.get("export-1") or {}


def test_an_export_is_canceled_by_its_merchant_and_again(
    client: TestClient, services: Services, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    services.tables.merchants.put(
        {"id": "merchant-1", "webhookURL": "http://127.0.0.1:9/", "webhookSecret": "s" * 32}
    )
    claimed(pipeline)
    header = bearer(forged(clock, permissions=["payments"], email="ann@books.example"))

    first, again = (client.post(URL, headers=header) for _ in range(2))

    assert first.status_code == again.status_code == 200
    assert first.json() == again.json() == client.get("/exports/export-1", headers=header).json()
    assert first.json()["status"] == "canceled"
    assert first.json()["download_url"] is None
    assert first.headers["cache-control"] == "no-store"
    assert record(services)["canceledBy"] == "ann@books.example"
    assert services.tables.events.get("evt-export-1-canceled") is not None
    (entry,) = entries_of(services, "merchant-1")
    assert (entry.action, entry.target) == ("exports.export.canceled", "export-1")
    assert entry.actor.name == "ann@books.example"


def test_of_two_who_cancel_at_once_one_does_and_both_are_told_so(
    client: TestClient, services: Services, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    claimed(pipeline)
    header = bearer(token(clock))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(URL, headers=header), range(8)))

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["status"] for answer in answers} == {"canceled"}
    assert len(entries_of(services, "merchant-1")) == 1


def test_what_was_announced_before_is_canceled_with_its_entry(
    client: TestClient, services: Services, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    services.tables.merchants.put(
        {"id": "merchant-1", "webhookURL": "http://127.0.0.1:9/", "webhookSecret": "s" * 32}
    )
    header = bearer(token(clock))
    client.post(URL, headers=header)
    pipeline.store.reopen("export-1")

    assert client.post(URL, headers=header).json()["status"] == "canceled"
    assert len(entries_of(services, "merchant-1")) == 2
    assert len(services.webhook_queue.due(10)) == 1


def test_to_cancel_takes_no_fields(
    client: TestClient, services: Services, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    header = bearer(token(clock))

    for fields in ({"params": {"force": "1"}}, {"json": {"reason": "none"}}):
        answer = client.post(URL, headers=header, **fields)  # type: ignore[arg-type]
        assert answer.status_code == 422
    assert record(services)["status"] == "pending"


def test_a_finished_export_is_refused_with_its_status(
    client: TestClient, services: Services, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    pipeline.store.fail(claimed(pipeline), "malformed_record", "no", [])

    answer = client.post(URL, headers=bearer(token(clock)))

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "/remit/problems/conflict"
    assert problem["detail"].startswith("the export is failed:")
    assert entries_of(services, "merchant-1") == []


def test_another_merchants_export_cannot_be_canceled_and_does_not_exist(
    client: TestClient, services: Services, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    answer = client.post(URL, headers=bearer(token(clock, "merchant-2")))
    missing = client.post("/exports/export-2/cancel", headers=bearer(token(clock)))

    assert answer.status_code == missing.status_code == 404
    assert record(services)["status"] == "pending"


def test_to_cancel_needs_the_reports_permission_and_a_token(
    client: TestClient, services: Services, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    assert client.post(URL, headers=bearer(token(clock, "merchant-1", "x"))).status_code == 403
    assert client.post(URL).status_code == 401
    assert record(services)["status"] == "pending"


def test_progress_is_told_while_slices_are_rendered(
    client: TestClient, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    claim = claimed(pipeline)
    pipeline.store.queue.write(claim, set={"slices": 4})
    pipeline.store.slice_done(claim, 1, rows=500, size=90_000)

    body = client.get("/exports/export-1", headers=bearer(token(clock))).json()

    assert body["progress"] == {
        "rows": 500,
        "bytes": 90_000,
        "slices": 4,
        "slices_done": 1,
        "percent": 25,
    }
