"""POST requests over aiohttp's connections, without what a session does for each of them.

A `ClientSession` makes a URL, a dictionary of headers, a cookie header, a timer, a request, a task
that writes its body and a response object, every time: two thirds of what a small POST costs. Here
all that the requests of a route have in common is made once, and a request is its bytes. aiohttp
still resolves, connects, speaks TLS and to proxies, keeps connections and parses answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy
from yarl import URL

PROTOCOL_ERRORS = (HttpProcessingError, aiohttp.ClientPayloadError)
"""What an answer that is no HTTP raises, beside `aiohttp.ClientError` and `OSError`."""

_READ_BYTES = 1 << 16  # at a time: then the peer waits
_WRITTEN_TOGETHER = 1 << 14  # head and body, as one packet or a few; a longer body is not copied


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `content` is what was read of the body, as it came over the wire."""

    status: int
    headers: CIMultiDictProxy[str]
    content: bytes = field(repr=False)


class Route:
    """Where requests go, and the headers that all of them have. Belongs to one event loop."""

    def __init__(self, url: URL, headers: Mapping[str, str], proxy: URL | None = None) -> None:
        # Without a body: what it says of one (`Content-Length: 0`) is each request's own to say.
        self.template = aiohttp.ClientRequest(
            "POST", url, headers=headers, proxy=proxy, loop=asyncio.get_running_loop()
        )
        del self.template.headers["Content-Length"]

    @cached_property
    def head(self) -> str:
        """The first lines of each request. To be asked for once there is a connection: with it
        comes what a proxy wants to be told."""
        request = self.template
        whole = request.proxy is not None and not request.is_ssl()
        target = str(request.url) if whole else request.url.raw_path_qs
        return f"POST {target} HTTP/1.1\r\n{_lines(request.headers)}"


MOST_KEPT = 256
"""Connections that may be open when another one is kept for later."""


class Connections:
    """The connections of one connector. Use on one event loop.

    There are as many as there are requests at once, and those that are kept for later: of these a
    connector knows no limit, and every endpoint may have a few.
    """

    def __init__(
        self,
        connector: aiohttp.BaseConnector,
        timeout: aiohttp.ClientTimeout,
        most_kept: int = MOST_KEPT,
    ) -> None:
        self._connector = connector
        self._timeout = timeout
        self._most_kept = most_kept
        self._open: WeakSet[ResponseHandler] = WeakSet()

    async def post(
        self, route: Route, headers: Mapping[str, str], body: bytes, *, limit: int
    ) -> Answer:
        """Post once, and read the answer up to about `limit` bytes of its body: the connection of a
        longer one is closed.

        Raises:
            aiohttp.ClientError, OSError, TimeoutError: there is no connection, or it broke.
            HttpProcessingError, aiohttp.ClientPayloadError: the answer is no HTTP, or ends early.
            ValueError: a header holds a line break.
        """
        lines = _lines(headers)
        connection, protocol, transport = await self._connected(route)
        try:
            protocol.set_response_params(
                read_until_eof=True, auto_decompress=False, read_bufsize=_READ_BYTES
            )
            head = f"{route.head}{lines}Content-Length: {len(body)}\r\n\r\n".encode()
            if len(body) <= _WRITTEN_TOGETHER:
                transport.write(head + body)
            else:
                transport.write(head)
                transport.write(body)
            answer = await _answer(protocol, limit)
        except BaseException:
            connection.close()
            raise
        # One that was answered before all was sent is closed, as is one too many.
        if transport.get_write_buffer_size() or len(self._open) > self._most_kept:
            self._open.discard(protocol)
            connection.close()
        else:
            connection.release()  # which closes it, unless the answer was read to its end
        return answer

    async def _connected(
        self, route: Route
    ) -> tuple[aiohttp.connector.Connection, ResponseHandler, asyncio.Transport]:
        """A connection on which nothing waits: what was said unasked answers no request."""
        while True:
            connection = await self._connector.connect(route.template, [], self._timeout)
            protocol, transport = connection.protocol, connection.transport
            if protocol is None or transport is None:
                connection.close()
                raise aiohttp.ServerDisconnectedError
            if not protocol.should_close:
                self._open.add(protocol)
                return connection, protocol, transport
            connection.close()


async def _answer(protocol: ResponseHandler, limit: int) -> Answer:
    message, content = await protocol.read()
    while 100 <= message.code < 200 and message.code != 101:
        message, content = await protocol.read()
    # Most bodies are there with the head, in one piece.
    kept = await content.readany()
    while len(kept) < limit and (more := await content.readany()):
        kept += more
    return Answer(message.code, message.headers, kept)


def _lines(headers: Mapping[str, str]) -> str:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not lines.count("\n") == lines.count("\r") == len(headers) or "\0" in lines:
        raise ValueError("a header holds a line break")
    return lines
