from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from remit.serving import HookProtocol

REQUEST = b"GET / HTTP/1.1\r\nHost: hook\r\n\r\n"


class Soon(HookProtocol):
    """Waits so short that a test can, too."""

    head_seconds = 0.05


class Later(HookProtocol):
    """Waits longer than a test lasts."""

    head_seconds = 60.0


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, and answers."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Server:
    """Where it listens."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._opened: list[asyncio.StreamWriter] = []

    async def connect(self) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._opened.append(writer)
        return reader, writer

    async def close(self) -> None:
        for writer in self._opened:
            writer.close()
            await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])


@asynccontextmanager
async def serving(protocol: type[HookProtocol], most: int | None = None) -> AsyncIterator[Server]:
    config = uvicorn.Config(app, log_config=None, limit_concurrency=most, ws="none")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: protocol(config, state, {}), "127.0.0.1", 0)
    server = Server(listening.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listening.close()
        await server.close()


async def answer(connection: Connection) -> bytes:
    """The head of the next answer."""
    return await connection[0].readuntil(b"\r\n\r\n")


async def is_closed(connection: Connection) -> bool:
    return await asyncio.wait_for(connection[0].read(), timeout=5) == b""


async def test_a_connection_without_a_request_is_closed() -> None:
    async with serving(Soon) as server:
        assert await is_closed(await server.connect())


async def test_headers_that_drip_have_no_more_time_than_others() -> None:
    async with serving(Soon) as server:
        connection = await server.connect()
        connection[1].write(REQUEST[:-4] + b"\r\nX-Slow: ")
        assert await is_closed(connection)


async def test_the_next_request_of_a_connection_has_to_come_whole_too() -> None:
    async with serving(Soon) as server:
        connection = await server.connect()
        connection[1].write(REQUEST)
        assert (await answer(connection)).startswith(b"HTTP/1.1 204")
        connection[1].write(b"GET / HTTP/1.1\r\n")
        assert await is_closed(connection)


async def test_the_wait_ends_with_the_headers_of_a_request() -> None:
    async with serving(Soon) as server:
        connection = await server.connect()
        connection[1].write(b"POST / HTTP/1.1\r\nHost: hook\r\nContent-Length: 2\r\n\r\n{")
        slow = await server.connect()
        assert await is_closed(slow), "it has waited longer than headers may take"
        connection[1].write(b"}")
        assert (await answer(connection)).startswith(b"HTTP/1.1 204")


async def test_beyond_its_connections_it_answers_with_a_problem_and_closes() -> None:
    async with serving(Later, most=2) as server:
        for _ in range(2):
            connection = await server.connect()
            connection[1].write(REQUEST)
            assert (await answer(connection)).startswith(b"HTTP/1.1 204")
        third = await server.connect()
        third[1].write(REQUEST)
        head = (await answer(third)).lower()
        assert head.startswith(b"http/1.1 503")
        assert b"connection: close" in head
        assert b"retry-after: 5" in head
        document = json.loads(await asyncio.wait_for(third[0].read(), timeout=5))
        assert document["type"] == "/remit/problems/overloaded"
        assert document["request_id"]
