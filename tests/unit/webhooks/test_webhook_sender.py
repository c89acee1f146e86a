from __future__ import annotations

import asyncio
import gzip
import os
import socket
import threading
import time
import zlib
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from remit.errors import ConfigurationError
from remit.settings import Settings
from remit.webhooks.sender import (
    ERROR_CLASSES,
    EXCERPT_BYTES,
    READ_BYTES,
    Outcome,
    Request,
    Sender,
    error_class,
)
from tests.support.clock import ManualClock
from tests.support.receivers import (
    BODY,
    Handler,
    answer_of,
    bare_receiver,
    post,
    read_request,
    receiver,
    sender,
)


async def test_posts_the_exact_bytes_and_headers() -> None:
    seen: list[tuple[str, str, bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.headers["X-Webhook-ID"], await request.read()))
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["Accept-Encoding"] == "identity"
        assert request.headers["User-Agent"].startswith("Remit/")
        return web.Response(status=201, text="thanks")

    outcome = await answer_of(handler)
    assert seen == [("POST", "wh-1", BODY)]
    assert (outcome.status, outcome.error, outcome.excerpt) == (201, None, "thanks")


async def test_the_duration_is_that_of_the_attempt() -> None:
    readings = iter([100.0, 100.25])

    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    async with receiver(handler) as server, sender(stopwatch=lambda: next(readings)) as one:
        outcome = await one.post(Request(str(server.make_url("/")), {}, BODY))
    assert outcome.duration == timedelta(milliseconds=250)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_not_followed(status: int) -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    assert (await answer_of(handler)).status == status
    assert paths == ["/hook"]


async def test_a_redirect_to_localhost_is_not_followed() -> None:
    reached: list[str] = []

    async def inside(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response()

    async with receiver(inside) as server:
        target = f"http://localhost:{server.port}/admin"

        async def handler(_: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": target})

        assert (await answer_of(handler)).status == 307
    assert reached == []


async def test_retry_after_is_read() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "7"})

    assert (await answer_of(handler)).retry_after == timedelta(seconds=7)


@pytest.mark.parametrize("text", ["", "soon", "-1", "9" * 8000, "Wed, 99 Nov 2026 12:00:00 GMT"])
async def test_a_senseless_retry_after_is_no_failure(text: str) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": text})

    assert (await answer_of(handler)).status == 503


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


async def test_the_deadline_covers_the_lookup_of_the_name() -> None:
    looked_up = asyncio.Event()
    loop = asyncio.get_running_loop()

    def resolve(_: str) -> list[str]:
        loop.call_soon_threadsafe(looked_up.set)
        released.result(5)
        return ["127.0.0.1"]

    released = asyncio.run_coroutine_threadsafe(asyncio.sleep(0.3), loop)
    outcome = await post("http://hooks.example.com/", deadline=0.1, resolve=resolve)
    assert looked_up.is_set()
    assert outcome.error == "timeout"
    await asyncio.wrap_future(released)


async def test_a_cancellation_from_outside_is_no_timeout() -> None:
    posted = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        posted.set()
        return await _hang_before_headers(request)

    async with receiver(handler) as server:
        task = asyncio.create_task(post(str(server.make_url("/hook"))))
        await posted.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


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


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", " GZIP "])
async def test_a_bomb_is_inflated_up_to_the_cap(encoding: str) -> None:
    zeros = b"0" * 50_000_000
    bomb = zlib.compress(zeros) if encoding == "deflate" else gzip.compress(zeros)

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=500, body=bomb, headers={"Content-Encoding": encoding})

    outcome = await answer_of(handler)
    assert (outcome.status, outcome.excerpt) == (500, "0" * EXCERPT_BYTES)


async def test_a_body_that_inflates_to_nothing_is_not_read_without_end() -> None:
    compressor = zlib.compressobj(wbits=31)
    nothing = compressor.compress(b"") + compressor.flush(zlib.Z_SYNC_FLUSH)
    empty_block = b"\x00\x00\x00\xff\xff"  # a stored block of no bytes (RFC 1951, 3.2.4)
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        await response.write(nothing)
        try:
            while True:
                await response.write(empty_block * 1000)
                sent += 5000
        except ConnectionError:
            return response

    outcome = await answer_of(handler)
    assert (outcome.status, outcome.excerpt) == (200, "")
    assert sent < 100 * READ_BYTES  # what sockets and buffers take in


async def test_a_body_that_cannot_be_decoded_takes_nothing_from_its_status() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=b"no gzip", headers={"Content-Encoding": "gzip"})

    outcome = await answer_of(handler)
    assert (outcome.status, outcome.excerpt) == (200, "")

    async def bytes_that_are_no_text(_: web.Request) -> web.Response:
        return web.Response(body=b"\xff\xfe ok")

    assert (await answer_of(bytes_that_are_no_text)).excerpt == "\ufffd\ufffd ok"


