"""No merchant holds all threads."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from remit.api.backend import THREADS, Backend
from remit.api.fairness import EACH, MERCHANT, Fairness
from remit.errors import ConfigurationError
from remit.services import Services
from tests.support.api import NotedRuns


def _no_services() -> Services:
    raise ConfigurationError("not needed here")


async def _as(merchant: str | None, backend: Backend, work: object) -> None:
    MERCHANT.set(merchant)
    await backend.run(work)  # type: ignore[arg-type]


async def test_a_merchant_holds_some_threads_and_leaves_the_others() -> None:
    backend, lock = Backend(_no_services, NotedRuns()), threading.Lock()
    release, all_places = threading.Event(), threading.Event()
    working: Counter[str] = Counter()

    def work() -> None:
        with lock:
            working[str(MERCHANT.get())] += 1
            if working["merchant-1"] == EACH:
                all_places.set()
        release.wait(60)

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(2 * THREADS):
                tasks.create_task(_as("merchant-1", backend, work))
            async with asyncio.timeout(10):
                await asyncio.to_thread(all_places.wait, 10)
                # All others are served as if it was not there.
                await asyncio.gather(*(_as("merchant-2", backend, int) for _ in range(EACH)))
                await _as(None, backend, int)
            assert working == {"merchant-1": EACH}
            release.set()
    finally:
        release.set()
    assert working == {"merchant-1": 2 * THREADS}


async def test_only_merchants_with_work_under_way_are_remembered() -> None:
    fairness = Fairness()
    for number in range(100):
        MERCHANT.set(f"merchant-{number}")
        async with fairness.place(), fairness.place():
            assert len(fairness) == 1
    assert len(fairness) == 0


async def test_a_place_is_free_again_after_an_error_and_after_who_waited_went_away() -> None:
    fairness = Fairness(each=1)
    MERCHANT.set("merchant-1")

    async def hold(until: asyncio.Event) -> None:
        async with fairness.place():
            await until.wait()
            raise KeyError

    until = asyncio.Event()
    first = asyncio.create_task(hold(until))
    await asyncio.sleep(0)
    waits = asyncio.create_task(hold(until))
    await asyncio.sleep(0)
    waits.cancel()
    until.set()
    with pytest.raises(KeyError):
        await first
    with pytest.raises(asyncio.CancelledError):
        await waits
    assert len(fairness) == 0
