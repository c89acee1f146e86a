from __future__ import annotations

import pytest

from remit.errors import TriggerUnavailable
from remit.triggers.counted import CountedTrigger
from tests.support.api import NotedRuns


class NotedMetrics:
    def __init__(self) -> None:
        self.counts: list[tuple[str, dict[str, str]]] = []

    def count(self, name: str, **tags: str) -> None:
        self.counts.append((name, tags))

    def timing(self, name: str, seconds: float, **tags: str) -> None:
        raise AssertionError(name)


def test_what_could_not_be_started_is_counted_by_its_dag() -> None:
    runs, metrics = NotedRuns(), NotedMetrics()
    trigger = CountedTrigger(runs, metrics)
    trigger.start("export_payments", "run-1", {}, "note")
    trigger.wake_delivery()
    assert metrics.counts == []

    runs.down = True
    with pytest.raises(TriggerUnavailable):
        trigger.start("export_payments", "run-2", {}, "note")
    with pytest.raises(TriggerUnavailable):
        trigger.wake_delivery()
    with pytest.raises(TriggerUnavailable):
        trigger.check("export_payments")
    name = "remit.hook.trigger_failed"
    assert metrics.counts == [
        (name, {"dag": "export_payments"}),
        (name, {"dag": "deliver_webhooks"}),
    ]


def test_a_bug_is_counted_too() -> None:
    class Broken(NotedRuns):
        def start(self, *arguments: object) -> None:
            raise KeyError

    metrics = NotedMetrics()
    with pytest.raises(KeyError):
        CountedTrigger(Broken(), metrics).start("export_payments", "run-1", {}, "note")
    assert metrics.counts == [("remit.hook.trigger_failed", {"dag": "export_payments"})]
