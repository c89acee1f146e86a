from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Any

import pytest

from remit.errors import LeaseLost, StoreUnavailable
from remit.exports.heartbeat import INTERVAL_SECONDS, Heartbeat
from remit.exports.progress import SliceProgress
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
    with Heartbeat(queue, claim, LEASE, 3, interval=0.01) as heartbeat:
        heartbeat.report(rows=7, bytes=70, percent=33.9)
        clock.advance(50)
        queue.wait()
        heartbeat.check()
    clock.advance(50)
    assert queue.due(10) == []
    progress = (queue.table.get("export-1") or {})["progress"]
    assert progress == {"3": {"rows": 7, "bytes": 70, "percent": 33}}


def test_the_log_tells_progress_when_there_is_some(
    queue: CountedQueue, claim: Claim, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "remit.exports.heartbeat")
    with Heartbeat(queue, claim, LEASE, 3, interval=0.01) as heartbeat:
        queue.wait()
        heartbeat.report(rows=120_000, bytes=47_100_000, percent=38)
        queue.wait(4)
    told = [one.message for one in caplog.records if one.name == "remit.exports.heartbeat"]
    assert told == ["export export-1 slice 3: 120,000 rows, 47.1 MB, 38 %"]


def test_two_slices_beat_on_one_job_and_neither_overwrites_the_other(
    queue: CountedQueue, claim: Claim
) -> None:
    with (
        Heartbeat(queue, claim, LEASE, 0, interval=0.01) as one,
        Heartbeat(queue, claim, LEASE, 1, interval=0.01) as other,
    ):
        one.report(rows=1, bytes=10)
        other.report(rows=2, bytes=20)
        queue.wait(6)
    progress = (queue.table.get("export-1") or {})["progress"]
    assert {number: entry["rows"] for number, entry in progress.items()} == {"0": 1, "1": 2}


def test_a_percentage_is_a_whole_number_that_is_never_out_of_range(
    queue: CountedQueue, claim: Claim
) -> None:
    heartbeat = Heartbeat(queue, claim, LEASE)
    for percent, told in {-3: 0, 99.99: 99, 250.0: 100}.items():
        heartbeat.report(rows=1, bytes=1, percent=percent)
        assert heartbeat._progress == SliceProgress(1, 1, told)


def test_progress_is_never_older_than_two_seconds() -> None:
    assert INTERVAL_SECONDS <= 1.5


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


@pytest.mark.parametrize("fault", [StoreUnavailable("throttled"), RuntimeError("not foreseen")])
def test_a_store_out_of_reach_for_as_long_as_the_lease_is_a_lost_lease(
    queue: CountedQueue, claim: Claim, clock: ManualClock, fault: Exception
) -> None:
    queue.fault = fault
    with Heartbeat(queue, claim, LEASE, interval=0.01) as heartbeat:
        clock.advance(59)
        queue.wait()
        heartbeat.check()
        clock.advance(1)
        with pytest.raises(LeaseLost, match="no heartbeat for export-1"):
            heartbeat.check()


def test_a_beat_that_hangs_for_as_long_as_the_lease_is_a_lost_lease(
    queue: CountedQueue, claim: Claim, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, over = threading.Event(), threading.Event()

    def hang(*_: Any) -> None:
        begun.set()
        over.wait(10)

    monkeypatch.setattr(queue, "extend", hang)
    with Heartbeat(queue, claim, LEASE, interval=0.01) as heartbeat:
        assert begun.wait(10)
        clock.advance(60)
        with pytest.raises(LeaseLost):
            heartbeat.check()
        over.set()


def test_a_lease_that_nobody_took_meanwhile_is_held_again(
    queue: CountedQueue, claim: Claim, clock: ManualClock
) -> None:
    queue.fault = StoreUnavailable("throttled")
    with Heartbeat(queue, claim, LEASE, interval=0.01) as heartbeat:
        queue.wait()
        clock.advance(61)
        queue.fault = None
        queue.wait(3)
        heartbeat.check()
