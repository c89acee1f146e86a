"""The tasks that send: a few are enough for endpoints that answer, and more come as some hang.

Many requests at once make none of them faster, and each dearer. So only so many are under way; but
one that has taken longer than a moment does not count, since it only waits, and must keep nobody
else from being sent.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

AT_ONCE = 64
"""Tasks, beside those that have taken longer than `SLOW_SECONDS`."""

SLOW_SECONDS = 0.02

_LOOK_SECONDS = 0.02


class Workers(Generic[T]):
    """Works on items in the order in which they are given. Belongs to one event loop."""

    def __init__(self, work: Callable[[T], Awaitable[None]]) -> None:
        self._work = work
        self._items: deque[T] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._begun: dict[int, float] = {}
        self._slow = 0
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._numbers = itertools.count()
        self._look: asyncio.TimerHandle | None = None

    def put(self, item: T) -> None:
        """Work on an item as soon as a task is free."""
        self._items.append(item)
        while self._idle:
            waiting = self._idle.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return
        self._start_if_there_is_room()

    def take_waiting(self) -> list[T]:
        """Take out what no task has begun."""
        waiting = list(self._items)
        self._items.clear()
        return waiting

    async def finish(self, left: Callable[[], float]) -> None:
        """Wait until everything is done, or no seconds are left; then end all tasks. What they work
        on by then is broken off."""
        # The tasks go on with the next item by themselves: look every moment.
        while self._items or self._begun:
            if (seconds := left()) <= 0:
                break
            await asyncio.sleep(min(_LOOK_SECONDS, seconds))
        if self._look is not None:
            self._look.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start_if_there_is_room(self) -> None:
        if len(self._tasks) - self._slow >= AT_ONCE:
            if self._look is None:
                self._look_later()
            return
        number = next(self._numbers)
        task = asyncio.get_running_loop().create_task(self._run(number))
        self._tasks[number] = task
        task.add_done_callback(lambda _: self._tasks.pop(number))

    def _look_later(self) -> None:
        self._look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._find_slow_ones)

    def _find_slow_ones(self) -> None:
        """Start others in the place of those that have become slow, as long as items wait."""
        self._look = None
        latest = asyncio.get_running_loop().time() - SLOW_SECONDS
        self._slow = sum(begun < latest for begun in self._begun.values())
        for _ in range(len(self._items)):
            if len(self._tasks) - self._slow >= AT_ONCE:
                break
            self._start_if_there_is_room()
        if self._items:
            self._look_later()

    async def _run(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._items:
                waiting = loop.create_future()
                self._idle.append(waiting)
                await waiting
            begun = self._begun[number] = loop.time()
            try:
                await self._work(self._items.popleft())
            finally:
                del self._begun[number]
                if self._slow and loop.time() - begun > SLOW_SECONDS:
                    self._slow -= 1
            if len(self._tasks) - self._slow > AT_ONCE:
                # One too many, now that it is fast again. The others may become slow.
                if self._items and self._look is None:
                    self._look_later()
                return
