"""Stopping in good order: SIGTERM sets a flag that loops look at and waits listen to."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any

from remit.errors import Interrupted

CHECK_SECONDS = 0.5
"""How often whoever waits looks whether to go on: a lost claim, a cancel and a stop are noticed
within this, wherever the work is."""

LOOK_SECONDS = 0.05
"""How often an event loop looks at a `Stop`: a signal handler sets it, and cannot wake the loop."""


class Stop:
    """Whether this process was asked to stop, and a way to wait that such a request ends.

    `grace` is the time that work in flight has left from the request on.
    """

    def __init__(
        self, grace: timedelta = timedelta(), monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._event = threading.Event()
        self._grace = grace.total_seconds()
        self._monotonic = monotonic
        self._deadline = float("inf")

    def request(self) -> None:
        """Ask for the stop; safe in a signal handler and from any thread."""
        if not self._event.is_set():
            self._deadline = self._monotonic() + self._grace
            self._event.set()

    @property
    def requested(self) -> bool:
        """True from the moment the stop was asked for: claim nothing any more."""
        return self._event.is_set()

    def left(self) -> float:
        """Seconds that are left of the grace period: no end of them before the request."""
        return max(0.0, self._deadline - self._monotonic())

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until the stop is requested. Returns `requested`."""
        return self._event.wait(seconds)

    def check(self) -> None:
        """Raise `Interrupted` if the stop was requested and the grace period is over."""
        if self._monotonic() >= self._deadline:
            raise Interrupted("asked to stop, and the grace period is over")


async def done_or_stopped(work: asyncio.Task[Any], stop: Stop) -> None:
    """Wait until a task is done or the stop is requested."""
    while not (work.done() or stop.requested):
        await asyncio.wait({work}, timeout=LOOK_SECONDS)


@contextmanager
def stop_on_sigterm(grace: timedelta = timedelta()) -> Iterator[Stop]:
    """Turn SIGTERM into a `Stop` for the length of the block. Main thread only.

    Airflow's task runner calls `on_kill` on SIGTERM and goes on running the task; five seconds
    later the supervisor sends SIGKILL. The flag gives the task those seconds.
    """
    stop = Stop(grace)
    previous = signal.getsignal(signal.SIGTERM)

    def handle(signum: int, frame: FrameType | None) -> None:
        stop.request()
        if callable(previous):
            previous(signum, frame)

    signal.signal(signal.SIGTERM, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, previous)
