"""Receivers that answer what they like: every one of them ends in an outcome, in time."""

from __future__ import annotations

import asyncio
import time

import pytest

from remit.webhooks.sender import EXCERPT_BYTES
from tests.support.receivers import (
    Behaviour,
    answers,
    bare_receiver,
    outcome_of,
    post,
    read_request,
)

pytestmark = pytest.mark.alone

OK = b"HTTP/1.1 200 OK\r\n"
UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def endlessly(part: bytes, *, after: bytes = b"", pause: float = 0) -> Behaviour:
    """Writes one part again and again."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(after)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return behaviour


SLOW = {
    "nothing": answers(),
    "half a status line": answers(b"HTTP/1.1 2"),
    "headers byte by byte": endlessly(b"x", after=OK + b"X: ", pause=0.02),
    "header after header": endlessly(b"X-A: 1\r\n", after=OK, pause=0.02),
    "continue after continue": endlessly(b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.01),
    "early hints": endlessly(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", pause=0.01),
    "a body that does not come": answers(OK + b"Content-Length: 2\r\n\r\n"),
    "a body byte by byte": endlessly(b"x", after=OK + b"Content-Length: 9999\r\n\r\n", pause=0.02),
    "chunk by chunk": endlessly(b"1\r\nx\r\n", after=CHUNKED, pause=0.02),
    "a chunk that does not come": answers(CHUNKED + b"ff\r\nx"),
    "a chunk's size byte by byte": endlessly(b"0", after=CHUNKED, pause=0.02),
    "a body until the end": answers(OK + b"\r\nbegun"),
}


@pytest.mark.parametrize("name", SLOW)
async def test_what_is_slow_ends_at_the_deadline(name: str) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await SLOW[name](reader, writer)
        await reader.read()

    started = time.monotonic()
    outcome = await outcome_of(behaviour, deadline=0.3)
    assert (outcome.status, outcome.error) == (None, "timeout")
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    "behaviour",
    [
        endlessly(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        endlessly(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000),
    ],
    ids=["100", "102"],
)
async def test_a_flood_of_interim_answers_ends_at_the_deadline(behaviour: Behaviour) -> None:
    started = time.monotonic()
    outcome = await outcome_of(behaviour, deadline=0.3)
    assert outcome.error == "timeout"
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (answers(b"SSH-2.0-OpenSSH\r\n"), "protocol"),
        (answers(b"HTTP/1.1 abc\r\n\r\n"), "protocol"),
        (answers(b"HTTP/9.9 200 OK\r\n\r\n"), "protocol"),
        (answers(OK + b"no colon\r\n\r\n"), "protocol"),
        (answers(OK + b"A: b\x00c\r\n\r\n"), "protocol"),
        (answers(OK + b"Content-Length: -1\r\n\r\n"), "protocol"),
        (answers(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), "protocol"),
        (answers(OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), "protocol"),
        (answers(OK + b"Content-Length: 10\r\n\r\nshort"), "protocol"),
        (answers(CHUNKED + b"5\r\nhel"), "protocol"),
        (answers(CHUNKED + b"zz\r\n"), "protocol"),
        (answers(CHUNKED + b"1\r\na\r\n", b"zz\r\n"), "protocol"),
        (answers(OK + b"A: " + b"x" * 10_000 + b"\r\n\r\n"), "protocol"),
        (answers(b"HTTP/1.1 200 " + b"x" * 10_000 + b"\r\n\r\n"), "protocol"),
        (answers(OK + b"A: b\r\n" * 1000 + b"\r\n"), "protocol"),
        (endlessly(b"A: b\r\n" * 1000, after=OK), "protocol"),
        (endlessly(b"x" * 10_000, after=OK + b"A: "), "protocol"),
        (endlessly(b"1\r\nx\r\n" * 100 + b"zz", after=CHUNKED), "protocol"),
        (answers(), "disconnected"),
        (answers(b"HTTP/1.1 2"), "disconnected"),
        (answers(OK + b"A: b"), "disconnected"),
        (answers(b"HTTP/1.1 100 Continue\r\n\r\n"), "disconnected"),
    ],
)
async def test_what_is_no_answer_is_an_outcome(behaviour: Behaviour, error: str) -> None:
    outcome = await outcome_of(behaviour, deadline=3)
    assert (outcome.status, outcome.error) == (None, error)


@pytest.mark.parametrize(
    ("behaviour", "status", "excerpt"),
    [
        (answers(b"HTTP/1.1 100 Continue\r\n\r\n", OK + b"Content-Length: 2\r\n\r\nok"), 200, "ok"),
        (answers(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, ""),
        (answers(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"), 304, ""),
        (answers(b"HTTP/1.1 999 Beyond\r\nContent-Length: 0\r\n\r\n"), 999, ""),
        (answers(b"HTTP/1.0 200 OK\r\n\r\nuntil the end"), 200, "until the end"),
        (answers(OK + b"Connection: close\r\n\r\nuntil the end"), 200, "until the end"),
        (answers(UPGRADE + b"no HTTP any more"), 101, ""),
        (answers(OK + b"Content-Length: 2\r\n\r\nok" + OK + b"\r\nanother"), 200, "ok"),
        (endlessly(b"x" * 65536, after=OK + b"\r\n"), 200, "x" * EXCERPT_BYTES),
        (endlessly(b"1\r\nx\r\n" * 9999, after=CHUNKED), 200, "x" * EXCERPT_BYTES),
    ],
)
async def test_what_is_odd_but_an_answer_has_its_status(
    behaviour: Behaviour, status: int, excerpt: str
) -> None:
    outcome = await outcome_of(behaviour, deadline=3)
    assert (outcome.status, outcome.error, outcome.excerpt) == (status, None, excerpt)


async def test_a_connection_that_breaks_off_is_an_outcome() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.transport.abort()

    async with bare_receiver(reset) as port:
        assert (await post(f"http://127.0.0.1:{port}/")).error in {"disconnected", "network"}
