from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from remit.api.deliveries import INTERVAL_SECONDS, Deliveries
from remit.errors import TriggerUnavailable


class Time:
    """Passes when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        self.now += seconds
        for until, woken in self._sleepers:
            if until <= self.now and not woken.done():
                woken.set_result(None)
        await settled()


class Starts:
    """Notes when deliveries were started, or fails; may be held up."""

    def __init__(self, time: Time) -> None:
        self.at: list[float] = []
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0
        self.most_under_way = 0
        self._time = time

    def __call__(self) -> None:
        self.at.append(self._time.now)
        if self.fails:
            raise TriggerUnavailable("the scheduler's database is down")

    async def run(self, start: Callable[[], None]) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.gate.wait()
        self.under_way -= 1
        start()


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def starts(time: Time) -> Starts:
    return Starts(time)


@pytest.fixture
def deliveries(time: Time, starts: Starts) -> Deliveries:
    return Deliveries(starts, starts.run, sleep=time.sleep, monotonic=time.monotonic)


async def test_the_first_one_starts_at_once(deliveries: Deliveries, starts: Starts) -> None:
    deliveries.wake()
    assert starts.at == []  # whoever publishes does not wait for it
    await settled()
    assert starts.at == [100.0]


async def test_a_burst_is_one_start_and_one_that_follows(
    deliveries: Deliveries, starts: Starts, time: Time
) -> None:
    for _ in range(100):
        deliveries.wake()
        await settled()
    assert starts.at == [100.0]
    await time.advance(INTERVAL_SECONDS / 2)
    deliveries.wake()
    await settled()
    assert starts.at == [100.0]
    await time.advance(INTERVAL_SECONDS / 2)
    assert starts.at == [100.0, 101.0]
    await time.advance(10 * INTERVAL_SECONDS)
    assert starts.at == [100.0, 101.0]


async def test_nothing_follows_what_came_before_the_start_began(
    deliveries: Deliveries, starts: Starts, time: Time
) -> None:
    for _ in range(5):
        deliveries.wake()
    await settled()
    await time.advance(5)
    assert starts.at == [100.0]


async def test_later_ones_start_at_once_again(
    deliveries: Deliveries, starts: Starts, time: Time
) -> None:
    deliveries.wake()
    await settled()
    await time.advance(INTERVAL_SECONDS)
    deliveries.wake()
    await settled()
    assert starts.at == [100.0, 101.0]


async def test_one_is_under_way_at_a_time_and_what_came_meanwhile_is_covered(
    deliveries: Deliveries, starts: Starts, time: Time
) -> None:
    starts.gate.clear()
    deliveries.wake()
    await settled()
    await time.advance(60)
    deliveries.wake()
    await settled()
    assert starts.under_way == 1
    starts.gate.set()
    await settled()
    assert len(starts.at) == 2
    assert starts.most_under_way == 1


async def test_failures_are_counted_and_told_once_in_a_row(
    deliveries: Deliveries, starts: Starts, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "remit.api.deliveries")
    starts.fails = True
    for _ in range(3):
        deliveries.wake()
        await settled()
        await time.advance(INTERVAL_SECONDS)
    assert deliveries.failures == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the scheduler's database is down" in caplog.text
    starts.fails = False
    deliveries.wake()
    await settled()
    starts.fails = True
    await time.advance(INTERVAL_SECONDS)
    deliveries.wake()
    await settled()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING"]
    assert deliveries.failures == 4


async def test_a_process_that_stops_makes_the_start_that_is_wanted(
    deliveries: Deliveries, starts: Starts
) -> None:
    deliveries.wake()
    await settled()
    deliveries.wake()
    await settled()
    await deliveries.close()
    assert starts.at == [100.0, 100.0]


async def test_a_process_that_stops_with_nothing_to_start_starts_nothing(
    deliveries: Deliveries, starts: Starts
) -> None:
    await deliveries.close()
    deliveries.wake()
    await settled()
    await deliveries.close()
    assert starts.at == [100.0]


async def test_a_process_that_stops_does_not_wait_for_ever(
    deliveries: Deliveries,
    starts: Starts,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("remit.api.deliveries.LAST_SECONDS", 0.01)
    starts.gate.clear()
    deliveries.wake()
    await settled()
    await deliveries.close()
    assert "waits for the run of the next minute" in caplog.text
    starts.gate.set()
    await settled()
