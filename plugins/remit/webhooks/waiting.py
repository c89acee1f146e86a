"""How many webhooks of a merchant wait for delivery, and the limit beyond which no more are taken.

A webhook in the queue carries `waitingFor`; the sparse index `gsi-waiting` then holds exactly what
waits. It is counted there, by keys alone: some 17,000 of them are a page of a megabyte. An event
that was written alone carries it too, until its webhooks are made: before that nobody knows how
many they will be, so it counts as one. What was counted is believed for a while, the longer the
more there was, and this process adds what it has published since. So the limit is a soft one:
several publishers may pass it by what they publish within that while, and events that were written
alone by what is more than one webhook of each.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from remit.errors import QueueFull
from remit.services import Services

INDEX = "gsi-waiting"

_FRESH = timedelta(seconds=1)
_COUNTED_PER_SECOND = 10_000
"""A count is believed for a second, and for another one per so many webhooks that it found: the
longest queue is read the seldomest."""

_MOST_KNOWN = 10_000
"""Merchants that are remembered."""


@dataclass
class _Count:
    """What was counted, until when that is believed, and what was published since."""

    counted: int
    at: datetime
    until: datetime
    added: int = 0

    @property
    def waiting(self) -> int:
        return self.counted + self.added


class WaitingGauge:
    """The lengths of merchants' queues as one process knows them. Safe in any thread."""

    def __init__(self, services: Services, limit: int | None = None) -> None:
        self._tables = (services.tables.webhooks, services.tables.events)
        self._clock = services.clock
        self._limit = limit or services.settings.webhook_queue_limit
        self._counts: dict[str, _Count] = {}
        self._lock = threading.Lock()

    def check(self, merchant_id: str, more: int) -> None:
        """Let so many more webhooks of a merchant pass.

        Raises:
            QueueFull: they would go beyond the limit.
            StoreUnavailable: they could not be counted.
        """
        if not more:
            return
        count = self._fresh(merchant_id) or self._count(merchant_id)
        if count.waiting + more > self._limit:
            raise QueueFull(
                merchant_id,
                limit=self._limit,
                count=count.waiting,
                more=more,
                retry_after=max(count.until - self._clock(), _FRESH),
            )

    def added(self, merchant_id: str, webhooks: int) -> None:
        """Say that so many webhooks of a merchant were put into the queue since `check`."""
        with self._lock:
            if (count := self._counts.get(merchant_id)) is not None:
                count.added += webhooks

    def _fresh(self, merchant_id: str) -> _Count | None:
        with self._lock:
            count = self._counts.get(merchant_id)
        # A clock that was set back makes nothing fresh for longer than it was to be.
        return count if count and count.at <= self._clock() < count.until else None

    def _count(self, merchant_id: str) -> _Count:
        counted = 0
        for table in self._tables:
            counted += table.count(
                "#waitingFor = :merchant",
                {"merchant": merchant_id},
                index=INDEX,
                most=self._limit - counted,
            )
        now = self._clock()
        believed = _FRESH + timedelta(seconds=counted / _COUNTED_PER_SECOND)
        count = _Count(counted, now, now + believed)
        with self._lock:
            if len(self._counts) >= _MOST_KNOWN:
                self._counts.clear()
            self._counts[merchant_id] = count
        return count
