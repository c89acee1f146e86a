from __future__ import annotations

import asyncio
import gzip
import os
import socket
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from remit.webhooks.sender import (
    ERROR_CLASSES,
    EXCERPT_BYTES,
    REQUESTS_PER_HOST,
    Outcome,
    Request,
    Sender,
    error_class,
)
from tests.support.clock import ManualClock

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def receiver(handler: Handler) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        yield server


async def post(url: str, deadline: float = 5) -> Outcome:
    async with Sender(timedelta(seconds=deadline), ManualClock()) as sender:
        return await sender.post(Request(url, {"X-Webhook-ID": "wh-1"}, b'{"a":1}'))


async def answer_of(handler: Handler, deadline: float = 5) -> Outcome:
    async with receiver(handler) as server:
        return await post(str(server.make_url("/hook")), deadline)


async def test_posts_the_exact_bytes_and_headers() -> None:
    seen: list[tuple[str, str, bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.headers["X-Webhook-ID"], await request.read()))
        assert request.headers["Content-Type"] == "application/json"
        return web.Response(status=201, text="thanks")

    outcome = await answer_of(handler)
    assert seen == [("POST", "wh-1", b'{"a":1}')]
    assert (outcome.status, outcome.error, outcome.excerpt) == (201, None, "thanks")


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    assert (await answer_of(handler)).status == 302
    assert paths == ["/hook"]


async def test_retry_after_is_read() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "7"})

    assert (await answer_of(handler)).retry_after == timedelta(seconds=7)


async def _hang_before_headers(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(5)
    return web.Response()


async def _hang_in_body(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun")
    await asyncio.sleep(5)
    return response


async def _drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(200):
        await response.write(b".")
        await asyncio.sleep(0.05)
    return response


@pytest.mark.parametrize("handler", [_hang_before_headers, _hang_in_body, _drip])
async def test_one_deadline_covers_headers_and_body(handler: Handler) -> None:
    async with receiver(handler) as server:
        started = time.monotonic()
        outcome = await post(str(server.make_url("/hook")), deadline=0.2)
        assert time.monotonic() - started < 1
        assert (outcome.status, outcome.error) == (None, "timeout")


async def test_a_body_without_end_is_read_up_to_the_cap() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            return response

    outcome = await answer_of(handler)
    assert outcome.status == 200
    assert outcome.excerpt == "x" * EXCERPT_BYTES


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_bomb_is_inflated_up_to_the_cap(encoding: str) -> None:
    zeros = b"0" * 50_000_000
    bomb = gzip.compress(zeros) if encoding == "gzip" else zlib.compress(zeros)

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=500, body=bomb, headers={"Content-Encoding": encoding})

    outcome = await answer_of(handler)
    assert (outcome.status, outcome.excerpt) == (500, "0" * EXCERPT_BYTES)


async def test_a_body_that_cannot_be_decoded_takes_nothing_from_its_status() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b"no gzip", headers={"Content-Encoding": "gzip"})

    outcome = await answer_of(handler)
    assert (outcome.status, outcome.excerpt) == (200, "")

    async def bytes_that_are_no_text(_: web.Request) -> web.Response:
        return web.Response(body=b"\xff\xfe ok")

    assert (await answer_of(bytes_that_are_no_text)).excerpt == "\ufffd\ufffd ok"


async def test_what_prevents_an_answer_is_an_outcome() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert (await post(f"http://127.0.0.1:{port}/")).error == "connect"
    assert (await post("http://name.invalid/")).error == "dns"
    assert (await post("http://[/")).error == "url"

    async def plain(_: web.Request) -> web.Response:
        return web.Response()

    async with receiver(plain) as server:
        assert (await post(f"https://127.0.0.1:{server.port}/")).error == "tls"


async def test_an_answer_that_is_no_http_is_an_outcome() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    async def silence(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    for handler, error in [(nonsense, "protocol"), (silence, "disconnected")]:
        async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            assert (await post(f"http://127.0.0.1:{port}/")).error == error


def test_every_error_class_is_reachable() -> None:
    kinds = [kind for kind, _ in ERROR_CLASSES]
    for position, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:position]), kind
    assert error_class(ConnectionResetError()) == "network"


async def test_proxies_and_cookies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert os.environ["http_proxy"]
    cookies: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "session=1"})

    async with receiver(handler) as server, Sender(timedelta(seconds=5), ManualClock()) as sender:
        request = Request(str(server.make_url("/")), {}, b"{}")
        assert [(await sender.post(request)).status for _ in range(2)] == [200, 200]
    assert cookies == [None, None]


async def test_connections_are_kept() -> None:
    peers: set[object] = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(text="ok")

    async with receiver(handler) as server, Sender(timedelta(seconds=5), ManualClock()) as sender:
        for _ in range(5):
            assert (await sender.post(Request(str(server.make_url("/")), {}, b"{}"))).status == 200
    assert len(peers) == 1


async def test_a_hanging_host_occupies_its_own_places_only() -> None:
    async with Sender(timedelta(seconds=5), ManualClock()) as sender:
        release, inside = asyncio.Event(), 0

        async def hang() -> None:
            nonlocal inside
            async with sender.turn("http://hanging:1/a"):
                inside += 1
                await release.wait()

        hanging = [asyncio.create_task(hang()) for _ in range(REQUESTS_PER_HOST * 3)]
        await asyncio.sleep(0)
        async with asyncio.timeout(1), sender.turn("http://healthy:1/b"):
            assert inside == REQUESTS_PER_HOST
        release.set()
        await asyncio.gather(*hanging)
        assert inside == REQUESTS_PER_HOST * 3
