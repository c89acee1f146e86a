from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from remit.connections import Answer, Connections, Route
from tests.support.receivers import answers, bare_receiver, read_request

LIMIT = 1000

Post = Callable[[dict[str, str], bytes], Awaitable[Answer]]


@asynccontextmanager
async def poster(port: int, path: str = "/", most_kept: int = 100) -> AsyncIterator[Post]:
    url = URL(f"http://127.0.0.1:{port}{path}", encoded=True)
    async with aiohttp.TCPConnector() as connector:
        connections = Connections(connector, aiohttp.ClientTimeout(), most_kept)
        route = Route(url, {"User-Agent": "test"})
        yield lambda headers, body: connections.post(route, headers, body, limit=LIMIT)


def answer(content: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(content), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


class Scripted:
    """Answers every request of every connection alike, and counts both."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts
        self.connections = 0
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            self.requests.append(await read_request(reader))
            for part in self.parts:
                writer.write(part)
                await writer.drain()


async def test_a_request_is_what_its_route_and_it_say_and_connections_are_kept() -> None:
    scripted = Scripted(answer(b"thanks", b"X-One: 1"))
    async with bare_receiver(scripted) as port, poster(port, "/a%2Fb?c=%C3%BC") as post:
        got = [await post({"X-Id": f"{n}"}, b"x" * n) for n in (3, 0)]
    assert [(one.status, one.headers["x-one"], one.content) for one in got] == [
        (200, "1", b"thanks")
    ] * 2
    assert scripted.connections == 1
    (line, headers, body), (_, other_headers, nothing) = scripted.requests
    assert line == "POST /a%2Fb?c=%C3%BC HTTP/1.1"
    assert (headers["host"], headers["user-agent"]) == (f"127.0.0.1:{port}", "test")
    assert (headers["x-id"], headers["content-length"], body) == ("3", "3", b"xxx")
    assert (other_headers["content-length"], nothing) == ("0", b"")


async def test_a_longer_answer_is_read_to_about_its_limit_and_its_connection_closed() -> None:
    scripted = Scripted(answer(b"x" * 10_000_000))
    async with bare_receiver(scripted) as port, poster(port) as post:
        got = [await post({}, b"") for _ in range(2)]
    assert all(LIMIT <= len(one.content) < 1_000_000 for one in got)
    assert scripted.connections == 2


async def test_what_comes_before_the_answer_is_no_answer() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with bare_receiver(Scripted(hints, hints, answer(b"ok"))) as port, poster(port) as post:
        assert (await post({}, b"")).content == b"ok"


async def test_what_is_said_unasked_answers_no_request() -> None:
    scripted = Scripted(answer(b"first") + answer(b"unasked"))
    async with bare_receiver(scripted) as port, poster(port) as post:
        got = [(await post({}, b"")).content for _ in range(3)]
    assert got == [b"first"] * 3
    assert scripted.connections == 3


async def test_what_is_said_unasked_later_answers_no_request_either() -> None:
    said = asyncio.Event()

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(b"first"))
        await writer.drain()
        await said.wait()
        writer.write(answer(b"unasked"))
        await reader.read()

    async with bare_receiver(behaviour) as port, poster(port) as post:
        assert (await post({}, b"")).content == b"first"
        said.set()
        for _ in range(10):  # until it has arrived
            await asyncio.sleep(0)
        assert (await post({}, b"")).content == b"first"


async def test_a_connection_on_which_something_is_left_to_say_is_not_used_again() -> None:
    connections = 0

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(b"enough"))
        await writer.drain()
        await asyncio.Event().wait()

    async with bare_receiver(early) as port, poster(port) as post:
        for _ in range(2):
            assert (await post({}, b"x" * 50_000_000)).content == b"enough"
    assert connections == 2


async def test_a_connection_that_the_peer_closes_is_not_used_again() -> None:
    scripted = Scripted(answer(b"bye", b"Connection: close"))
    async with bare_receiver(scripted) as port, poster(port) as post:
        assert [(await post({}, b"")).content for _ in range(2)] == [b"bye"] * 2
    assert scripted.connections == 2


async def test_no_more_connections_are_kept_than_may_be() -> None:
    held = asyncio.Semaphore(0)
    counts: asyncio.Queue[int] = asyncio.Queue()
    open_now = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now
        open_now += 1
        counts.put_nowait(open_now)
        try:
            while True:
                await read_request(reader)
                await held.acquire()
                writer.write(answer(b""))
                await writer.drain()
        finally:
            open_now -= 1
            counts.put_nowait(open_now)

    async with bare_receiver(slow) as port, poster(port, most_kept=3) as post:
        posts = [asyncio.create_task(post({}, b"")) for _ in range(10)]
        while await counts.get() < 10:
            pass
        for _ in posts:
            held.release()
        await asyncio.gather(*posts)
        while await counts.get() > 3:
            pass
        held.release()
        await post({}, b"")
        assert open_now == 3


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ((b"220 mail.example ESMTP\r\n\r\n",), HttpProcessingError),
        ((), aiohttp.ServerDisconnectedError),
        ((answer(b"0123456789")[:-3],), aiohttp.ClientPayloadError),
    ],
    ids=["no HTTP", "nothing", "half of it"],
)
async def test_what_is_no_answer_is_an_error(
    parts: tuple[bytes, ...], error: type[Exception]
) -> None:
    async with bare_receiver(answers(*parts)) as port, poster(port) as post:
        with pytest.raises(error):
            await post({}, b"")


@pytest.mark.parametrize("value", ["a\r\nX-Forged: 1", "a\n", "a\r", "a\0"])
async def test_a_header_cannot_hold_another_one(value: str) -> None:
    scripted = Scripted(answer(b""))
    async with bare_receiver(scripted) as port, poster(port) as post:
        with pytest.raises(ValueError, match="line break"):
            await post({"X-Id": value}, b"")
    assert scripted.requests == []
