from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from remit.errors import TriggerUnavailable
from remit.triggers.coalescing import GAP_SECONDS, CoalescingTrigger
from tests.support.api import NotedRuns


class Gaps:
    """Gaps that last until a test ends them."""

    def __init__(self) -> None:
        self.lengths: list[float] = []
        self._begun = threading.Semaphore(0)
        self._over = threading.Semaphore(0)

    def wait(self, seconds: float) -> None:
        """What the trigger calls."""
        self.lengths.append(seconds)
        self._begun.release()
        assert self._over.acquire(timeout=5)

    def begun(self) -> None:
        """Wait until there is one: the update before it is done."""
        assert self._begun.acquire(timeout=5)

    def end(self) -> None:
        """Let one pass."""
        self._over.release()


def joined(trigger: CoalescingTrigger) -> None:
    """Wait until nothing is going on any more."""
    thread = trigger._thread
    if thread is not None:
        thread.join(5)
        assert not thread.is_alive()


def test_the_first_one_is_made_at_once_and_the_others_together_after_the_gap() -> None:
    runs, gaps = NotedRuns(), Gaps()
    trigger = CoalescingTrigger(runs, gaps.wait)
    trigger.wake_delivery()
    gaps.begun()
    assert runs.wakes == 1

    for _ in range(100):
        trigger.wake_delivery()
    assert runs.wakes == 1
    gaps.end()
    gaps.begun()
    assert runs.wakes == 2

    gaps.end()
    joined(trigger)
    assert runs.wakes == 2
    assert gaps.lengths == [GAP_SECONDS, GAP_SECONDS]


def test_after_a_quiet_gap_the_next_one_is_made_at_once_again() -> None:
    runs, gaps = NotedRuns(), Gaps()
    trigger = CoalescingTrigger(runs, gaps.wait)
    for made in (1, 2):
        trigger.wake_delivery()
        gaps.begun()
        assert runs.wakes == made
        gaps.end()
        joined(trigger)


def test_however_many_threads_ask_no_more_than_one_is_made_at_a_time() -> None:
    runs, gaps = NotedRuns(), Gaps()
    trigger = CoalescingTrigger(runs, gaps.wait)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: trigger.wake_delivery(), range(200)))
    gaps.begun()
    gaps.end()
    gaps.end()
    joined(trigger)
    assert 1 <= runs.wakes <= 2


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (TriggerUnavailable("Airflow is away"), "next minute's run: Airflow is away"),
        (KeyError("a bug"), "a bug"),
    ],
)
def test_whoever_asks_is_not_told_of_a_failure_and_the_next_one_is_made_all_the_same(
    error: Exception, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[Callable[[], None]] = []

    class Failing(NotedRuns):
        def wake_delivery(self) -> None:
            calls.append(self.wake_delivery)
            raise error

    trigger = CoalescingTrigger(Failing(), lambda _: None)
    for made in (1, 2):
        trigger.wake_delivery()
        joined(trigger)
        assert len(calls) == made
    assert logged in caplog.text


def test_starts_and_checks_are_the_others(caplog: pytest.LogCaptureFixture) -> None:
    runs = NotedRuns()
    trigger = CoalescingTrigger(runs)
    trigger.start("a-dag", "run-1", {"x": 1}, "note")
    trigger.check("a-dag")
    assert runs.started == [("a-dag", "run-1", {"x": 1})]
    runs.down = True
    with pytest.raises(TriggerUnavailable):
        trigger.start("a-dag", "run-2", {}, "note")
    with pytest.raises(TriggerUnavailable):
        trigger.check("a-dag")
