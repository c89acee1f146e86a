from __future__ import annotations

import pytest
from starlette.types import Message, Scope

from remit.api.call import shown_path
from remit.api.conduct import Conduct
from remit.api.guard import Guard
from remit.api.intake import DEFAULT_BODY_BYTES, Intake
from remit.auth import Verifier
from tests.support.api import TOKENS
from tests.support.asgi import Echo, call
from tests.support.clock import ManualClock

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "headers", [{"Content-Length": str(DEFAULT_BODY_BYTES + 1)}, {"Transfer-Encoding": "chunked"}]
)
async def test_after_an_answer_before_the_end_of_the_body_the_connection_is_closed(
    headers: dict[str, str],
) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * 10_000, "more_body": True}

    app = Conduct(Intake(Echo()))
    answer = await call(app, headers={**JSON, **headers}, receive=receive)
    assert answer.status == 413
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {**JSON, "Content-Length": "2"}, 200),
        (b"", {"Content-Length": "0"}, 200),
        (b"", {}, 200),
        (b"{}", {"Content-Type": "text/plain"}, 415),
    ],
)
async def test_after_the_whole_body_it_stays_open(
    body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await call(Conduct(Intake(Echo())), headers=headers, body=body)
    assert answer.status == status
    assert "connection" not in answer.headers


TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJtZXJjaGFudF9pZCI6Im0ifQ.c2lnbmF0dXJlLW9mLWl0"


@pytest.mark.parametrize("path", [f"/exports/{TOKEN}", f"/x/Bearer {TOKEN}", f"/a={TOKEN}/b"])
async def test_a_token_in_a_path_is_in_no_log(path: str, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: Scope) -> None:
        raise RuntimeError("broken")

    caplog.set_level("INFO", logger="remit")
    await call(Conduct(Echo(before=fail)), path)
    await call(Conduct(Guard(Echo(), Verifier(TOKENS, ManualClock()))), path)

    assert [part for part in TOKEN.split(".") if part in caplog.text] == []
    assert caplog.text.count("[hidden]") == 4, "each request has its line, and why it failed"


def test_a_path_is_logged_up_to_a_length() -> None:
    assert shown_path("/" + "x" * 199) == "/" + "x" * 199
    assert shown_path("/" + "x" * 40_000) == "/" + "x" * 199 + "…"
    for cut in range(130, 195):
        assert "eyJhbGciOi" not in shown_path("/" + "x/" * (cut // 2) + TOKEN * 9)


def test_ids_are_logged_as_they_are() -> None:
    for path in ("/exports/export-01m84ekemg2w5g23n8btf52x14", "/keys/key-1", "/a.b.c/monkey"):
        assert shown_path(path) == path


async def test_a_websocket_is_closed_and_told_why() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    app = Conduct(Guard(Echo(), Verifier(TOKENS, ManualClock())))
    await app({"type": "websocket", "path": "/events", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
