"""Starts of runs: a moment of whoever asked, and then on their own, so many and no more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from remit.api import starts as module
from remit.api.starts import THREADS, Starts


class Airflow:
    """Slow: answers when a test says so."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked = 0
        self.started = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        with self._lock:
            self.asked += 1
        self.answers.wait(60)
        with self._lock:
            self.started += 1


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Airflow]:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    airflow = Airflow()
    yield airflow
    airflow.answers.set()


async def test_a_start_that_is_quick_is_over_when_the_wait_is(airflow: Airflow) -> None:
    airflow.answers.set()
    starts = Starts()
    for number in range(1, 2 * THREADS):
        assert await starts.start(airflow.start)
        assert airflow.started == number


async def test_a_slow_one_is_waited_for_a_moment_and_goes_on(airflow: Airflow) -> None:
    starts = Starts()
    async with asyncio.timeout(10):
        assert await starts.start(airflow.start)
    assert airflow.started == 0
    airflow.answers.set()
    await starts.close()
    assert airflow.started == 1


async def test_so_many_go_on_and_others_are_not_begun(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", THREADS + 2)
    starts = Starts()
    begun = await asyncio.gather(*(starts.start(airflow.start) for _ in range(THREADS + 5)))
    assert begun == (THREADS + 2) * [True] + 3 * [False]
    assert airflow.asked == THREADS
    airflow.answers.set()
    await starts.close()
    assert airflow.started == THREADS + 2
    assert await starts.start(airflow.start)


async def test_a_process_that_stops_does_not_wait_for_ever(
    airflow: Airflow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LAST_SECONDS", 0.01)
    starts = Starts()
    await starts.start(airflow.start)
    await starts.close()
    assert "1 starts are left to the poller" in caplog.text
