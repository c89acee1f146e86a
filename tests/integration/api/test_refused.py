"""Refused changes in the audit log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Receive, Scope, Send

from remit.api.backend import Backend
from remit.api.call import CALLER, REQUEST_ID
from remit.api.problems import problem
from remit.api.refused import MOST_PER_MINUTE, Refused
from remit.audit import REFUSED, AuditLog, Via
from remit.auth import Caller
from remit.errors import Conflict, NotFound, NotPermitted, RemitError, StoreUnavailable
from remit.services import Services
from tests.support.api import NotedRuns, bearer, forged, token
from tests.support.asgi import call
from tests.support.audit import entries_of
from tests.support.clock import ManualClock

MERCHANT = "merchant-1"


class Refusing:
    """An app that refuses everything."""

    def __init__(self, error: RemitError) -> None:
        self._answer = problem(error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope, receive, send)


def noting(services: Services, error: RemitError, now: float = 0.0) -> tuple[Refused, Any]:
    """The middleware around such an app, and its time, which stands still."""
    time = SimpleNamespace(now=now)
    backend = Backend(lambda: services, NotedRuns())
    return Refused(Refusing(error), backend, lambda: time.now), time


def scope_of(merchant: str = MERCHANT) -> dict[str, Any]:
    return {CALLER: Caller(merchant, frozenset()), REQUEST_ID: "request-1", "client": None}


def test_an_entry_says_who_tried_what_and_why_it_was_refused(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    header = bearer(forged(clock, jti="token-1", permissions=["payments"]))
    answer = client.delete("/webhooks/endpoints/ep-1", headers=header)

    (entry,) = entries_of(services, MERCHANT, REFUSED)

    assert answer.status_code == 403
    assert (entry.action, entry.result) == ("requests.refused", "refused")
    assert entry.target == "/webhooks/endpoints/ep-1"
    assert entry.details == {
        "method": "DELETE",
        "path": "/webhooks/endpoints/{endpoint}",
        "type": "/remit/problems/not-permitted",
    }
    assert (entry.actor.name, entry.actor.via) == (MERCHANT, Via.HOOK)
    assert (entry.actor.token_id, entry.actor.address) == ("token-1", "testclient")
    assert entry.actor.request_id == answer.headers["X-Request-ID"]


def test_what_was_to_be_read_or_has_no_token_has_none(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    assert client.get("/exports/export-1", headers=bearer(token(clock))).status_code == 404
    assert client.post("/exports/export-1/cancel").status_code == 401
    assert client.put("/exports", headers=bearer(token(clock))).status_code == 405
    assert entries_of(services, MERCHANT, REFUSED) == []


def test_a_path_that_no_route_has_is_named_without_a_token_in_it(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    there = token(clock)
    assert client.post(f"/x/{there}", headers=bearer(there)).status_code == 404
    (entry,) = entries_of(services, MERCHANT, REFUSED)
    assert entry.target == "/x/[hidden]…"
    assert entry.details == {"method": "POST", "type": "/remit/problems/not-found"}


async def test_of_a_merchant_there_are_so_many_in_a_minute(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    app, time = noting(services, Conflict("no"))
    for _ in range(MOST_PER_MINUTE + 5):
        assert (await call(app, **scope_of())).status == 409
    assert (await call(app, **scope_of("merchant-2"))).status == 409

    assert len(entries_of(services, MERCHANT, REFUSED)) == MOST_PER_MINUTE
    assert len(entries_of(services, "merchant-2", REFUSED)) == 1
    assert caplog.text.count("see the access log") == 1

    time.now = 60.0
    await call(app, **scope_of())
    assert len(entries_of(services, MERCHANT, REFUSED)) == MOST_PER_MINUTE + 1


async def test_the_answer_is_out_before_and_whatever_happens(
    services: Services, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    out: list[str] = []

    def write(*_: Any, **__: Any) -> None:
        out.append("write")
        raise StoreUnavailable("no answer")

    async def send(message: Any) -> None:
        out.append(message["type"])

    async def receive() -> Any:
        raise AssertionError("read")

    monkeypatch.setattr(AuditLog, "write", write)
    app, _ = noting(services, NotFound("none"))
    scope = {"type": "http", "method": "POST", "path": "/a", "headers": [], **scope_of()}
    await app(scope, receive, send)

    assert out == ["http.response.start", "http.response.body", "write"]
    assert "no entry of the refused request request-1: no answer" in caplog.text


@pytest.mark.parametrize("error", [StoreUnavailable("no answer"), NotPermitted("no")])
async def test_what_the_moment_refuses_has_none(services: Services, error: RemitError) -> None:
    app, _ = noting(services, error)
    await call(app, **scope_of())
    expected = 0 if isinstance(error, StoreUnavailable) else 1
    assert len(entries_of(services, MERCHANT, REFUSED)) == expected
