"""What holds for every answer: headers, an id, a line in the access log, and no stack."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import FastAPI
from fastapi.responses import Response, StreamingResponse
from fastapi.testclient import TestClient

from remit.api.app import create_app
from remit.api.conduct import OVER_TLS, SECURITY_HEADERS
from remit.api.guard import PUBLIC
from remit.auth import Verifier
from remit.services import Services
from tests.support.api import TOKENS, NotedRuns, bearer, forged, token
from tests.support.clock import ManualClock

ID = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
def app(services: Services, runs: NotedRuns, clock: ManualClock) -> FastAPI:
    """The app, with routes that go wrong."""
    app = create_app(lambda: services, runs, Verifier(TOKENS, clock))

    @app.get("/bug", include_in_schema=False)
    async def bug() -> None:
        raise RuntimeError("the secret of the bug")

    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, root_path="/remit") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/reports", 200),
        ("GET", "/exports/none", 404),
        ("GET", "/nothing", 404),
        ("PUT", "/reports", 405),
        ("POST", "/payments/export", 422),
        ("GET", "/bug", 500),
        ("GET", "/exports/%00", 404),
        ("GET", "/health", 200),
        ("OPTIONS", "/reports", 405),
        ("HEAD", "/nothing", 404),
    ],
)
def test_every_answer_has_the_headers(
    client: TestClient, clock: ManualClock, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path, headers=bearer(token(clock)))

    assert answer.status_code == status
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers.get_list(name) == [value]
    assert ID.fullmatch(answer.headers["x-request-id"])
    assert not OVER_TLS.keys() & answer.headers.keys()
    if status >= 400 and method != "HEAD":
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_an_answer_without_a_token_has_them_too(client: TestClient) -> None:
    answer = client.get("/reports")
    assert answer.status_code == 401
    assert SECURITY_HEADERS.items() <= dict(answer.headers).items()
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_over_tls_browsers_are_told_to_stay_there(app: FastAPI) -> None:
    answer = TestClient(app, base_url="https://hook.example").get("/reports")
    assert OVER_TLS.items() <= dict(answer.headers).items()


def test_the_callers_id_is_taken_over_into_answer_problem_and_log(
    client: TestClient, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="remit")
    headers = {**bearer(token(clock)), "X-Request-ID": "order-4711"}

    answer = client.get("/exports/none", headers=headers)

    assert answer.headers["x-request-id"] == "order-4711"
    assert answer.json()["request_id"] == "order-4711"
    ours = [record for record in caplog.records if record.name.startswith("remit")]
    assert ours
    assert all(record.getMessage().startswith("[order-4711] ") for record in ours)


def test_what_the_core_logs_on_a_thread_has_the_id(
    client: TestClient, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="remit")
    query = {"start_date": "2026-01-01", "end_date": "2026-01-31"}
    headers = {**bearer(token(clock)), "X-Request-ID": "on-a-thread"}

    created = client.post("/payments/export", params=query, headers=headers)
    client.post(f"/exports/{created.json()['export_id']}/cancel", headers=headers)

    (line,) = [one for one in caplog.messages if "is canceled" in one]
    assert line.startswith("[on-a-thread] ")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "remit.api.access"]


def test_each_request_is_one_line_of_the_access_log(
    client: TestClient, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="remit.api.access")
    known = forged(clock, jti="token-1")

    client.get("/exports/none?status=private", headers=bearer(known))
    client.get("/reports", headers=bearer("eyJ.nonsense.x"))
    client.get("/bug", headers=bearer(known))
    client.get("/health")

    first, second, third, fourth = lines(caplog)
    assert re.search(
        r"method=GET path='/(remit/)?exports/none' status=422 ms=\d+\.\d "
        r"merchant='merchant-1' token_id='token-1'$",
        first,
    )
    assert "status=401" in second
    assert second.endswith("merchant=None token_id=None")
    assert "status=500" in third
    assert "status=200" in fourth
    for secret in ("private", known, "eyJ", "nonsense"):
        assert not any(
            secret in record.getMessage()
            for record in caplog.records
            if record.name.startswith("remit.")  # not the test's own client
        )


def test_a_path_cannot_forge_a_line_of_the_access_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="remit.api.access")
    client.get("/x%0Amethod=GET%20path='/'")
    assert len(lines(caplog)) == 1
    assert "\n" not in lines(caplog)[0]


def test_a_bug_is_told_to_the_log_alone(
    client: TestClient, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/bug", headers=bearer(token(clock)))

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/remit/problems/internal-error"
    assert "secret" not in answer.text
    assert "RuntimeError: the secret of the bug" in caplog.text


def test_half_an_answer_is_cut_off_and_logged(
    services: Services, runs: NotedRuns, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(lambda: services, runs, Verifier(TOKENS, clock))

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("no more")

        return StreamingResponse(parts())

    with pytest.raises(RuntimeError, match="no more"):
        TestClient(app).get("/stream", headers=bearer(token(clock)))
    assert "'/stream' failed" in caplog.text


def test_a_page_may_have_a_policy_of_its_own(app: FastAPI, clock: ManualClock) -> None:
    @app.get("/pages")
    async def pages() -> Response:
        return Response("<p>", headers={"Content-Security-Policy": "script-src 'self'"})

    answer = TestClient(app).get("/pages", headers=bearer(token(clock)))
    assert answer.headers.get_list("content-security-policy") == ["script-src 'self'"]


def test_a_method_that_a_path_lacks_is_told_all_that_it_has(
    app: FastAPI, clock: ManualClock
) -> None:
    for method in ("GET", "POST"):
        app.add_api_route("/things", lambda: None, methods=[method])

    answer = TestClient(app).delete("/things", headers=bearer(token(clock)))

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    assert answer.json()["type"] == "/remit/problems/method-not-allowed"


def test_a_slash_too_many_leads_nowhere(client: TestClient, clock: ManualClock) -> None:
    answer = client.get("/reports/", headers=bearer(token(clock)), follow_redirects=False)
    assert answer.status_code == 404


METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")


def test_without_a_token_no_route_answers_but_the_public_ones(client: TestClient) -> None:
    app: FastAPI = client.app  # type: ignore[assignment]
    paths = {route.path for route in app.routes}  # type: ignore[attr-defined]
    assert len(paths) > 5
    for path in paths - PUBLIC:
        for method in METHODS:
            assert client.request(method, path.replace("{", "").replace("}", "")).status_code == 401
    for path in PUBLIC & paths:
        assert client.get(path).status_code in {200, 503}, path
        for method in set(METHODS) - {"GET", "HEAD"}:
            assert client.request(method, path).status_code == 401, (method, path)
        for near in (f"{path}/", path.upper(), f"{path};x", f"/x{path}"):
            assert client.get(near).status_code == 401, near
