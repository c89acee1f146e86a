from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from remit.errors import LeaseLost, StoreUnavailable
from remit.exports.heartbeat import Heartbeat
from remit.queue import Claim, DueQueue
from remit.services import Services
from tests.support.clock import ManualClock
from tests.support.exports import export_job

LEASE = timedelta(seconds=60)


class CountedQueue(DueQueue):
    """Counts the beats, so that a test waits for them and for no time."""

    def __init__(self, queue: DueQueue) -> None:
        super().__init__(queue.table, queue.now)
        self.beats = threading.Semaphore(0)
        self.fault: Exception | None = None

    def extend(self, claim: Claim, lease: timedelta, set: Any = None) -> Any:
        try:
            if self.fault is not None:
                raise self.fault
            return super().extend(claim, lease, set)
        finally:
            self.beats.release()

    def wait(self, beats: int = 2) -> None:
        for _ in range(beats):
            assert self.beats.acquire(timeout=10)


@pytest.fixture
def queue(services: Services) -> CountedQueue:
    return CountedQueue(services.export_queue)


@pytest.fixture
def claim(services: Services, queue: CountedQueue) -> Claim:
    from remit.exports.store import IF_FREE_OR_MINE, ExportStore

    store = ExportStore(queue, services.settings, services.clock)
    store.create(export_job())
    claim = store.claim("export-1", "run", IF_FREE_OR_MINE)
    assert claim is not None
    return claim


def test_it_extends_the_lease_and_publishes_progress(
    queue: CountedQueue, claim: Claim, clock: ManualClock
) -> None:
    with Heartbeat(queue, claim, LEASE, interval=0.01) as heartbeat:
        heartbeat.report(progressRows=7)
        clock.advance(50)
        queue.wait()
        heartbeat.check()
    clock.advance(50)
    assert queue.due(10) == []
    assert (queue.table.get("export-1") or {})["progressRows"] == 7


def test_it_reports_a_lost_lease(queue: CountedQueue, claim: Claim, clock: ManualClock) -> None:
    clock.advance(61)
    queue.claim("export-1", LEASE)
    with Heartbeat(queue, claim, LEASE, interval=0.01) as heartbeat:
        queue.wait(1)
        heartbeat._thread.join(10)
        with pytest.raises(LeaseLost):
            heartbeat.check()


def test_a_beat_that_fails_in_passing_is_made_up_for(queue: CountedQueue, claim: Claim) -> None:
    queue.fault = StoreUnavailable("throttled")
    with Heartbeat(queue, claim, LEASE, interval=0.01) as heartbeat:
        queue.wait()
        queue.fault = None
        queue.wait()
        heartbeat.check()
