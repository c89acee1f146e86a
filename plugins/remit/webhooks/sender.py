"""One attempt over HTTP: a POST with a deadline and a capped answer. Every failure is an outcome.

Only addresses that were checked are connected to. Redirects are not followed, proxies and
credentials from the environment are not used, and cookies are not kept: an endpoint learns nothing
about another.
"""

from __future__ import annotations

import codecs
import ssl
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from types import TracebackType
from typing import Any, Literal

import aiohttp
from yarl import URL

from remit import __version__
from remit.clock import Clock
from remit.connections import PROTOCOL_ERRORS, Answer, Connections, Route
from remit.deadlines import Deadlines
from remit.errors import AddressRefused, ConfigurationError, InvalidRequest
from remit.settings import Settings
from remit.webhooks.addresses import (
    CheckedResolver,
    Network,
    Resolve,
    addresses_of,
    networks_of,
    why_refused,
)
from remit.webhooks.backoff import parse_retry_after
from remit.webhooks.urls import check_url, literal_of, parse_url

EXCERPT_BYTES = 4096
"""So much of an answer's body is kept: decompressed, and as UTF-8."""

READ_BYTES = 16 * EXCERPT_BYTES
"""So much of an answer's body is read, as it comes: a body that ends within it lets its connection
be used again. The connection of a longer one is closed."""

_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": f"Remit/{__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}
_KNOWN_URLS = 4096  # parsed and checked once: about a kilobyte each
_RESOLVED_SECONDS = 10  # so long the addresses of a name, once checked, serve new connections
_RESOLVED_NAMES = 1000


