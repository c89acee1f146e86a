"""Receivers of one test each: well-behaved ones, and bare sockets that answer what they like."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from remit.webhooks.addresses import networks_of
from remit.webhooks.sender import Outcome, Request, Sender
from tests.support.clock import ManualClock

LOOPBACK = networks_of("127.0.0.0/8")
BODY = b'{"a":1}'

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def receiver(handler: Handler) -> AsyncIterator[TestServer]:
    """Answers as the handler does, on 127.0.0.1."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        yield server


@asynccontextmanager
async def bare_receiver(
    behaviour: Behaviour,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Runs a behaviour per connection, for as long as it likes; yields the port."""
    tasks: set[asyncio.Task[Any]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await behaviour(reader, writer)
        writer.close()

    server = await asyncio.start_server(accept, host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """The request line, the headers in lower case, and the body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *rest = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (r.partition(":") for r in rest)}
    return line, headers, await reader.readexactly(int(headers.get("content-length", 0)))


def answers(*parts: bytes) -> Behaviour:
    """Reads the request, and writes these parts, each when the one before it has gone."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()

    return behaviour


def sender(deadline: float = 5, **parts: Any) -> Sender:
    """A sender that may post to 127.0.0.1, by http:// too, unless told otherwise."""
    return Sender(timedelta(seconds=deadline), ManualClock(), **{"networks": LOOPBACK, **parts})


async def post(url: str, deadline: float = 5, **parts: Any) -> Outcome:
    """What comes of one attempt."""
    async with sender(deadline, **parts) as one:
        return await one.post(Request(url, {"X-Webhook-ID": "wh-1"}, BODY))


async def answer_of(handler: Handler, deadline: float = 5) -> Outcome:
    """What comes of one attempt to a receiver with this handler."""
    async with receiver(handler) as server:
        return await post(str(server.make_url("/hook")), deadline)


async def outcome_of(behaviour: Behaviour, deadline: float = 5) -> Outcome:
    """What comes of one attempt to a bare receiver."""
    async with bare_receiver(behaviour) as port:
        return await post(f"http://127.0.0.1:{port}/hook", deadline)
