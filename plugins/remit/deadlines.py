"""One time limit for many pieces of work at once.

`asyncio.timeout` sets a timer for each. Here all have the same length of time, so that they end in
the order in which they began, and one timer looks after all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Running:
    """A piece of work under way."""

    __slots__ = ("cancelings", "ended", "late", "until", "worker")

    def __init__(self, until: float) -> None:
        worker = asyncio.current_task()
        if worker is None:
            raise RuntimeError("only what a task does can be canceled")
        self.worker: asyncio.Task[Any] = worker
        self.until = until
        self.cancelings = worker.cancelling()
        self.late = self.ended = False


class Deadlines:
    """Gives each piece of work so many seconds. Belongs to one event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: deque[_Running] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work.

        Raises:
            TimeoutError: it took too long, and was canceled.
        """
        loop = asyncio.get_running_loop()
        running = _Running(loop.time() + self._seconds)
        self._running.append(running)
        if self._timer is None:
            self._timer = loop.call_at(running.until, self._look)
        try:
            return await work
        except asyncio.CancelledError as error:
            # Whoever else canceled the task comes first, as with `asyncio.timeout`.
            if running.late and running.worker.uncancel() <= running.cancelings:
                raise TimeoutError from error
            raise
        finally:
            running.ended = True
            while self._running and self._running[0].ended:
                self._running.popleft()

    def _look(self) -> None:
        """Cancel what is late, and look again when the next one would be."""
        loop = asyncio.get_running_loop()
        now, running = loop.time(), self._running
        while running and running[0].until <= now:
            one = running.popleft()
            if not one.ended:
                one.late = True
                one.worker.cancel()
        self._timer = loop.call_at(running[0].until, self._look) if running else None
