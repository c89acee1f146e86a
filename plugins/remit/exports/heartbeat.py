"""A sign of life while a file is rendered: the lease is extended and progress is published."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any

from remit.clock import format_instant
from remit.errors import LeaseLost, Transient
from remit.queue import Claim, DueQueue

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0


class Heartbeat:
    """Extends a claim from a thread of its own until the block ends.

    The worker reports progress with `report` and must call `check` between steps: it raises as
    soon as the claim is known to be lost.
    """

    def __init__(
        self, queue: DueQueue, claim: Claim, lease: timedelta, interval: float = INTERVAL_SECONDS
    ) -> None:
        self._queue = queue
        self._claim = claim
        self._lease = lease
        self._interval = min(interval, lease.total_seconds() / 3)
        self._progress: Mapping[str, Any] = {}
        self._lost: LeaseLost | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def report(self, **progress: Any) -> None:
        """Attributes to publish with the next beat."""
        self._progress = progress

    def check(self) -> None:
        """Raise `LeaseLost` if another worker has claimed the record."""
        if self._lost is not None:
            raise self._lost

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

    def _beat(self) -> None:
        while not self._over.wait(self._interval):
            now = format_instant(self._queue.now())
            try:
                self._queue.extend(self._claim, self._lease, {**self._progress, "updatedAt": now})
            except LeaseLost as lost:
                self._lost = lost
                return
            except Transient as error:
                log.warning("no heartbeat for %s this time: %s", self._claim.key, error)
            except Exception:
                # The lease may end, and then the work is lost: never silently.
                log.exception("no heartbeat for %s this time", self._claim.key)
