from __future__ import annotations

import threading

import anyio
import pytest

from remit.api.health import KEPT_SECONDS, Readiness
from remit.errors import StoreUnavailable


class Part:
    """A part of the service: counts how often it is asked, and fails as told."""

    def __init__(self) -> None:
        self.asked = 0
        self.down = False

    def __call__(self) -> None:
        self.asked += 1
        if self.down:
            raise StoreUnavailable("down")


class Seconds:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_each_part_says_how_it_is() -> None:
    store, dag = Part(), Part()
    dag.down = True
    readiness = Readiness({"store": store, "dag": dag}, Seconds())
    assert await readiness.look() == {"store": "ok", "dag": "failing"}


async def test_what_was_found_is_good_for_a_few_seconds() -> None:
    store, now = Part(), Seconds()
    readiness = Readiness({"store": store}, now)
    await readiness.look()
    store.down = True
    now.now += KEPT_SECONDS - 0.1
    assert (await readiness.look(), store.asked) == ({"store": "ok"}, 1)
    now.now += 0.2
    assert (await readiness.look(), store.asked) == ({"store": "failing"}, 2)


async def test_many_who_ask_at_once_make_one_look() -> None:
    store = Part()
    readiness = Readiness({"store": store}, Seconds())
    async with anyio.create_task_group() as tasks:
        for _ in range(200):
            tasks.start_soon(readiness.look)
    assert store.asked == 1


async def test_a_part_that_hangs_is_failing_and_holds_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("remit.api.health.CHECK_SECONDS", 0.05)
    release, now, asked = threading.Event(), Seconds(), []

    def hangs() -> None:
        asked.append("")
        release.wait(60)

    readiness = Readiness({"hangs": hangs, "store": Part()}, now)
    try:
        for _ in range(6):
            assert await readiness.look() == {"hangs": "failing", "store": "ok"}
            now.now += KEPT_SECONDS + 1
        assert len(asked) == 1  # one thread hangs, not one for each look
    finally:
        release.set()
    monkeypatch.setattr("remit.api.health.CHECK_SECONDS", 10)
    for _ in range(1000):  # until the one that hung has ended
        if (await readiness.look())["hangs"] == "ok":
            break
        now.now += KEPT_SECONDS + 1
        await anyio.sleep(0.01)
    assert await readiness.look() == {"hangs": "ok", "store": "ok"}


async def test_a_bug_in_a_check_is_a_failing_part() -> None:
    def bug() -> None:
        raise RuntimeError("not foreseen")

    assert await Readiness({"x": bug}, Seconds()).look() == {"x": "failing"}
