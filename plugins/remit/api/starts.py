"""Starting the runs of what was stored, on threads of their own and on nobody's time.

A slow Airflow must not hold up those who ask for something else, and those who ask for an export
only for a moment. So a start has one of a few threads, and whoever asked waits a little; then it
goes on by itself. Where too many go on, no more are begun: what they were for is stored, and the
poller finds it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from anyio import CapacityLimiter, to_thread

log = logging.getLogger(__name__)

THREADS = 4
"""Starts at a time, as many as `remit.triggers.transport` makes: more are no faster."""

MOST = 128
"""Starts that are under way or wait for a thread."""

WAIT_SECONDS = 2.0
"""So long whoever asked waits for a start."""

LAST_SECONDS = 5.0
"""So long a process that stops waits for all of them."""


class Starts:
    """For one process and its event loop."""

    def __init__(self) -> None:
        self._threads = CapacityLimiter(THREADS)
        self._under_way: set[asyncio.Task[None]] = set()

    async def start(self, work: Callable[[], None]) -> bool:
        """Begin a start, which raises nothing, and wait a moment for its end; False: it was not
        begun, for too many are under way."""
        if len(self._under_way) >= MOST:
            return False
        task = asyncio.get_running_loop().create_task(self._run(work))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.wait({task}, timeout=WAIT_SECONDS)
        return True

    async def close(self) -> None:
        """Wait for those that are under way, but not for ever."""
        if not self._under_way:
            return
        _, late = await asyncio.wait({*self._under_way}, timeout=LAST_SECONDS)
        if late:
            log.warning("%d starts are left to the poller", len(late))

    async def _run(self, work: Callable[[], None]) -> None:
        # Cancelled only when the event loop ends, which does not wait for Airflow.
        await to_thread.run_sync(work, limiter=self._threads, abandon_on_cancel=True)
