"""Exports while DynamoDB and S3 fail, and of workers that can do nothing more from some call on."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, groupby
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from benchmarks.standins.faults import FaultPlan
from benchmarks.standins.http import Reset, Response
from benchmarks.standins.reading import Request
from remit.aws.objects import ObjectRefused
from remit.errors import StoreUnavailable
from remit.exports.pipeline import ExportPipeline
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop
from tests.support.aws import REGION, content, objects, open_uploads, put_many
from tests.support.clock import ManualClock
from tests.support.exports import claimed, export_job, payment
from tests.support.results import csv_rows, finished, manifest_of, record
from tests.support.standins import StandIns

PAYMENTS = 3_400  # 34 MB: three parts
KEY = "exports/merchant-1/export-1/1/payments_2026-01-01_2026-01-31.csv"


@pytest.fixture
def services(standins: StandIns, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> Services:
    """Services with a merchant who is told of exports, and payments that are many frames."""
    monkeypatch.setattr("remit.exports.engine.BATCH_ROWS", 100)
    services = Services(
        Settings(region=REGION, webhook_networks="127.0.0.0/8"), standins.aws, clock
    )
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    times = ((begin + n * timedelta(minutes=10)).isoformat() for n in range(PAYMENTS))
    records = (payment(n, createdAt=at, description="x" * 9_900) for n, at in enumerate(times))
    put_many(services, "Payments", records)
    services.tables.merchants.put(
        {"id": "merchant-1", "webhookURL": "http://127.0.0.1:9/", "webhookSecret": "s" * 32}
    )
    return services


@pytest.fixture
def pipeline(services: Services) -> ExportPipeline:
    return ExportPipeline(services, Stop())


@pytest.mark.parametrize(
    "plan",
    [
        FaultPlan(garbage_every=3),
        FaultPlan(damage_every=3),
        FaultPlan(throttle_every=9),
        FaultPlan(reset_every=3),
        FaultPlan(error_every=5, garbage_every=4, damage_every=7, reset_every=11),
    ],
    ids=["no JSON", "wrong checksum", "throttled", "connection reset", "all of it"],
)
def test_a_page_that_fails_is_asked_for_again_and_those_before_it_are_not(
    standins: StandIns, services: Services, pipeline: ExportPipeline, plan: FaultPlan
) -> None:
    pipeline.store.create(export_job())
    claim = claimed(pipeline)
    standins.queries.seen.clear()
    standins.dynamodb.faults.plan = plan

    pipeline.prepare(claim)

    rows = csv_rows(services, finished(services))
    assert [row["payment_id"] for row in rows] == [f"pay-{n:06d}" for n in range(PAYMENTS)]
    asked = [json.loads(body) for what, body in standins.queries.seen if what == "Query"]
    keys = [
        json.dumps(one.get("ExclusiveStartKey"))
        for one in asked
        if one["TableName"] == "Payments" and "Limit" not in one
    ]
    in_order = [key for key, _ in groupby(keys)]
    assert len(keys) > len(in_order) == len(set(in_order)), "no page is read twice"
    assert finished(services)["attempts"] == 1


Refusal = Callable[[], Response]


def refusal(status: int, code: str) -> Response:
    body = f"<Error><Code>{code}</Code><Message>on purpose</Message></Error>".encode()
    return Response(status, {"Content-Type": "application/xml"}, [body])


def refuse(
    standins: StandIns, target: str, times: int, status: int = 403, code: str = "AccessDenied"
) -> None:
    """Refuse the next requests of S3 whose method and target match."""
    left = count(times, -1)

    def instead(request: Request) -> Response | None:
        if not re.search(target, f"{request.method} {request.target}") or next(left) <= 0:
            return None
        if not status:
            raise Reset
        return refusal(status, code)

    standins.objects.instead = instead


FOR_GOOD = 10_000
PART = r"PUT .*partNumber=2"
COMPLETION = r"POST .*uploadId="
MANIFEST = r"PUT .*manifest\.json"


@pytest.mark.parametrize(
    ("target", "status", "code", "error"),
    [
        (PART, 403, "AccessDenied", ObjectRefused),
        (PART, 503, "SlowDown", StoreUnavailable),
        (COMPLETION, 403, "AccessDenied", ObjectRefused),
        (MANIFEST, 403, "AccessDenied", ObjectRefused),
    ],
    ids=["a part", "a part for now", "the completion", "the manifest"],
)
def test_an_s3_that_takes_no_more_leaves_nothing_and_the_export_to_a_later_try(
    standins: StandIns,
    services: Services,
    pipeline: ExportPipeline,
    target: str,
    status: int,
    code: str,
    error: type[Exception],
) -> None:
    pipeline.store.create(export_job())
    claim = claimed(pipeline)
    refuse(standins, target, FOR_GOOD, status, code)

    with pytest.raises(error, match=re.escape("exports/merchant-1/export-1/1/")) as caught:
        pipeline.prepare(claim)

    assert code in str(caught.value)
    item = record(services)
    assert (item["status"], item["attempts"]) == ("pending", 0)
    assert code in item["lastError"]["detail"]
    assert not item.keys() & {"resultKey", "manifestKey", "files"}
    assert open_uploads(services) == []
    assert services.webhook_queue.due(10) == []
    refuse(standins, target, 0)
    pipeline.prepare(claimed(pipeline))
    job = finished(services)
    assert (job["status"], job["rows"], job["attempts"]) == ("completed", PAYMENTS, 1)
    assert objects(services) == sorted([job["resultKey"], job["manifestKey"]])


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        (PART, 503, "SlowDown"),
        (PART, 0, ""),
        (COMPLETION, 500, "InternalError"),
        (MANIFEST, 0, ""),
    ],
    ids=["a part", "a part by a reset", "the completion", "the manifest by a reset"],
)
def test_an_s3_that_refuses_once_is_asked_again(
    standins: StandIns,
    services: Services,
    pipeline: ExportPipeline,
    target: str,
    status: int,
    code: str,
) -> None:
    pipeline.store.create(export_job())
    refuse(standins, target, 1, status, code)

    pipeline.prepare(claimed(pipeline))

    assert finished(services)["rows"] == PAYMENTS
    assert len(csv_rows(services, finished(services))) == PAYMENTS
    assert open_uploads(services) == []


def test_a_permission_that_is_missing_while_slices_are_composed_leaves_them_for_the_retry(
    standins: StandIns, services: Services
) -> None:
    pipeline = ExportPipeline(sliced(services), Stop())
    pipeline.store.create(export_job())
    rendered = [pipeline.render(piece) for piece in pipeline.prepare(claimed(pipeline))]
    refuse(standins, r"PUT .*partNumber=1", FOR_GOOD)

    with pytest.raises(ClientError, match=re.escape(KEY)):
        pipeline.publish(rendered)

    assert open_uploads(services) == []
    assert objects(services, "exports/") == []
    refuse(standins, "", 0)
    pipeline.publish(rendered)
    assert finished(services)["rows"] == PAYMENTS


def sliced(services: Services) -> Services:
    """Services for which everything is a large export, of two slices."""
    limits = {"small_export_rows": 10, "slice_rows": 10, "max_slices": 2}
    settings = replace(services.settings, **limits)  # type: ignore[arg-type]
    return Services(settings, services.aws, services.clock)


class Mortal:
    """Services whose every call fails from the n-th on, as if the worker were dead."""

    def __init__(self, services: Services, calls: int) -> None:
        self.services = Services(services.settings, services.aws, services.clock)
        self._left = calls
        self._lock = threading.Lock()
        for client in (self.services.tables.client, self.services.s3):
            client.meta.events.register("before-call", self._count)

    @property
    def dead(self) -> bool:
        return self._left < 0

    def _count(self, **_: Any) -> None:
        with self._lock:
            self._left -= 1
            if self.dead:
                raise EndpointConnectionError(endpoint_url="nowhere")


def run(pipeline: ExportPipeline, export_id: str, owner: str) -> None:
    """An export from the claim to the result."""
    claim = pipeline.store.claim(export_id, owner)
    assert claim is not None
    if slices := pipeline.prepare(claim):
        pipeline.publish([pipeline.render(piece) for piece in slices])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cut", "request_"),
    [(False, {}), (True, {}), (True, {"split_rows": 1000}), (True, {"format": "parquet"})],
    ids=["small", "sliced", "split", "parquet"],
)
def test_whatever_call_is_the_last_of_a_worker_its_successor_leaves_one_whole_result(
    services: Services, clock: ManualClock, cut: bool, request_: dict[str, Any]
) -> None:
    services = sliced(services) if cut else services
    survivor = ExportPipeline(services, Stop())
    put_many(services, "Payments", [payment(99_999, amount="12")])
    for calls in count():
        export_id = f"export-{calls}"
        survivor.store.create(export_job(export_id, **request_))
        clock.advance(60)
        mortal = Mortal(services, calls)
        try:
            run(ExportPipeline(mortal.services, Stop()), export_id, "mortal")
        except StoreUnavailable:
            assert mortal.dead
        clock.advance(3600)
        if record(services, export_id)["status"] != "completed":
            run(survivor, export_id, "successor")
        # As a task that is retried does, which died after its last move.
        survivor.sweep(export_id)

        job = finished(services, export_id)
        assert (job["status"], job["rows"], job["rejects"]) == ("completed", PAYMENTS, 1)
        manifest = manifest_of(services, job)
        assert [file["bytes"] for file in manifest["files"]] == [
            len(content(services, file["key"])) for file in job["files"]
        ]
        keys = [*(file["key"] for file in job["files"]), job["manifestKey"], job["rejectsKey"]]
        assert objects(services, f"exports/merchant-1/{export_id}/") == sorted(keys)
        assert objects(services, "staging/") == []
        assert open_uploads(services) == []
        assert len(services.webhook_queue.due(1000)) == calls + 1, "each is announced once"
        if not mortal.dead:
            break
    print(f"died at each of {calls} calls")
    assert calls >= 10
