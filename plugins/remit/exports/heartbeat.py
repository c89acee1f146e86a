"""A sign of life while a file is rendered: the lease is extended and progress is published."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import Any

from remit.clock import format_instant
from remit.errors import LeaseLost, Transient
from remit.exports.progress import SliceProgress
from remit.queue import Claim, DueQueue

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.5
"""From beat to beat: progress is at most 2 seconds old, what a write takes included."""


class Heartbeat:
    """Extends a claim from a thread of its own until the block ends.

    The worker tells how far its slice is with `report`, which the log and the job then show, and
    must call `check` between steps: it raises as soon as the claim is known, or has to be feared,
    to be lost. A job that is canceled has lost its claim.
    """

    def __init__(
        self,
        queue: DueQueue,
        claim: Claim,
        lease: timedelta,
        slice: int = 0,  # noqa: A002 - what it is called everywhere
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        self._queue = queue
        self._claim = claim
        self._lease = lease
        self._slice = slice
        self._interval = min(interval, lease.total_seconds() / 3)
        self._progress: SliceProgress | None = None
        self._logged: SliceProgress | None = None
        self._lost: LeaseLost | None = None
        self._lease_ends = queue.now() + lease
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def report(self, rows: int, bytes: int, percent: float = 0) -> None:  # noqa: A002 - its word
        """What is rendered of the slice by now, to be told with the next beat. `percent` may be an
        estimate: it is cut off to a whole number from 0 to 100."""
        self._progress = SliceProgress(rows, bytes, min(max(int(percent), 0), 100))

    def check(self) -> None:
        """Raise `LeaseLost` if another worker has claimed the record, if the claim was canceled, or
        if no beat has reached the store for as long as the lease: another may have it by now."""
        if self._lost is not None:
            raise self._lost
        if self._queue.now() >= self._lease_ends:
            raise LeaseLost(f"no heartbeat for {self._claim.key} in {self._lease}: it may be lost")

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic() + self._interval
        while not self._over.wait(due - time.monotonic()):
            due = time.monotonic() + self._interval
            try:
                self._beat()
            except LeaseLost as lost:
                self._lost = lost
                return
            except Transient as error:
                log.warning("no heartbeat for %s this time: %s", self._claim.key, error)
            except Exception:
                # The lease may end, and then the work is lost: never silently.
                log.exception("no heartbeat for %s this time", self._claim.key)

    def _beat(self) -> None:
        now, progress = self._queue.now(), self._progress
        changes: dict[str, Any] = {"updatedAt": format_instant(now)}
        if progress is not None:
            changes |= progress.entry(self._slice)
            self._log(progress)
        self._queue.extend(self._claim, self._lease, changes)
        self._lease_ends = now + self._lease

    def _log(self, progress: SliceProgress) -> None:
        if progress != self._logged:
            log.info("export %s slice %d: %s", self._claim.key, self._slice, progress)
            self._logged = progress
