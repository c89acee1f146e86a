from __future__ import annotations

import pytest
from starlette.types import Message

from remit.api.conduct import Conduct
from remit.api.intake import DEFAULT_BODY_BYTES, Intake
from tests.support.asgi import Echo, call

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
