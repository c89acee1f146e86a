"""Links to an export's files: what they open, who gets them, and what the audit log says."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
import requests
from fastapi.testclient import TestClient

from benchmarks.standins.http import Response
from remit.clock import epoch_seconds, format_instant
from remit.exports.pipeline import ExportPipeline
from remit.services import Services
from remit.stop import Stop
from tests.support.api import bearer, forged, token
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.exports import claimed, export_job, payment, store_payments
from tests.support.standins import StandIns

URL = "/exports/export-1/download"


def made(services: Services, **request: Any) -> None:
    """Export two payments, of which one cannot be read."""
    store_payments(services, payment(1), payment(2, amount="no number"))
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job(**request))
    pipeline.prepare(claimed(pipeline))


def record(services: Services, clock: ManualClock, files: int, **changes: Any) -> None:
    """Put a completed record of so many files into the table."""
    item = {
        "id": "export-1",
        "merchantID": "merchant-1",
        "status": "completed",
        "query": {},
        "expiresAt": epoch_seconds(clock() + timedelta(days=7)),
        "files": [
            {"key": f"exports/m/e/1/part-{n}.csv", "name": f"part-{n}.csv", "rows": n, "bytes": 9}
            for n in range(1, files + 1)
        ],
        **changes,
    }
    services.tables.export_jobs.put({k: v for k, v in item.items() if v is not ...})


def get(client: TestClient, clock: ManualClock, **query: str) -> Any:
    headers = bearer(token(clock))
    return client.get(URL, headers=headers, params=query, follow_redirects=False)


def opened(url: str) -> bytes:
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - a link to the stand-in
        return bytes(answer.read())


def key_of(url: str) -> str:
    return urlsplit(url).path.partition("/remit-exports/")[2]


def test_every_link_opens_what_it_names(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    made(services, compression="gzip", columns="payment_id")
    body = client.get("/exports/export-1", headers=bearer(token(clock))).json()

    answer = get(client, clock)

    assert answer.status_code == 307
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["url"] == answer.headers["location"]
    content = opened(answer.headers["location"])
    (file,) = body["files"]
    assert hashlib.sha256(content).hexdigest() == file["checksum"]["sha256"]
    lines = gzip.decompress(content).decode().split()
    assert [line.strip('"') for line in lines] == ["payment_id", "pay-000001"]
    manifest = json.loads(opened(get(client, clock, file="manifest").headers["location"]))
    assert manifest["export_id"] == "export-1"
    assert manifest["totals"] == body["manifest"]["totals"]
    assert manifest["range"] == body["manifest"]["range"]
    assert manifest["as_of"] == body["manifest"]["as_of"]
    assert b"pay-000002" in opened(get(client, clock, file="rejects").headers["location"])
    for url in (body["download_url"], file["url"], body["manifest_url"], body["rejects_url"]):
        path = url.removeprefix("/remit")
        followed = client.get(path, headers=bearer(token(clock)), follow_redirects=False)
        assert followed.status_code == 307, url


def test_of_several_files_there_is_a_list_or_one(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    record(services, clock, files=3)

    listed = get(client, clock)
    second = get(client, clock, file="2")

    assert listed.status_code == 200
    files = listed.json()["files"]
    assert [key_of(one.pop("url")) for one in files] == [
        f"exports/m/e/1/part-{n}.csv" for n in (1, 2, 3)
    ]
    assert files[1] == {
        "name": "part-2.csv",
        "rows": 2,
        "bytes": 9,
        "checksum": {"sha256": None, "crc64nvme": None},
        "expires_at": format_instant(clock() + timedelta(hours=1)),
    }
    assert second.status_code == 307
    assert key_of(second.headers["location"]) == "exports/m/e/1/part-2.csv"


def test_links_end_with_the_job(client: TestClient, services: Services, clock: ManualClock) -> None:
    record(services, clock, 1, expiresAt=epoch_seconds(clock() + timedelta(minutes=10)))

    answer = get(client, clock)

    assert answer.json()["expires_at"] == format_instant(clock() + timedelta(minutes=10))
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["X-Amz-Expires"] == ["600"]


@pytest.mark.parametrize("status", ["pending", "processing", "failed", "canceled"])
def test_an_export_that_is_not_completed_has_none(
    client: TestClient, services: Services, clock: ManualClock, status: str
) -> None:
    record(services, clock, 1, status=status)

    answer = get(client, clock)

    assert answer.status_code == 409
    assert answer.json()["detail"].startswith(f"the export is {status}:")
    assert entries_of(services, "merchant-1") == []


def test_one_that_has_expired_is_gone(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    record(services, clock, 1)
    clock.advance(7 * 86_400)

    answer = get(client, clock)

    assert (answer.status_code, answer.json()["type"]) == (410, "/remit/problems/gone")
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("files", "which", "status"),
    [
        (3, "4", 404),
        (1, "2", 404),
        (1, "manifest", 404),
        (1, "rejects", 404),
        (0, "1", 404),
        (0, None, 404),
        (1, "0", 422),
        (1, "-1", 422),
        (1, "first", 422),
        (1, "", 422),
        (1, "1.0", 422),
        (1, "٣", 422),
        (1, "9" * 400, 422),
        (1, "../manifest", 422),
        (1, "\x00", 422),
    ],
)
def test_what_is_no_file_of_it_is_refused(
    client: TestClient,
    services: Services,
    clock: ManualClock,
    files: int,
    which: str | None,
    status: int,
) -> None:
    record(services, clock, files)

    answer = get(client, clock, **({} if which is None else {"file": which}))

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert entries_of(services, "merchant-1") == []


def test_each_parameter_is_known_and_given_once(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    record(services, clock, 2)

    for query in ("file=1&file=2", "part=1"):
        answer = client.get(f"{URL}?{query}", headers=bearer(token(clock)))
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["allowed"]


def test_only_its_merchant_with_the_reports_permission_gets_links(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    record(services, clock, 1)

    def status(headers: dict[str, str]) -> int:
        return client.get(URL, headers=headers, follow_redirects=False).status_code

    assert status({}) == 401
    assert status(bearer(token(clock, "merchant-2"))) == 404
    assert status(bearer(token(clock, "merchant-1", "refunds", "audit"))) == 403
    assert entries_of(services, "merchant-1") == entries_of(services, "merchant-2") == []


def test_every_link_is_in_the_audit_log_before_it_is_given_away(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    record(services, clock, 2)
    header = bearer(forged(clock, email="ann@books.example", jti="token-1"))

    one = client.get(f"{URL}?file=2", headers=header, follow_redirects=False)
    clock.advance(1)
    client.get(URL, headers=header)

    listed, single = entries_of(services, "merchant-1")
    assert single.action == listed.action == "exports.link.minted"
    assert single.target == "export-1"
    assert single.details == {"files": ["part-2.csv"], "expires_at": one.json()["expires_at"]}
    assert listed.details["files"] == ["part-1.csv", "part-2.csv"]
    assert (single.actor.name, single.actor.token_id) == ("ann@books.example", "token-1")


def test_a_link_that_cannot_be_noted_is_not_given_away(
    client: TestClient, services: Services, clock: ManualClock, standins: StandIns
) -> None:
    record(services, clock, 1)

    def fail(request: Any) -> Response | None:
        if request.headers.get("x-amz-target", "").endswith("PutItem"):
            return Response(500, {}, (b'{"__type": "InternalServerError"}',))
        return None

    standins.queries.instead = fail
    answer = get(client, clock)

    assert answer.status_code == 503
    assert "Signature" not in answer.text
    assert "location" not in answer.headers


@contextmanager
def redirecting_to(location: str) -> Iterator[str]:
    """A server on the loopback address that answers everything with a redirect, as the hook does
    on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(307)
            self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Not into the tests' output."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_what_lies_on_another_port_is_not_sent_the_token(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    """S3 refuses a link whose request has an Authorization header beside it."""
    made(services)
    location = get(client, clock).headers["location"]

    with redirecting_to(location) as url:
        answer = requests.get(url, headers=bearer(token(clock)), timeout=10)

    assert answer.status_code == 200
    assert b"pay-000001" in answer.content
    assert answer.history
    assert "Authorization" not in answer.request.headers
