"""Calls an ASGI app as a server does, message by message."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remit.api.call import ANSWER_HEADERS

Headers = dict[str, str]


@dataclass
class Exchange:
    """One request, and what was answered."""

    sent: list[Message] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> Headers:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(b"".join(message.get("body", b"") for message in self.sent)))


async def call(
    app: ASGIApp,
    path: str = "/",
    *,
    method: str = "POST",
    headers: Headers | None = None,
    receive: Receive | None = None,
    body: bytes = b"",
    raw: list[tuple[bytes, bytes]] | None = None,
    **scope: Any,
) -> Exchange:
    """Send a request to the app. `receive` gives the body, if there is one; `raw` are
    headers that a dictionary cannot hold."""
    given = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    exchange = Exchange()

    async def send(message: Message) -> None:
        exchange.sent.append(message)

    request: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": raw or given,
        "scheme": "http",
        ANSWER_HEADERS: {},
        **scope,
    }
    await app(request, receive or chunks(body), send)
    return exchange


def chunks(*parts: bytes) -> Receive:
    """A body in parts, and then a caller who goes away."""
    messages: list[Message] = [
        {"type": "http.request", "body": part, "more_body": True} for part in parts
    ]
    messages[-1]["more_body"] = False
    messages.append({"type": "http.disconnect"})
    left = iter(messages)

    async def receive() -> Message:
        return next(left)

    return receive


@dataclass
class Echo:
    """An app that answers with the body that it was given, and notes that it was called."""

    calls: int = 0
    before: Callable[[Scope], Awaitable[None]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        if self.before is not None:
            await self.before(scope)
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        document = json.dumps({"body": body.decode()}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": document})
