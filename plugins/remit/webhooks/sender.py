"""One attempt over HTTP: a POST with a deadline and a capped answer. Every failure is an outcome.

Redirects are not followed, proxies and credentials from the environment are not used, and cookies
are not kept: an endpoint learns nothing about another.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType

import aiohttp

from remit import __version__
from remit.clock import Clock
from remit.settings import Settings
from remit.webhooks.backoff import parse_retry_after

EXCERPT_BYTES = 4096
"""So much of an answer's body, decompressed, is kept; the rest is not read."""


@dataclass(frozen=True)
class Request:
    """What to post where."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: an HTTP `status`, or the class of the `error` that prevented one."""

    duration: timedelta
    status: int | None = None
    error: str | None = None
    excerpt: str = field(default="", repr=False)
    retry_after: timedelta | None = None


# From the narrowest type to the widest: the first that matches names the error.
ERROR_CLASSES: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientSSLError, "tls"),
    (ssl.SSLError, "tls"),
    (aiohttp.ClientConnectorError, "connect"),
    (aiohttp.ServerDisconnectedError, "disconnected"),
    (aiohttp.InvalidURL, "url"),
    (aiohttp.ClientPayloadError, "protocol"),
    (aiohttp.ClientResponseError, "protocol"),
    (aiohttp.ClientError, "network"),
    (OSError, "network"),
    (ValueError, "protocol"),
)


class Sender:
    """A pool of connections for one chunk. Use as an asynchronous context manager."""

    def __init__(
        self, timeout: timedelta, clock: Clock, stopwatch: Callable[[], float] = time.monotonic
    ) -> None:
        self._timeout = timeout
        self._clock = clock
        self._stopwatch = stopwatch

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> Sender:
        """As a deployment has set it."""
        return cls(settings.webhook_timeout, clock)

    async def __aenter__(self) -> Sender:
        self._session = aiohttp.ClientSession(
            # The lanes bound the requests: time spent waiting for a turn must not count against an
            # endpoint's deadline, as waiting in the connector's own queue would.
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def post(self, request: Request) -> Outcome:
        """Post once. One deadline covers name lookup, connect, TLS, headers and body."""
        started = self._stopwatch()
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                status, excerpt, retry_after = await self._exchange(request)
        except tuple(kind for kind, _ in ERROR_CLASSES) as error:
            return Outcome(self._since(started), error=error_class(error))
        return Outcome(
            self._since(started),
            status=status,
            excerpt=excerpt,
            retry_after=parse_retry_after(retry_after, self._clock()),
        )

    async def _exchange(self, request: Request) -> tuple[int, str, str | None]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Remit/{__version__}",
            "Accept-Encoding": "identity",
            **request.headers,
        }
        async with self._session.post(
            request.url, data=request.body, headers=headers, allow_redirects=False
        ) as response:
            excerpt = await _excerpt(response)
            return response.status, excerpt, response.headers.get("Retry-After")

    def _since(self, started: float) -> timedelta:
        return timedelta(seconds=self._stopwatch() - started)


def error_class(error: Exception) -> str:
    """The short, stable name of what prevented an answer."""
    return next(name for kind, name in ERROR_CLASSES if isinstance(error, kind))


async def _excerpt(response: aiohttp.ClientResponse) -> str:
    """The start of the body. A short body is read to its end, so that the connection is kept."""
    inflate = _inflater(response.headers.get("Content-Encoding", ""))
    kept = b""
    while len(kept) < EXCERPT_BYTES and (raw := await response.content.read(EXCERPT_BYTES)):
        try:
            kept += inflate(raw, EXCERPT_BYTES - len(kept))
        except zlib.error:  # a body that cannot be decoded takes nothing from its status
            break
    if not response.content.at_eof():
        response.close()
    return kept[:EXCERPT_BYTES].decode("utf-8", "replace")


def _inflater(encoding: str) -> Callable[[bytes, int], bytes]:
    """A decoder that never produces more than it is asked for, whatever a gzip bomb holds."""
    if encoding.strip().lower() in {"gzip", "x-gzip", "deflate"}:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress
    return lambda raw, limit: raw[:limit]
