from __future__ import annotations

import asyncio
from math import inf

import pytest

from remit.webhooks import workers
from remit.webhooks.workers import AT_ONCE, Workers


def test_everything_is_worked_on_once_and_a_few_tasks_are_enough() -> None:
    async def main() -> tuple[list[int], int]:
        done: list[int] = []
        tasks: set[object] = set()

        async def work(item: int) -> None:
            tasks.add(asyncio.current_task())
            await asyncio.sleep(0)
            done.append(item)

        pool = Workers(work)
        for item in range(1000):
            pool.put(item)
        await pool.finish(lambda: inf)
        return done, len(tasks)

    done, tasks = asyncio.run(main())
    assert sorted(done) == list(range(1000))
    assert tasks <= AT_ONCE


def test_those_that_hang_keep_nobody_from_being_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SLOW_SECONDS", 0.001)
    monkeypatch.setattr(workers, "_LOOK_SECONDS", 0.001)

    async def main() -> None:
        hangs, done = asyncio.Event(), asyncio.Event()

        async def work(item: int) -> None:
            if item < 5 * AT_ONCE:
                await hangs.wait()
            else:
                done.set()

        pool = Workers(work)
        for item in range(5 * AT_ONCE + 1):
            pool.put(item)
        await asyncio.wait_for(done.wait(), 10)
        hangs.set()
        await pool.finish(lambda: inf)

    asyncio.run(main())


def test_what_outlasts_its_seconds_is_broken_off_and_what_waits_can_be_taken_out() -> None:
    async def main() -> tuple[int, int]:
        broken_off = 0

        async def work(_: int) -> None:
            nonlocal broken_off
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                broken_off += 1
                raise

        pool = Workers(work)
        for item in range(AT_ONCE + 3):
            pool.put(item)
        await asyncio.sleep(0)
        waiting = pool.take_waiting()
        left = iter([0.01, 0.001])
        await pool.finish(lambda: next(left, 0))
        return len(waiting), broken_off

    assert asyncio.run(main()) == (3, AT_ONCE)
