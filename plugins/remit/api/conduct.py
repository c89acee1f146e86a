"""What holds for every request and every answer, refused ones too: an id, headers, one line in the
access log, and a problem document for what nobody has foreseen."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import perf_counter
from types import MappingProxyType

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remit.api import request_id
from remit.api.call import ANSWER_HEADERS, CALLER, REQUEST_ID, shown_path
from remit.api.problems import internal_error

access = logging.getLogger("remit.api.access")
log = logging.getLogger(__name__)

SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        # Answers hold links that open a merchant's files: no cache may keep them.
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
)
"""Of every answer, unless a route has set the header itself, as a page for people may have to."""

OVER_TLS: Mapping[str, str] = MappingProxyType({"strict-transport-security": "max-age=31536000"})
"""Of answers to requests that came by https. By http a browser would not believe it (RFC 6797)."""


class Conduct:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = {
            scheme: [(name.encode(), value.encode()) for name, value in headers.items()]
            for scheme, headers in {
                "http": SECURITY_HEADERS,
                "https": {**SECURITY_HEADERS, **OVER_TLS},
            }.items()
        }
        request_id.mark_log_lines()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = request_id.request_id_of(Headers(scope=scope))
        scope[ANSWER_HEADERS] = {}
        entered = request_id.enter(scope[REQUEST_ID])
        answer = _Answer(send, scope, self._headers_over(scope))
        started = perf_counter()
        try:
            await self._serve(scope, receive, answer)
        finally:
            _note(scope, answer.status, perf_counter() - started)
            request_id.leave(entered)

    def _headers_over(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        return self._headers["https" if scope.get("scheme") == "https" else "http"]

    async def _serve(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self._app(scope, answer.reading(receive), answer.send)
        except Exception:
            log.exception("%s %r failed", scope["method"], shown_path(scope["path"]))
            if answer.status is not None:
                raise  # half an answer is out: the server cuts the connection
            await internal_error()(scope, receive, answer.send)


class _Answer:
    """Adds the headers to an answer on its way out, and remembers its status."""

    def __init__(self, send: Send, scope: Scope, headers: list[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._scope = scope
        self._headers = headers
        self._is_read = False
        self.status: int | None = None

    def reading(self, receive: Receive) -> Receive:
        """The same `receive`, of which it is noted when the whole body has come."""

        async def receive_on() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                self._is_read = True
            return message

        return receive_on

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = list(message.get("headers", ()))
            names = {name.lower() for name, _ in own}
            own += [header for header in self._headers if header[0] not in names]
            own.append((b"x-request-id", self._scope[REQUEST_ID].encode()))
            if not self._is_read and _has_body(self._scope):
                # What is left of the body is not worth waiting for, and is no next request.
                own.append((b"connection", b"close"))
            found: Mapping[str, str] = self._scope[ANSWER_HEADERS]
            own += [(name.lower().encode(), value.encode()) for name, value in found.items()]
            message = {**message, "headers": own}
        await self._send(message)


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _note(scope: Scope, status: int | None, seconds: float) -> None:
    """One line for each request. The path is the caller's: quoted, so that it cannot forge another.
    The query string is left out: what is in it is for nobody's log."""
    caller = scope.get(CALLER)
    access.info(
        "method=%s path=%r status=%s ms=%.1f merchant=%r token_id=%r",
        scope["method"],
        shown_path(scope["path"]),
        status or "-",
        seconds * 1000,
        caller and caller.merchant_id,
        caller and caller.token_id,
    )
