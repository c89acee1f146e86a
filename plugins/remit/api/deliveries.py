"""Deliveries start as soon as there is something to deliver, on nobody's time.

Thousands of events a second may be published, and each start is a write to Airflow's database. So
starts that come close together are one: at most one is under way, and at most one begins in an
interval. What was stored after the last one began is covered by one more. Whoever publishes does
not wait, and is not told of a failure: the run of the next minute finds what was stored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
"""From the beginning of a start to that of the next one, at the least."""

LAST_SECONDS = 5.0
"""So long a process that stops waits for the last one."""

Run = Callable[[Callable[[], None]], Awaitable[None]]
"""Does blocking work on a thread."""


class Deliveries:
    """For one process and its event loop. `start` blocks; `sleep`, `monotonic` are in seconds."""

    def __init__(
        self,
        start: Callable[[], None],
        run: Run,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = start
        self._run = run
        self._sleep = sleep
        self._monotonic = monotonic
        self._wanted = False
        self._task: asyncio.Task[None] | None = None
        self._pause: asyncio.Task[None] | None = None
        self._not_before = monotonic()
        self._stopping = False
        self._fails = False
        self.failures = 0
        """Starts that failed, since the process began."""

    def wake(self) -> None:
        """Have what is stored by now delivered. Returns at once; for the event loop."""
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._serve())

    async def close(self) -> None:
        """Make the start that is still wanted, without waiting for its turn."""
        self._stopping = True
        if self._pause is not None:
            self._pause.cancel()
        if self._task is None or self._task.done():
            return
        done, _ = await asyncio.wait({self._task}, timeout=LAST_SECONDS)
        if not done:
            log.warning("what was stored last waits for the run of the next minute")

    async def _serve(self) -> None:
        while self._wanted:
            await self._turn()
            self._wanted = False
            self._not_before = self._monotonic() + INTERVAL_SECONDS
            await self._start_one()

    async def _turn(self) -> None:
        """Wait until another start may begin, or the process stops."""
        wait = self._not_before - self._monotonic()
        if wait <= 0 or self._stopping:
            return
        self._pause = asyncio.ensure_future(self._sleep(wait))
        await asyncio.wait({self._pause})
        self._pause = None

    async def _start_one(self) -> None:
        try:
            await self._run(self._start)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody waits for it
            self.failures += 1
            if not self._fails:
                # The first of a row: while Airflow is down, each event would leave a line.
                log.warning("webhooks wait for the run of the next minute: %s", error)
            self._fails = True
        else:
            if self._fails:
                log.info("deliveries start at once again")
            self._fails = False
