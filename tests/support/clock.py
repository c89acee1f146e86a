"""A clock that moves when a test says so."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class ManualClock:
    """Returns the same instant until it is advanced."""

    def __init__(self, now: datetime = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on by so many seconds."""
        self.now += timedelta(seconds=seconds)


class PutForwardClock(ManualClock):
    """The clock on the wall, but for what it is put forward: a lane's speed is told by a clock that
    runs, and nobody has to wait for what is due in a minute."""

    def __init__(self) -> None:
        super().__init__(datetime.now(UTC))
        self._started = time.monotonic()

    def __call__(self) -> datetime:
        return self.now + timedelta(seconds=time.monotonic() - self._started)
