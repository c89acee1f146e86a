"""Whatever is sent, it is a problem document with a status of 4xx, before any work is done."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.services import Services
from tests.support.api import NotedRuns, bearer, token
from tests.support.clock import ManualClock
from tests.support.standins import StandIns

JSON = {"Content-Type": "application/json"}
DATES = b'"start_date": "2026-01-01", "end_date": "2026-01-31"'


@pytest.fixture(autouse=True)
def _nothing_is_done(standins: StandIns, services: Services, runs: NotedRuns) -> Any:
    """No test of this file reads, writes or starts anything, but for the merchant's rate, and an
    entry that says that it was refused."""
    _ = services.tables, services.s3  # clients that are made in a request would be slow
    yield
    asked = [
        body
        for _, body in standins.queries.seen
        if b'"RateLimits"' not in body and b'{"S": "requests.refused"}' not in body
    ]
    assert asked == []
    assert standins.objects.seen == []
    assert runs.started == []


def refused(answer: Any) -> dict[str, Any]:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["type"].startswith("/remit/problems/")
    assert document["detail"]
    assert document["request_id"] == answer.headers["x-request-id"]
    return dict(document)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 422),
        (b"[]", "application/json", 422),
        (b"5", "application/json", 422),
        (b"null", "application/json", 422),
        (b"\xff\xfe", "application/json", 422),
        (b"\x00", "application/json", 422),
        (b"\x1f\x8b\x08\x00", "application/json", 422),
        (b"[" * 60_000, "application/json", 422),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "application/json", 422),
        (b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}", "application/json", 422),
        (b"{" + DATES + b', "min_amount": 1e999999}', "application/json", 422),
        (b"{" + DATES + b', "min_amount": -1e999999}', "application/json", 422),
        (b"{" + DATES + b', "min_amount": ' + b"9" * 5000 + b"}", "application/json", 422),
        (b"{" + DATES + b', "min_amount": ' + b"9" * 400 + b"}", "application/json", 422),
        (b"{" + DATES + b', "min_amount": NaN}', "application/json", 422),
        (b"{" + DATES + b', "max_amount": Infinity}', "application/json", 422),
        (b"{" + DATES + b', "max_amount": -Infinity}', "application/json", 422),
        (b"{" + DATES + rb', "customer_id": "\ud800"}', "application/json", 422),
        (b"{" + DATES + rb', "customer_id": "\u0000"}', "application/json", 422),
        (b"{" + DATES + rb', "\udfff": 1}', "application/json", 422),
        (b"{" + DATES + b', "format": "csv", "format": "json"}', "application/json", 422),
        (b"{" + DATES + b', "unknown": {"a": 1, "a": 2}}', "application/json", 422),
        (b"{" + DATES + b', "unknown": 1}', "application/json", 422),
        (b"{" + DATES + b', "__proto__": {}}', "application/json", 422),
        (b"{" + DATES + b', "report": "../../etc/passwd"}', "application/json", 422),
        (b"{" + DATES + b', "report": ["payments"]}', "application/json", 422),
        (b"{" + DATES + b', "columns": {"$gt": ""}}', "application/json", 422),
        (b'{"a": "' + b"x" * 70_000 + b'"}', "application/json", 413),
        (b"start_date=2026-01-01", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"<a/>", "application/xml", 415),
        (b"--x--", "multipart/form-data; boundary=x", 415),
    ],
)
def test_a_body(
    client: TestClient, clock: ManualClock, body: bytes, content_type: str, status: int
) -> None:
    headers = {**bearer(token(clock)), "Content-Type": content_type}
    answer = client.post("/payments/export", headers=headers, content=body)
    assert refused(answer)["status"] == status


@pytest.mark.parametrize(
    "export",
    [
        "..%2f..%2fetc%2fpasswd",
        "..%5c..%5cetc",
        "%2e%2e",
        "%00",
        "a%00b",
        "a%0d%0aSet-Cookie:x",
        "a%7f",
        "%ff%fe",
        "%c0%ae%c0%ae",
        "%E2%80%AE",
        "a" * 10_240,
        "%F0%9F%92%A9" * 2000,
    ],
)
@pytest.mark.parametrize("rest", ["", "/cancel"])
def test_an_id_with_tricks_is_not_found(
    client: TestClient, clock: ManualClock, export: str, rest: str
) -> None:
    method = "POST" if rest else "GET"
    path = f"/exports/{export}{rest}"
    assert refused(client.request(method, path, headers=bearer(token(clock))))["status"] in {
        404,
        405,
    }


@pytest.mark.parametrize(
    "query",
    [
        "report=%00",
        "start_date=2026-01-01&end_date=2026-01-31&customer_id=%00",
        "start_date=2026-01-01&start_date=2026-01-02",
        "start_date=" + "9" * 5000,
        "min_amount=" + "9" * 5000,
        "min_amount=1e999999",
        "min_amount=NaN",
        "%ff=%ff",
        "=&=&==",
        "format[]=csv",
        "columns=" + "," * 5000,
        "timezone=../../etc/passwd",
        "timezone=%2Fetc%2Fpasswd",
        "split_rows=-1",
    ],
)
def test_a_query(client: TestClient, clock: ManualClock, query: str) -> None:
    answer = client.post(f"/payments/export?{query}", headers=bearer(token(clock)))
    assert refused(answer)["errors"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/exports//cancel", 404),
        ("GET", "/reports/%2e%2e%2fexports", 404),
        ("GET", "/reports/" + "a" * 10_240, 404),
        ("GET", "/reports/nothing", 404),
        ("TRACE", "/reports", 405),
        ("DELETE", "/payments/export", 405),
        ("PROPFIND", "/reports", 405),
        ("GET", "/.git/config", 404),
        ("GET", "/openapi.yaml", 404),
    ],
)
def test_a_path_and_a_method(
    client: TestClient, clock: ManualClock, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path, headers=bearer(token(clock)))
    assert refused(answer)["status"] == status


def test_json_that_says_it_is_compressed(client: TestClient, clock: ManualClock) -> None:
    headers = {**bearer(token(clock)), **JSON, "Content-Encoding": "gzip"}
    answer = client.post("/payments/export", headers=headers, content=b"{}")
    assert refused(answer)["status"] == 415


def test_a_length_that_is_a_lie(client: TestClient, clock: ManualClock) -> None:
    headers = {**bearer(token(clock)), **JSON, "Content-Length": "9" * 30}
    answer = client.post("/payments/export", headers=headers, content=b"{}")
    assert refused(answer)["status"] == 413
