from __future__ import annotations

import base64
import json
import socket
import threading
import time
from dataclasses import replace
from typing import Any

import jwt
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from fastapi.testclient import TestClient

from remit.api import starts
from remit.api.app import create_app
from remit.api.backend import Backend
from remit.api.call import Call
from remit.api.exports import ExportApi
from remit.api.idempotency import Operation
from remit.auth import Caller, Verifier
from remit.aws.items import Item
from remit.aws.session import FOR_REQUESTS, Aws, Patience
from remit.errors import ConfigurationError, TooManyExports
from remit.exports.pipeline import ExportPipeline
from remit.metrics import TRIGGER_FAILED, NoMetrics
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop
from tests.support.api import TOKENS, NotedRuns, bearer, forged, token
from tests.support.audit import entries_of
from tests.support.aws import REGION, aws_at
from tests.support.clock import ManualClock
from tests.support.exports import claimed, export_job, payment, store_payments
from tests.support.standins import stand_ins

URL = "/payments/export"
QUERY = {"start_date": "2026-01-01", "end_date": "2026-01-31", "format": "csv"}


def jobs(services: Services) -> list[dict[str, Any]]:
    return list(services.tables.export_jobs.scan("attribute_exists(#id)", {}, attributes=["id"]))


def problem(answer: Any) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["type"].startswith("/remit/problems/")
    return dict(document)


@pytest.mark.parametrize("how", ["params", "json"])
def test_an_export_is_stored_and_its_run_started(
    client: TestClient, services: Services, runs: NotedRuns, clock: ManualClock, how: str
) -> None:
    answer = client.post(URL, headers=bearer(token(clock)), **{how: QUERY})

    body = answer.json()
    assert answer.status_code == 202
    assert body["status"] == "pending"
    assert body["message"].startswith("Export job created")
    assert body["check_url"] == f"/remit/exports/{body['export_id']}"
    job = services.tables.export_jobs.get(body["export_id"])
    assert job is not None
    assert job["merchantID"] == "merchant-1"
    assert job["query"] == {
        "StartDate": "2026-01-01",
        "EndDate": "2026-01-31",
        "Timezone": "UTC",
        "Report": "payments",
        "Compression": "none",
    }
    run_id = f"export__{body['export_id']}__1"
    assert runs.started == [("export_payments", run_id, {"export_id": body["export_id"]})]


