from __future__ import annotations

import asyncio

import pytest

from remit.deadlines import Deadlines

LONG = 60.0
SHORT = 0.01


async def never() -> None:
    await asyncio.Event().wait()


async def soon() -> str:
    await asyncio.sleep(0)
    return "done"


async def test_what_ends_in_time_has_its_result() -> None:
    deadlines = Deadlines(LONG)
    assert await asyncio.gather(*(deadlines.run(soon()) for _ in range(3))) == ["done"] * 3


async def test_what_takes_too_long_is_a_time_out_and_canceled() -> None:
    canceled = 0

    async def work() -> None:
        nonlocal canceled
        try:
            await never()
        except asyncio.CancelledError:
            canceled += 1
            raise

    deadlines = Deadlines(SHORT)
    done = await asyncio.gather(
        *(deadlines.run(work()) for _ in range(3)), deadlines.run(soon()), return_exceptions=True
    )
    assert [type(one) for one in done] == [TimeoutError] * 3 + [str]
    assert canceled == 3


async def test_each_has_its_own_time() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(0.05)
    begun, ended = list[float](), list[float]()

    async def one(wait: float) -> None:
        await asyncio.sleep(wait)
        begun.append(loop.time())
        with pytest.raises(TimeoutError):
            await deadlines.run(never())
        ended.append(loop.time())

    await asyncio.gather(*(one(n * 0.03) for n in range(4)))
    assert all(end - begin >= 0.05 for begin, end in zip(begun, ended, strict=True))


async def test_a_task_goes_on_after_a_time_out() -> None:
    deadlines = Deadlines(SHORT)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await deadlines.run(never())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert await deadlines.run(soon()) == "done"


async def test_a_task_that_someone_else_cancels_is_canceled() -> None:
    task = asyncio.create_task(Deadlines(LONG).run(never()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_someone_else_cancels_at_the_same_time_is_canceled() -> None:
    deadlines = Deadlines(SHORT)
    task = asyncio.create_task(deadlines.run(never()))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(SHORT, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_work_is_its_own() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Deadlines(LONG).run(work())
