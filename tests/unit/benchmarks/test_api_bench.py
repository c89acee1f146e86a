"""The benchmark of the hook: what is sent, and what the figures are made of."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from benchmarks.api import __main__ as program
from benchmarks.api.load import Request, run
from benchmarks.api.measuring import Measured, cpu_seconds
from benchmarks.api.stage import EXPORT, Served
from remit.webhooks.event import PAYLOAD_LIMIT

SERVED = Served("http://127.0.0.1:1", "http://127.0.0.1:1/remit", "token", (1,))


def took(requests: int, seconds: float, cpu: float) -> Measured:
    return Measured(requests, seconds, cpu, p50_ms=1.0, p99_ms=2.0)


def test_a_request_is_whole_http() -> None:
    request = Request("POST", "http://127.0.0.1:8080/a?b=c", 202, {"X-One": "1"}, "body")
    assert request.data() == (
        b"POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-One: 1\r\nContent-Length: 4\r\n\r\nbody"
    )


def test_answers_of_another_status_are_told() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone")

    async def ask() -> tuple[int, list[str]]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            answers = await run(
                Request("GET", f"http://127.0.0.1:{port}/", 200, connections=2), 0.1
            )
            return len(answers.latencies), answers.wrong

    count, wrong = asyncio.run(ask())
    assert count >= 5
    assert wrong == ["404: gone"] * 5


def test_the_requests_are_those_of_the_bars() -> None:
    requests = program.requests_to(SERVED)
    assert requests[program.STATUS].url.endswith(f"/remit/exports/{EXPORT}")
    batch = json.loads(requests[program.BATCH].body)["events"]
    assert len(batch) == program.BATCH_EVENTS
    assert batch[0] == json.loads(requests[program.EVENT].body)
    assert 900 < len(requests[program.EVENT].body) < PAYLOAD_LIMIT
    assert all(
        "Authorization" in one.headers for name, one in requests.items() if name != program.VERSION
    )


def test_figures_are_ratios_of_medians() -> None:
    runs = {
        program.VERSION: [took(1000, 1, 1), took(3000, 1, 1), took(2000, 1, 1)],
        program.STATUS: [took(1100, 1, 1)],
        program.EVENT: [took(100, 1, 0.5)],
        program.BATCH: [took(10, 1, 0.4)],
        program.CHECKED: [took(1000, 1, 1.2)],
        program.UNCHECKED: [took(1000, 1, 1.0)],
    }
    rate, check, batch, *_ = program.figures_of(runs).values()
    assert (rate.value, rate.ok) == (pytest.approx(0.55), True)
    assert (check.value, check.ok) == (pytest.approx(1.2), True)
    assert (batch.value, batch.ok) == (pytest.approx(12.5), True)


def test_a_route_that_is_too_slow_misses_its_bar() -> None:
    runs = {
        name: [took(1000, 1, 1)]
        for name in (program.VERSION, program.EVENT, program.BATCH, program.UNCHECKED)
    } | {program.STATUS: [took(499, 1, 1)], program.CHECKED: [took(1000, 1, 1.31)]}
    rate, check, *_ = program.figures_of(runs).values()
    assert (rate.ok, check.ok) == (False, False)


def test_cpu_is_that_of_the_processes() -> None:
    before = cpu_seconds([os.getpid()])
    sum(number * number for number in range(2_000_000))
    assert cpu_seconds([os.getpid()]) > before