@dataclass(slots=True)
class Request:
    """What to post where, with which headers beside those that every request has."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(slots=True)
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
    (AddressRefused, "address"),
    (InvalidRequest, "url"),
    (aiohttp.InvalidURL, "url"),
    (aiohttp.ClientHttpProxyError, "proxy"),
    (aiohttp.ClientProxyConnectionError, "proxy"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientSSLError, "tls"),
    (ssl.SSLError, "tls"),
    (aiohttp.ClientConnectorError, "connect"),
    (aiohttp.ServerDisconnectedError, "disconnected"),
    *((kind, "protocol") for kind in PROTOCOL_ERRORS),
    (aiohttp.ClientError, "network"),
    (OSError, "network"),
    (ValueError, "protocol"),
)
_ERRORS = tuple(kind for kind, _ in ERROR_CLASSES)


class Sender:
    """A pool of connections for one chunk. Use as an asynchronous context manager.

    `networks` are those that webhooks may go to though they are not public, by http:// too. With a
    `proxy`, all requests go to it, and names are resolved, and refused, by it.
    """

    def __init__(
        self,
        timeout: timedelta,
        clock: Clock,
        *,
        networks: Sequence[Network] = (),
        proxy: str = "",
        stopwatch: Callable[[], float] = time.monotonic,
        resolve: Resolve = addresses_of,
        tls: ssl.SSLContext | Literal[True] = True,
    ) -> None:
        self._deadlines = Deadlines(timeout.total_seconds())
        self._clock = clock
        self._stopwatch = stopwatch
        self._networks = networks
        self._proxy = _proxy(proxy)
        self._resolve = resolve
        self._tls = tls
        self._route = lru_cache(_KNOWN_URLS)(self._new_route)

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> Sender:
        """As a deployment has set it.

        Raises:
            ConfigurationError: the networks or the proxy are wrong.
        """
        return cls(
            settings.webhook_timeout,
            clock,
            networks=networks_of(settings.webhook_networks),
            proxy=settings.webhook_proxy,
        )

    async def __aenter__(self) -> Sender:
        # What a connection may lead to depends on the scheme: each has its own pool and addresses.
        async with AsyncExitStack() as opened:
            self._connections = {
                scheme: await self._open(scheme, opened) for scheme in ("https", "http")
            }
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._route.cache_clear()
        await self._opened.aclose()

    async def post(self, request: Request) -> Outcome:
        """Post once. One deadline covers name lookup, connect, TLS, headers and body."""
        started = self._stopwatch()
        try:
            connections, route = self._route(request.url)
            answer = await self._deadlines.run(
                connections.post(route, request.headers, request.body, limit=READ_BYTES)
            )
        except _ERRORS as error:
            return Outcome(self._since(started), error=error_class(error))
        return Outcome(
            self._since(started),
            status=answer.status,
            excerpt=_excerpt(answer),
            retry_after=parse_retry_after(answer.headers.get("Retry-After"), self._clock()),
        )

    def _new_route(self, text: str) -> tuple[Connections, Route]:
        """The connections for a URL, and what all requests to it have in common.

        Raises:
            InvalidRequest: no endpoint may have this URL.
            AddressRefused: its host is an address that is not allowed.
        """
        check_url(text, allow_http=bool(self._networks), proxied=self._proxy is not None)
        url = parse_url(text)
        literal = literal_of(url)
        if literal is not None and (why := why_refused(literal, url.scheme, self._networks)):
            raise AddressRefused(str(literal), why)
        return self._connections[url.scheme], Route(url, _HEADERS, self._proxy)

    async def _open(self, scheme: str, opened: AsyncExitStack) -> Connections:
        checked = CheckedResolver(scheme, self._networks, self._resolve)
        opened.push_async_callback(checked.close)  # after the connections: they give up lookups
        connector = await opened.enter_async_context(self._connector(checked))
        return Connections(connector, aiohttp.ClientTimeout(total=None))

    def _connector(self, checked: CheckedResolver) -> aiohttp.TCPConnector:
        # The lanes bound the requests: time spent waiting for a turn must not count against an
        # endpoint's deadline, as waiting in the connector's own queue would.
        common: dict[str, Any] = {"limit": 0, "ssl": self._tls}
        if self._proxy is not None:
            return aiohttp.TCPConnector(**common)
        return aiohttp.TCPConnector(
            resolver=checked,
            socket_factory=checked.open_socket,
            ttl_dns_cache=_RESOLVED_SECONDS,
            dns_cache_max_size=_RESOLVED_NAMES,
            **common,
        )

    def _since(self, started: float) -> timedelta:
        return timedelta(seconds=self._stopwatch() - started)


def error_class(error: Exception) -> str:
    """The short, stable name of what prevented an answer."""
    return next(name for kind, name in ERROR_CLASSES if isinstance(error, kind))


def _excerpt(answer: Answer) -> str:
    """The start of the body, decoded."""
    return _text(_inflated(answer.content, answer.headers.get("Content-Encoding")))


def _text(kept: bytes) -> str:
    if kept.isascii():
        return kept.decode("ascii")
    # A character that the cap has cut is left out. What is no UTF-8 takes more room once replaced.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(kept, final=len(kept) < EXCERPT_BYTES)
    return text.encode()[:EXCERPT_BYTES].decode("utf-8", "ignore")


def _inflated(content: bytes, encoding: str | None) -> bytes:
    """Never more than what is kept, whatever a gzip bomb holds, and nothing of what makes no sense:
    the answer's status counts all the same."""
    if encoding is None or encoding.strip().lower() not in {"gzip", "x-gzip", "deflate"}:
        return content[:EXCERPT_BYTES]
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content, EXCERPT_BYTES)
    except zlib.error:
        return b""


def _proxy(text: str) -> URL | None:
    if not text:
        return None
    try:
        proxy = URL(text)
    except ValueError:
        proxy = URL()
    if proxy.scheme not in {"http", "https"} or not proxy.raw_host:
        # The text is not shown: it may hold a password.
        raise ConfigurationError(
            "REMIT_WEBHOOK_PROXY must be the URL of a proxy, such as http://proxy.internal:3128"
        )
    return proxy
