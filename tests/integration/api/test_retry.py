"""An export that has failed or was canceled is made again, under the same id."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.api.backend import Backend
from remit.api.call import Call
from remit.api.exports import ExportApi
from remit.api.idempotency import Operation
from remit.auth import Caller
from remit.aws.items import Item
from remit.errors import LeaseLost
from remit.exports.pipeline import ExportPipeline
from remit.services import Services
from remit.stop import Stop
from tests.support.api import NotedRuns, bearer, forged, token
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.exports import claimed, export_job, payment, store_payments

URL = "/exports/export-1/retry"


@pytest.fixture
def pipeline(services: Services) -> ExportPipeline:
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job())
    return pipeline


@pytest.fixture
def failed(pipeline: ExportPipeline) -> ExportPipeline:
    """Where `export-1` has failed."""
    pipeline.store.fail(claimed(pipeline), "too_many_rejects", "payment pay-1: no amount", [])
    return pipeline


def record(services: Services) -> dict[str, Any]:
    return services.tables.export_jobs.get("export-1") or {}


def actions(services: Services) -> list[str]:
    return [entry.action for entry in entries_of(services, "merchant-1")]


def test_a_failed_export_is_made_again(
    client: TestClient,
    services: Services,
    runs: NotedRuns,
    clock: ManualClock,
    failed: ExportPipeline,
) -> None:
    store_payments(services, payment(1))
    header = bearer(forged(clock, email="ann@books.example", jti="token-1"))

    answer = client.post(URL, headers=header)

    assert answer.status_code == 202
    told = answer.json()
    assert (told["export_id"], told["status"], told["error"]) == ("export-1", "pending", None)
    (run,) = runs.started
    assert run == ("export_payments", "export__export-1__3", {"export_id": "export-1"})
    (entry,) = entries_of(services, "merchant-1")
    assert (entry.action, entry.target) == ("exports.export.retried", "export-1")
    assert (entry.actor.name, entry.actor.token_id) == ("ann@books.example", "token-1")
    failed.prepare(claimed(failed, owner="export__export-1__3#0"))
    done = client.get("/exports/export-1", headers=header).json()
    assert (done["status"], done["rows"]) == ("completed", 1)
    assert record(services)["generation"] == 3


def test_a_canceled_export_is_made_again_by_a_run_of_its_own(
    client: TestClient,
    services: Services,
    runs: NotedRuns,
    clock: ManualClock,
) -> None:
    header = bearer(token(clock))
    query = {"start_date": "2026-01-01", "end_date": "2026-01-31"}
    path = client.post("/payments/export", headers=header, params=query).json()["check_url"]
    path = path.removeprefix("/remit")
    clock.advance(1)
    client.post(f"{path}/cancel", headers=header)
    clock.advance(1)

    again = client.post(f"{path}/retry", headers=header)

    assert again.json()["status"] == "pending"
    first, second = (run_id for _, run_id, _ in runs.started)
    assert first != second, "the first run is over: it found the export canceled"
    assert actions(services) == [
        "exports.export.retried",
        "exports.export.canceled",
        "exports.export.requested",
    ]


def test_a_run_that_does_not_start_is_left_to_the_poller(
    client: TestClient,
    services: Services,
    runs: NotedRuns,
    clock: ManualClock,
    failed: ExportPipeline,
) -> None:
    runs.down = True

    assert client.post(URL, headers=bearer(token(clock))).status_code == 202

    clock.advance(services.settings.export_handover.total_seconds() + 1)
    assert services.export_queue.due(10) == ["export-1"]


def prepare(pipeline: ExportPipeline) -> None:
    pipeline.prepare(claimed(pipeline))


@pytest.mark.parametrize(
    ("status", "move"),
    [("pending", lambda _: None), ("processing", claimed), ("completed", prepare)],
)
def test_one_in_another_state_is_refused_and_told_what_is_allowed(
    client: TestClient,
    services: Services,
    runs: NotedRuns,
    clock: ManualClock,
    pipeline: ExportPipeline,
    status: str,
    move: Any,
) -> None:
    move(pipeline)
    before = record(services)

    answer = client.post(URL, headers=bearer(token(clock)))

    assert answer.status_code == 409
    expected = f"the export is {status}: only one that is canceled or failed can be tried again"
    assert answer.json()["detail"] == expected
    assert record(services) == before
    assert runs.started == []
    assert actions(services) == []


def test_one_that_has_expired_is_refused(
    client: TestClient, clock: ManualClock, failed: ExportPipeline
) -> None:
    clock.advance(8 * 86_400)

    answer = client.post(URL, headers=bearer(token(clock)))

    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("the export is expired:")


def test_only_its_merchant_with_the_reports_permission_has_it_made_again(
    client: TestClient, services: Services, clock: ManualClock, failed: ExportPipeline
) -> None:
    def status(headers: dict[str, str], path: str = URL) -> int:
        return client.post(path, headers=headers).status_code

    assert status({}) == 401
    assert status(bearer(token(clock, "merchant-2"))) == 404
    assert status(bearer(token(clock)), "/exports/export-2/retry") == 404
    assert status(bearer(token(clock, "merchant-1", "refunds"))) == 403
    assert client.post(URL, headers=bearer(token(clock)), json={"a": 1}).status_code == 422
    assert record(services)["status"] == "failed"
    assert actions(services) == []


def test_of_many_at_once_one_has_it_made_again(
    client: TestClient,
    services: Services,
    runs: NotedRuns,
    clock: ManualClock,
    failed: ExportPipeline,
) -> None:
    header = bearer(token(clock))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(URL, headers=header), range(8)))

    assert sorted(answer.status_code for answer in answers) == [202, *[409] * 7]
    assert len(runs.started) == 1
    assert actions(services) == ["exports.export.retried"]
    assert record(services)["generation"] == 2


def test_the_same_operation_again_is_one_retry(
    services: Services, runs: NotedRuns, clock: ManualClock, failed: ExportPipeline
) -> None:
    api = ExportApi(Backend(lambda: services, runs))
    call = Call(Caller("merchant-1", frozenset({"payments"})), "request-1", None)
    operation = Operation("a" * 32, clock())

    stored: list[Item] = []
    first = api.retry(call, "export-1", operation, "", stored.append)
    again = api.retry(call, "export-1", operation, "", stored.append)
    held = claimed(failed)
    meanwhile = api.retry(call, "export-1", operation, "", stored.append)

    assert first == again
    assert meanwhile.document["status"] == "processing"
    assert [(job["id"], job["generation"]) for job in stored] == 2 * [("export-1", 2)]
    assert actions(services) == ["exports.export.retried"]
    assert record(services)["claim"] == held.token


def test_a_request_that_comes_again_with_its_key_is_one_retry(
    client: TestClient,
    services: Services,
    runs: NotedRuns,
    clock: ManualClock,
    failed: ExportPipeline,
) -> None:
    header = {**bearer(token(clock)), "Idempotency-Key": "again-1"}

    first, again = (client.post(URL, headers=header) for _ in range(2))

    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert len(runs.started) == 1
    assert actions(services) == ["exports.export.retried"]


def test_a_merchant_with_so_many_under_way_has_none_made_again(
    client: TestClient, services: Services, clock: ManualClock, failed: ExportPipeline
) -> None:
    limit = services.settings.max_active_exports
    for number in range(limit):
        failed.store.create(export_job(f"more-{number}"))

    answer = client.post(URL, headers=bearer(token(clock)))

    assert (answer.status_code, answer.json()["type"]) == (429, "/remit/problems/too-many-exports")
    assert answer.headers["retry-after"]
    assert record(services)["status"] == "failed"
    client.post("/exports/more-1/cancel", headers=bearer(token(clock)))
    assert client.post(URL, headers=bearer(token(clock))).status_code == 202


def test_a_worker_of_before_changes_nothing_of_what_is_made_again(
    client: TestClient, services: Services, clock: ManualClock, pipeline: ExportPipeline
) -> None:
    held = claimed(pipeline)
    header = bearer(token(clock))
    client.post("/exports/export-1/cancel", headers=header)
    client.post(URL, headers=header)

    with pytest.raises(LeaseLost):
        pipeline.store.complete(held, {"rows": 1}, [])
    assert record(services)["status"] == "pending"


def test_an_export_of_the_platforms_own_service_is_made_again(
    client: TestClient, services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    services.tables.export_jobs.put(
        {
            "id": "theirs",
            "merchantID": "merchant-1",
            "status": "failed",
            "format": "csv",
            "query": {"StartDate": "2026-01-01", "EndDate": "2026-01-31"},
            "error": "disk full",
            "createdAt": "2026-11-23T11:00:00+01:00",
        }
    )

    answer = client.post("/exports/theirs/retry", headers=bearer(token(clock)))

    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    assert [run_id for _, run_id, _ in runs.started] == ["export__theirs__2"]
    pipeline = ExportPipeline(services, Stop())
    pipeline.prepare(claimed(pipeline, "theirs"))
    assert (services.tables.export_jobs.get("theirs") or {})["status"] == "completed"