def test_the_status_follows_the_job_to_the_link(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    store_payments(services, payment(1))
    created = client.post(URL, headers=bearer(token(clock)), params=QUERY).json()
    path = created["check_url"].removeprefix("/remit")
    before = client.get(path, headers=bearer(token(clock))).json()

    pipeline = ExportPipeline(services, Stop())
    pipeline.prepare(claimed(pipeline, created["export_id"]))
    after = client.get(path, headers=bearer(token(clock)))

    assert (before["status"], before["download_url"]) == ("pending", None)
    body = after.json()
    assert (body["status"], body["rows"]) == ("completed", 1)
    assert (before["progress"]["slices_done"], body["progress"]["slices_done"]) == (0, 1)
    assert body["checksum"]["sha256"]
    assert body["download_url"] == f"{created['check_url']}/download"
    assert body["download_expires_at"] == body["expires_at"] == "2026-11-30T12:00:00.000000Z"
    assert body["manifest"]["as_of"] == "2026-11-23T11:59:55.000000Z"
    assert body["manifest"]["range"]["end"] == "2026-02-01T00:00:00.000000Z"
    assert body["manifest"]["totals"] == {"amount_major": {"USD": "19.9900"}}
    assert after.headers["cache-control"] == "no-store"


def test_a_failed_export_says_why(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job())
    pipeline.store.fail(claimed(pipeline), "malformed_record", "payment pay-1: no amount", [])

    body = client.get("/exports/export-1", headers=bearer(token(clock))).json()

    assert body["status"] == "failed"
    assert body["error"] == {"code": "malformed_record", "message": "payment pay-1: no amount"}


def test_an_export_whose_last_try_failed_says_why_until_one_gets_through(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job())
    bucket = services.settings.bucket
    services.s3.delete_bucket(Bucket=bucket)
    with pytest.raises(ClientError):
        pipeline.prepare(claimed(pipeline))

    failed = client.get("/exports/export-1", headers=bearer(token(clock)))
    services.s3.create_bucket(Bucket=bucket)
    pipeline.prepare(claimed(pipeline))
    completed = client.get("/exports/export-1", headers=bearer(token(clock))).json()

    assert failed.json()["status"] == "pending"
    assert failed.json()["error"] == {
        "code": "refused",
        "message": "a store refused to be read or written",
    }
    assert bucket not in failed.text, "what names buckets is for the operator"
    assert (completed["status"], completed["error"]) == ("completed", None)


def test_a_path_cannot_forge_a_line_of_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/exports/x%0AERROR%20forged")
    assert "\nERROR forged" not in caplog.text


def test_another_merchants_export_does_not_exist(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    ExportPipeline(services, Stop()).store.create(export_job())

    theirs = client.get("/exports/export-1", headers=bearer(token(clock, "merchant-2")))
    missing = client.get("/exports/export-2", headers=bearer(token(clock, "merchant-2")))

    assert theirs.status_code == missing.status_code == 404
    assert problem(theirs)["detail"].replace("export-1", "") == problem(missing)["detail"].replace(
        "export-2", ""
    )


def test_an_export_whose_time_is_up_is_expired_and_has_no_links(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job())
    pipeline.prepare(claimed(pipeline))
    clock.advance(8 * 86_400)

    answer = client.get("/exports/export-1", headers=bearer(token(clock)))

    assert (answer.status_code, answer.json()["status"]) == (200, "expired")
    assert answer.json()["download_url"] is answer.json()["manifest_url"] is None


NONE_ALG = ".".join(
    base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
    for part in (
        {"alg": "none", "typ": "JWT"},
        {"merchant_id": "merchant-1", "iss": "tests", "aud": "payment-api", "iat": 0, "exp": 9e9},
    )
)


def test_no_valid_token_no_entry(
    client: TestClient, services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    now = int(clock().timestamp())
    good = token(clock)
    headers: dict[str, dict[str, str]] = {
        "no token": {},
        "malformed": bearer("not.a.token"),
        "not bearer": {"Authorization": f"Basic {good}"},
        "trailing space": {"Authorization": f"Bearer {good} "},
        "expired": bearer(forged(clock, iat=now - 7200, exp=now - 3600)),
        "wrong issuer": bearer(forged(clock, iss="someone")),
        "wrong audience": bearer(forged(clock, aud="another-api")),
        "wrong key": bearer(forged(clock, secret="t" * 48)),
        "alg none": bearer(f"{NONE_ALG}."),
        "another algorithm": bearer(jwt.encode({"merchant_id": "m"}, "s" * 64, "HS512")),
        "missing merchant_id": bearer(forged(clock, without="merchant_id")),
        "empty merchant_id": bearer(forged(clock, merchant_id="")),
        "merchant_id is a list": bearer(forged(clock, merchant_id=["merchant-1"])),
        "missing exp": bearer(forged(clock, without="exp")),
        "missing iat": bearer(forged(clock, without="iat")),
        "missing iss": bearer(forged(clock, without="iss")),
        "missing aud": bearer(forged(clock, without="aud")),
        "exp is text": bearer(forged(clock, exp="tomorrow")),
        "issued in the future": bearer(forged(clock, iat=now + 600, exp=now + 900)),
        "not valid yet": bearer(forged(clock, nbf=now + 600)),
        "lives too long": bearer(forged(clock, exp=now + 7200)),
        "exp is not a number": bearer(forged(clock, exp=float("nan"))),
        "iat is infinite": bearer(forged(clock, iat=float("-inf"))),
        "exp is beyond numbers": bearer(forged(clock, exp=10**400)),
        "permissions are no list": bearer(forged(clock, permissions="payments")),
        "tampered": bearer(good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")),
        "oversized": bearer(good + "a" * 9000),
    }
    for name, header in headers.items():
        answer = client.post(URL, headers=header, params=QUERY)
        assert answer.status_code == 401, name
        assert problem(answer)["type"].endswith("not-authenticated"), name
        assert answer.headers["www-authenticate"].startswith("Bearer"), name
    two = [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}")]
    assert client.post(URL, headers=two, params=QUERY).status_code == 401
    cookie = {"Cookie": f"token={good}; _token={good}"}
    assert client.post(URL, headers=cookie, params=QUERY).status_code == 401
    assert (jobs(services), runs.started) == ([], [])


def test_the_log_of_a_refusal_says_why_and_holds_no_token(
    client: TestClient, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    expired = forged(clock, iat=1, exp=2)

    client.post(URL, headers=bearer(expired), params=QUERY)

    assert "the token has expired" in caplog.text
    assert expired not in caplog.text


@pytest.mark.parametrize(
    ("values", "field", "allowed"),
    [
        ({"format": "xml"}, "format", ["csv", "json", "parquet"]),
        ({"start_date": "yesterday"}, "start_date", "RFC 3339"),
        ({"start_date": "2026-02-30"}, "start_date", "RFC 3339"),
        ({"end_date": "2026-01-31T10:00:00"}, "end_date", "RFC 3339"),
        ({"end_date": None}, "end_date", "RFC 3339"),
        ({"end_date": "2025-12-31"}, "end_date", "after start_date"),
        ({"end_date": "2028-01-31"}, "end_date", "366 days"),
        ({"start_date": "0001-01-01"}, "start_date", "RFC 3339"),
        ({"end_date": "9999-12-31"}, "end_date", "RFC 3339"),
        ({"start_date": "0001-01-01T00:00:00+14:00"}, "start_date", "RFC 3339"),
        ({"end_date": "9999-12-31T23:59:59-14:00"}, "end_date", "RFC 3339"),
        ({"limit": "20"}, "limit", ["start_date", "end_date"]),
        ({"report": "secrets"}, "report", ["payments"]),
        ({"status": "lost"}, "status", ["succeeded"]),
        ({"min_amount": "ten"}, "min_amount", "whole number"),
        ({"min_amount": "1_000"}, "min_amount", "whole number"),
        ({"min_amount": "1.0"}, "min_amount", "whole number"),
        ({"min_amount": "1e3"}, "min_amount", "whole number"),
        ({"min_amount": str(2**70)}, "min_amount", "whole number"),
        ({"min_amount": "10", "max_amount": "5"}, "max_amount", "min_amount"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(
    client: TestClient,
    services: Services,
    runs: NotedRuns,
    clock: ManualClock,
    values: dict[str, str | None],
    field: str,
    allowed: str | list[str],
) -> None:
    query = {k: v for k, v in {**QUERY, **values}.items() if v is not None}

    answer = client.post(URL, headers=bearer(token(clock)), params=query)

    assert answer.status_code == 422
    (error,) = problem(answer)["errors"]
    assert error["field"] == field
    assert error["message"]
    if isinstance(allowed, str):
        assert allowed in error["allowed"]
    else:
        assert set(allowed) <= set(error["allowed"])
    assert (jobs(services), runs.started) == ([], [])


def test_every_wrong_field_is_named_at_once(client: TestClient, clock: ManualClock) -> None:
    query = {"start_date": "x", "end_date": "y", "format": "z"}

    answer = client.post(URL, headers=bearer(token(clock)), params=query)

    fields = {error["field"] for error in problem(answer)["errors"]}
    assert fields == {"start_date", "end_date", "format"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 60_000, "application/json"),
        (b'{"start_date": 5, "end_date": {}}', "application/json"),
        (b'{"format": "csv", "format": "json"}', "application/json"),
        (
            b'{"start_date": "2026-01-01", "end_date": "2026-01-31", "min_amount": true}',
            "application/json",
        ),
        (
            b'{"start_date": "2026-01-01", "end_date": "2026-01-31", "min_amount": 1.0}',
            "application/json",
        ),
        (rb'{"\ud800": 1, "\ud800": 2}', "application/json"),
        (rb'{"\ud800": 1}', "application/json"),
        (
            rb'{"start_date": "2026-01-01", "end_date": "2026-01-31", "customer_id": "\udfff"}',
            "application/json",
        ),
    ],
)
def test_a_wrong_body_is_refused(
    client: TestClient, services: Services, clock: ManualClock, body: bytes, content_type: str
) -> None:
    headers = {**bearer(token(clock)), "Content-Type": content_type}

    answer = client.post(URL, headers=headers, content=body)

    assert answer.status_code == 422
    assert problem(answer)["errors"]
    assert jobs(services) == []


def test_a_field_in_the_query_and_in_the_body_is_refused(
    client: TestClient, clock: ManualClock
) -> None:
    answer = client.post(URL, headers=bearer(token(clock)), params=QUERY, json={"format": "json"})

    assert answer.status_code == 422
    assert problem(answer)["errors"][0]["message"] == "given more than once"


def test_a_report_needs_its_permission(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    answer = client.post(URL, headers=bearer(token(clock, "merchant-1", "refunds")), params=QUERY)

    assert answer.status_code == 403
    assert "'payments'" in problem(answer)["detail"]
    assert jobs(services) == []


def test_the_link_needs_the_reports_permission_too(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job())
    pipeline.prepare(claimed(pipeline))

    for permissions in (["refunds"], []):
        denied = forged(clock, permissions=permissions)
        answer = client.get("/exports/export-1", headers=bearer(denied))
        assert answer.status_code == 403
        assert "X-Amz" not in answer.text


def test_the_permission_history_lifts_the_limit_of_the_range(
    client: TestClient, clock: ManualClock
) -> None:
    allowed = token(clock, "merchant-1", "payments", "history")

    answer = client.post(URL, headers=bearer(allowed), params={**QUERY, "start_date": "2019-01-01"})

    assert answer.status_code == 202


def test_a_stored_job_is_accepted_though_airflow_is_down(
    client: TestClient, services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    runs.down = True

    answer = client.post(URL, headers=bearer(token(clock)), params=QUERY)

    assert answer.status_code == 202
    clock.advance(services.settings.export_handover.total_seconds() + 1)
    assert services.export_queue.due(10) == [answer.json()["export_id"]]


def test_a_stored_job_is_accepted_whatever_goes_wrong_with_its_run(
    client: TestClient, services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    def bug(*_: Any, **__: Any) -> None:
        raise RuntimeError("not foreseen")

    runs.start = bug  # type: ignore[method-assign]

    assert client.post(URL, headers=bearer(token(clock)), params=QUERY).status_code == 202
    assert len(jobs(services)) == 1


def lose_answers(services: Services, operation: str) -> None:
    """From now on the operation takes place, and its answer never arrives."""

    def lose(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="http://dynamodb", error="lost")

    services.tables.client.meta.events.register(f"after-call.dynamodb.{operation}", lose)


def test_a_write_whose_answer_is_lost_is_found_and_accepted(
    client: TestClient, services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    lose_answers(services, "TransactWriteItems")

    answer = client.post(URL, headers=bearer(token(clock)), params=QUERY)

    assert answer.status_code == 202
    assert [job["id"] for job in jobs(services)] == [answer.json()["export_id"]]
    assert len(runs.started) == 1


def test_an_operation_that_is_done_again_is_the_same_job_and_the_same_run(
    services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    api = ExportApi(Backend(lambda: services, runs))
    call = Call(Caller("merchant-1", frozenset({"payments"})), "request-1", None)
    operation = Operation("0123456789abcdef" * 2, clock())
    stored: list[Item] = []

    first = api.create(call, QUERY, operation, "/remit", stored.append)
    clock.advance(20)
    for number in range(services.settings.max_active_exports):
        services.tables.export_jobs.put({"id": f"more-{number}", "activeFor": "merchant-1"})
    again = api.create(call, QUERY, operation, "/remit", stored.append)
    with pytest.raises(TooManyExports):
        api.create(call, QUERY, Operation("f" * 32, clock()), "/remit", stored.append)
    services.tables.client.delete_item(TableName="ExportJobs", Key={"id": {"S": "more-0"}})
    services.tables.client.delete_item(TableName="ExportJobs", Key={"id": {"S": "more-1"}})
    other = api.create(call, QUERY, Operation("f" * 32, clock()), "/remit", stored.append)

    assert first == again
    assert first.document["export_id"] != other.document["export_id"]
    ids = [answer.document["export_id"] for answer in (first, again, other)]
    assert [job["id"] for job in stored] == ids
    assert len(entries_of(services, "merchant-1")) == 2


def test_a_slow_airflow_delays_the_answer_for_a_moment_and_nobody_else(
    services: Services,
    runs: NotedRuns,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    most = starts.THREADS + 2
    monkeypatch.setattr(starts, "WAIT_SECONDS", 0.02)
    monkeypatch.setattr(starts, "MOST", most)
    monkeypatch.setattr("remit.api.backend.THREADS", 1)  # a start that held it would hold them all
    answers, start = threading.Event(), runs.start

    def slow(*arguments: Any) -> None:
        answers.wait(60)
        start(*arguments)

    runs.start = slow  # type: ignore[method-assign]
    with TestClient(create_app(lambda: services, runs, Verifier(TOKENS, clock))) as client:
        for number in range(most + 3):
            header = bearer(token(clock, f"merchant-{number}"))
            answer = client.post(URL, headers=header, params=QUERY)
            assert answer.status_code == 202
            url = f"/exports/{answer.json()['export_id']}"
            assert client.get(url, headers=header).json()["status"] == "pending"
        assert runs.started == []
        answers.set()

    assert len(runs.started) == most  # the end of the app waited for them
    assert len(jobs(services)) == most + 3
    assert sum("waits for the poller: too many starts" in line for line in caplog.messages) == 3


def test_a_run_that_does_not_start_is_counted(
    services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    counted: list[tuple[str, dict[str, str]]] = []

    class Counting(NoMetrics):
        def count(self, name: str, **tags: str) -> None:
            counted.append((name, tags))

    app = create_app(lambda: services, runs, Verifier(TOKENS, clock), Counting())
    client = TestClient(app)
    client.post(URL, headers=bearer(token(clock)), params=QUERY)
    runs.down = True
    client.post(URL, headers=bearer(token(clock)), params=QUERY)

    assert (TRIGGER_FAILED, {"dag": "export_payments"}) in counted
    assert [name for name, _ in counted].count(TRIGGER_FAILED) == 1


def test_without_dynamodb_nothing_is_stored_and_the_answer_is_503(
    runs: NotedRuns, clock: ManualClock, services: Services
) -> None:
    nowhere = Services(services.settings, aws_at("http://127.0.0.1:9"), clock)
    app = create_app(lambda: nowhere, runs, Verifier(TOKENS, clock))

    answer = TestClient(app).post(URL, headers=bearer(token(clock)), params=QUERY)

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "127.0.0.1" not in answer.text
    assert problem(answer)["type"].endswith("unavailable")
    assert runs.started == []


def test_a_store_that_hangs_does_not_hold_a_request_for_long(
    runs: NotedRuns, clock: ManualClock, services: Services
) -> None:
    patience = Patience(connect=0.2, dynamodb=0.2, s3=0.2, attempts=2)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        aws = aws_at(f"http://127.0.0.1:{silent.getsockname()[1]}")
        hanging = Services(services.settings, replace(aws, patience=patience), clock)
        app = create_app(lambda: hanging, runs, Verifier(TOKENS, clock))
        started = time.monotonic()
        answer = TestClient(app).post(URL, headers=bearer(token(clock)), params=QUERY)
    assert answer.status_code == 503
    assert time.monotonic() - started < 10


def test_the_hooks_patience_ends_before_its_callers() -> None:
    longest = FOR_REQUESTS.attempts * (FOR_REQUESTS.connect + FOR_REQUESTS.dynamodb)
    assert longest <= 15


def test_a_connection_that_fails_once_is_tried_again(
    services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    attempts: list[Aws | None] = [None, services.aws]

    def connect() -> Services:
        if attempts.pop(0) is None:
            raise ConfigurationError("REMIT_BUCKET is wrong")
        return services

    client = TestClient(create_app(connect, runs, Verifier(TOKENS, clock)))

    first = client.post(URL, headers=bearer(token(clock)), params=QUERY)
    second = client.post(URL, headers=bearer(token(clock)), params=QUERY)

    assert (first.status_code, second.status_code) == (503, 202)
    assert "REMIT_BUCKET" not in first.text


def test_without_a_secret_nobody_is_served(
    services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    reason = ConfigurationError("JWT_SECRET must be set: the hook serves nobody without")
    client = TestClient(create_app(lambda: services, runs, reason))

    for path in (URL, "/exports/x", "/reports", "/"):
        answer = client.post(path, headers=bearer(token(clock)), params=QUERY)
        assert answer.status_code == 503, path
        assert "JWT_SECRET" not in answer.text


@pytest.mark.parametrize("path", ["/", "/docs/", "/exports/x", "/payments"])
def test_no_path_is_outside_the_guard(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("length", [2048, 2049, 8000])
def test_an_id_longer_than_any_key_is_not_found(
    runs: NotedRuns, clock: ManualClock, length: int
) -> None:
    with stand_ins() as strict:  # as DynamoDB does, it refuses to look such a key up
        services = Services(Settings(region=REGION), strict.aws, clock)
        client = TestClient(create_app(lambda: services, runs, Verifier(TOKENS, clock)))
        path = f"/exports/{'a' * length}"
        told = client.get(path, headers=bearer(token(clock)))
        canceled = client.post(f"{path}/cancel", headers=bearer(token(clock)))

    assert (told.status_code, canceled.status_code) == (404, 404)
    assert problem(told)["type"].endswith("not-found")


@pytest.mark.parametrize("export", ["..%2f..%2fetc", "%00", "a" * 3000, "%F0%9F%92%A9"])
def test_a_strange_id_is_not_found(client: TestClient, clock: ManualClock, export: str) -> None:
    answer = client.get(f"/exports/{export}", headers=bearer(token(clock)))

    assert answer.status_code in {404, 422}
    problem(answer)


def test_an_unknown_path_and_method_are_problems_too(
    client: TestClient, clock: ManualClock
) -> None:
    missing = client.get("/nothing", headers=bearer(token(clock)))
    method = client.delete(URL, headers=bearer(token(clock)))

    assert (missing.status_code, method.status_code) == (404, 405)
    problem(missing)
    problem(method)