@pytest.mark.parametrize(
    "body", [b"\xff" * 9000, "ü".encode() * 9000, "€".encode() * 9000, b"x" + "🎈".encode() * 9000]
)
async def test_an_excerpt_takes_no_more_than_its_bytes_as_text_either(body: bytes) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body)

    excerpt = (await answer_of(handler)).excerpt
    assert EXCERPT_BYTES - 4 < len(excerpt.encode()) <= EXCERPT_BYTES
    assert body.decode("utf-8", "replace").startswith(excerpt)


async def test_what_prevents_an_answer_is_an_outcome() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert (await post(f"http://127.0.0.1:{port}/")).error == "connect"
    assert (await post("http://name.invalid/")).error == "dns"
    assert (await post(f"http://{'a' * 64}.example/")).error == "dns"
    assert (await post("http://[/")).error == "url"
    assert (await post("https://10.0.0.1/")).error == "address"

    async def plain(_: web.Request) -> web.Response:
        return web.Response()

    async with receiver(plain) as server:
        assert (await post(f"https://127.0.0.1:{server.port}/")).error == "tls"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/hook",
        "ftp://127.0.0.1/",
        "ws://127.0.0.1/",
        "http://user:password@127.0.0.1/",
        "http://127.0.0.1\\@example.com/",
        "http://127.0.0.1/\r\nX: y",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.0.0.1./",
        "http://%31%32%37.0.0.1/",
        "http://[fe80::1%25lo]/",
        "http://127.0.0.1/" + "a" * 2048,
    ],
)
async def test_a_url_that_no_endpoint_may_have_is_not_posted_to(url: str) -> None:
    def resolve(host: str) -> list[str]:
        raise AssertionError(host)

    assert (await post(url, resolve=resolve)).error == "url"


async def test_an_answer_that_is_no_http_is_an_outcome() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await writer.drain()

    async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)

    for behaviour, error in [(nonsense, "protocol"), (silence, "disconnected")]:
        async with bare_receiver(behaviour) as port:
            assert (await post(f"http://127.0.0.1:{port}/")).error == error


@pytest.mark.parametrize(("kind", "name"), ERROR_CLASSES)
def test_every_error_class_is_reachable(kind: type[Exception], name: str) -> None:
    kinds = [kind for kind, _ in ERROR_CLASSES]
    earlier = kinds[: kinds.index(kind)]
    assert not any(issubclass(kind, wider) for wider in earlier)
    assert error_class(kind.__new__(kind)) == name


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ConnectionResetError(), "network"),
        (TimeoutError(), "timeout"),
        (aiohttp.ServerTimeoutError(), "timeout"),
        (aiohttp.ClientOSError(), "network"),
        (UnicodeError(), "protocol"),
    ],
)
def test_what_has_no_class_of_its_own_has_that_of_its_kind(error: Exception, name: str) -> None:
    assert error_class(error) == name


async def test_proxies_and_credentials_of_the_environment_and_cookies_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login merchant password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert os.environ["http_proxy"]
    seen: list[tuple[str | None, str | None]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.headers.get("Cookie"), request.headers.get("Authorization")))
        return web.Response(headers={"Set-Cookie": "session=1"})

    # A name and an address: netrc has the latter, and a jar would keep cookies of the former.
    async with receiver(handler) as server, sender(resolve=lambda _: ["127.0.0.1"]) as one:
        for host in ("127.0.0.1", "hooks.example.com"):
            request = Request(f"http://{host}:{server.port}/", {}, b"{}")
            assert [(await one.post(request)).status for _ in range(2)] == [200, 200]
    assert seen == [(None, None)] * 4


def test_neither_request_nor_outcome_show_what_was_sent_or_answered() -> None:
    request = Request("https://example.com/", {"X-Webhook-Signature": "sha256=5ec2e7"}, b"5ec2e7")
    assert "5ec2e7" not in repr(request)
    assert "5ec2e7" not in repr(Outcome(timedelta(), 200, excerpt="5ec2e7"))


def test_a_deployments_settings_are_checked_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="REMIT_WEBHOOK_NETWORKS"):
        Sender.of(Settings(webhook_networks="10.0.0.0/99"), ManualClock())


@pytest.mark.parametrize("proxy", ["proxy.internal:3128", "socks5://u:5ec2e7@p", "http://[", "//"])
def test_what_can_be_no_proxy_is_refused_and_not_shown(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="REMIT_WEBHOOK_PROXY") as refusal:
        Sender.of(Settings(webhook_proxy=proxy), ManualClock())
    assert "5ec2e7" not in str(refusal.value)


def test_the_end_does_not_wait_for_a_name_that_hangs() -> None:
    let_go, answered = threading.Event(), threading.Event()

    def hanging(_: str) -> list[str]:
        let_go.wait(10)
        answered.set()
        return ["127.0.0.1"]

    outcome = asyncio.run(post("http://hooks.example.com/hook", 0.1, resolve=hanging))
    assert outcome.error == "timeout"
    assert not answered.is_set()
    let_go.set()
