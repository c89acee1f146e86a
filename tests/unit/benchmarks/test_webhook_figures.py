"""What the runs of the webhook benchmark come to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.figures import BenchmarkFailed, Figure
from benchmarks.webhooks import (
    capacity,
    first_attempts,
    isolation,
    mapped,
    memory,
    results,
    throughput,
)
from benchmarks.webhooks.capacity import Costs
from benchmarks.webhooks.dataset import Due, paced
from benchmarks.webhooks.first_attempts import Samples
from benchmarks.webhooks.inbox import Arrival
from benchmarks.webhooks.isolation import Latencies
from benchmarks.webhooks.mapped import Took
from benchmarks.webhooks.measuring import Measured, peak_rss_bytes
from benchmarks.webhooks.metering import Consumed
from benchmarks.webhooks.outcome import Outcome
from benchmarks.webhooks.plan import Plan
from benchmarks.webhooks.throughput import BARE, OURS, PEER

PLAN = Plan()
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def run(delivered: int, cpu: float, wall: float = 1.0, rss: float = 100e6) -> Measured:
    return Measured({"delivered": delivered}, wall, cpu, int(rss), "settings", {"aiohttp": "3"})


def peaks_of(*rss: float) -> list[Measured]:
    return [run(1, 1, rss=one) for one in rss]


def missed(figures: dict[str, Figure]) -> set[str]:
    return {name for name, figure in figures.items() if not figure.ok}


def all_figures() -> dict[str, Figure]:
    """Figures that are just within every bar."""
    runs = {OURS: [run(600, 1.0)], PEER: [run(100, 1.0)], BARE: [run(1200, 1.0)]}
    latencies = [Latencies(0, (0.1,) * 200), Latencies(50, (0.12,) * 200)]
    peaks = dict(zip(memory.backlogs(PLAN), peaks_of(280e6, 300e6, 300e6), strict=True))
    small, large = costs(1024, 4), costs(256 * 1024, 4 + 2 * 255)
    samples = Samples([2.0] * 60, [3.0] * 60, [3.5] * 60, [4.2] * 60, 500, 600.0)
    return {
        **throughput.figures_of(runs),
        **isolation.figures_of(latencies),
        **memory.figures_of(peaks, PLAN),
        **capacity.figures_of(small, large),
        **capacity.figures_of(small, large, capacity.WRITTEN_ALONE),
        **first_attempts.figures_of(samples),
        **mapped.figures_of(Took([6.0, 9.0, 5.0], 180.0, 8), PLAN),
    }


def costs(payload_bytes: int, events: float, rest: float = 18) -> Costs:
    units = {("publish", "Events"): events, ("deliver, claim", "Webhooks"): rest}
    return Costs(payload_bytes, units)


def test_every_bar_is_there_and_met() -> None:
    judged = {name: one for name, one in all_figures().items() if one.bar is not None}
    assert not missed(judged)
    assert {name: (one.bar, one.at_least) for name, one in judged.items()} == {
        "deliveries per CPU-second, against requests + boto3": (6, True),
        "deliveries per CPU-second, against bare aiohttp": (0.5, True),
        "healthy endpoints' p99, half hanging against none": (1.2, False),
        "peak RSS with 100,000 due, MB": (300, False),
        "peak RSS with 100,000 due, against 10,000": (1.1, False),
        "peak RSS with 2,000 due of 256 KB each, MB": (300, False),
        "times that a payload of 256 KB is billed": (1, False),
        "event accepted to first attempt, p95, s": (3.0, False),
        "first attempts' p95, one endpoint failing against none": (1.2, False),
        "500 webhooks, times faster than a mapped HttpOperator each": (30, True),
    }


def test_what_has_no_bar_is_a_figure_all_the_same() -> None:
    figures = all_figures()
    assert figures["ours, deliveries per CPU-second"].value == 600
    assert figures["healthy endpoints' p99, half hanging, ms"].value == pytest.approx(120)
    assert figures["WCU per delivery, payload of 1 KB"].value == 22
    assert figures["WCU per delivery, payload of 256 KB"].value == 532
    assert figures["minutes for which the endpoint failed"].value == 10


def test_throughput_is_the_median_of_its_runs() -> None:
    runs = {
        OURS: [run(500, 1.0), run(700, 1.0), run(650, 1.0)],
        PEER: [run(100, 1.0), run(50, 1.0), run(500, 1.0)],
        BARE: [run(1300, 1.0), run(1301, 1.0), run(1, 1.0)],
    }
    figures = throughput.figures_of(runs)
    assert figures["deliveries per CPU-second, against requests + boto3"].value == 6.5
    assert figures["deliveries per CPU-second, against bare aiohttp"].value == 0.5
    runs[OURS] = [run(590, 1.0)]
    assert len(missed(throughput.figures_of(runs))) == 2


def test_throughput_is_reckoned_by_cpu_and_told_by_the_wall_clock_too() -> None:
    runs = {name: [run(100, 0.5, wall=2.0)] for name in (OURS, PEER, BARE)}
    figures = throughput.figures_of(runs)
    assert figures["ours, deliveries per CPU-second"].value == 200
    assert figures["ours, deliveries per second"].value == 50


def test_every_round_begins_with_another_subject() -> None:
    orders = [throughput.rotated(["a", "b", "c"], number) for number in range(4)]
    assert [order[0] for order in orders] == ["a", "b", "c", "a"]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)


def test_isolation_is_of_all_rounds_together() -> None:
    runs = [
        Latencies(0, (0.1,) * 100),
        Latencies(50, (0.1,) * 100),
        Latencies(50, (0.3,) * 100),
        Latencies(0, (0.1,) * 100),
    ]
    figures = isolation.figures_of(runs)
    assert figures["healthy endpoints' p99, half hanging against none"].value == pytest.approx(3)
    assert missed(figures) == {"healthy endpoints' p99, half hanging against none"}


def test_latency_is_from_the_instant_that_a_webhook_is_due_at() -> None:
    due = paced(NOW, 2.0, 2.0, 3, 1024)
    assert [one.at - NOW for one in due] == [timedelta(seconds=n / 2) for n in range(4)]
    late = [Arrival(one.id, one.path, one.at.timestamp() + 0.25, 1024) for one in due]
    assert isolation.latencies_of(late, due) == pytest.approx([0.25] * 4)


def test_a_webhook_that_arrives_before_it_is_due_makes_a_run_void() -> None:
    (one,) = paced(NOW, 1.0, 1.0, 1, 1024)
    early = Arrival(one.id, one.path, NOW.timestamp() - 0.5, 1024)
    with pytest.raises(BenchmarkFailed, match=r"0\.500 s before it was due"):
        isolation.latencies_of([early], [one])


def test_memory_must_be_small_and_flat() -> None:
    runs = zip(memory.backlogs(PLAN), peaks_of(200e6, 301e6, 302e6), strict=True)
    figures = memory.figures_of(dict(runs), PLAN)
    assert missed(figures) == set(figures)
    assert figures["peak RSS with 2,000 due of 256 KB each, MB"].value == 302


def test_the_most_memory_is_what_linux_says(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t 9999 kB\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n")
    assert peak_rss_bytes(status) == 2048 * 1024
    assert peak_rss_bytes(tmp_path / "nothing") > 1_000_000


def test_a_payload_that_is_billed_again_misses_its_bar() -> None:
    small, large = costs(1024, 4), costs(256 * 1024, 514, rest=18 + 257)
    figures = capacity.figures_of(small, large)
    assert figures["times that a payload of 256 KB is billed"].value == 1.5
    assert missed(figures) == {"times that a payload of 256 KB is billed"}


def test_what_is_written_alone_is_told_and_not_judged() -> None:
    small, large = costs(1024, 8), costs(256 * 1024, 8 + 4 * 255)
    figures = capacity.figures_of(small, large, capacity.WRITTEN_ALONE)
    assert not missed(figures)
    assert {name: one.value for name, one in figures.items()} == {
        "times that a payload of 256 KB is billed, event written alone": 2,
        "WCU per delivery, payload of 1 KB, event written alone": 26,
        "WCU per delivery, payload of 256 KB, event written alone": 1046,
    }


def test_units_are_told_per_delivery_by_step_and_place() -> None:
    publish = [Consumed("TransactWriteItems", Counter({"Events": 8.0, "Webhooks": 4.0}))]
    deliver = [
        Consumed("TransactWriteItems", Counter({"Webhooks": 4.0, "Webhooks/gsi-due": 4.0})),
        Consumed("TransactWriteItems", Counter({"Webhooks": 2.0, "WebhookAttempts": 2.0})),
        Consumed("TransactWriteItems", Counter({"Webhooks": 2.0, "WebhookAttempts": 2.0})),
        Consumed("UpdateItem", Counter({"WebhookEndpoints": 1.0})),
    ]
    units = capacity.per_delivery([("publish", publish), ("deliver", deliver)], 2)
    assert units == {
        ("publish", "Events"): 4,
        ("publish", "Webhooks"): 2,
        ("deliver, claim", "Webhooks"): 2,
        ("deliver, claim", "Webhooks/gsi-due"): 2,
        ("deliver, outcome", "Webhooks"): 2,
        ("deliver, outcome", "WebhookAttempts"): 2,
        ("deliver, health", "WebhookEndpoints"): 0.5,
    }


def test_the_arithmetic_shows_every_step_and_the_sums() -> None:
    lines = capacity.arithmetic(costs(1024, 4), costs(256 * 1024, 514))
    assert lines[1].split() == ["publish:", "Events", "4.00", "514.00"]
    assert lines[3].split() == ["all", "22.00", "532.00"]
    assert lines[4].split()[-2:] == ["18.00", "18.00"]
    assert lines[5].endswith("(532.00 - 22.00) / (2 x 255) = 1.0")


def test_first_attempts_are_held_to_the_bare_runs_of_the_same_stack() -> None:
    figures = first_attempts.figures_of(Samples([2.0] * 60, [3.1] * 60, [4.0] * 60, [4.0] * 60))
    assert missed(figures) == {"event accepted to first attempt, p95, s"}


def test_first_attempts_beside_a_failing_endpoint_are_held_to_those_at_the_same_pace() -> None:
    figures = first_attempts.figures_of(Samples([2.0] * 60, [3.0] * 60, [4.0] * 60, [5.0] * 60))
    assert missed(figures) == {"first attempts' p95, one endpoint failing against none"}
    assert figures["first attempts' p95, one endpoint failing against none"].value == 1.25


@pytest.mark.parametrize(("now", "beat"), [(120.0, 125.0), (121.5, 125.0), (124.99, 125.0)])
def test_samples_at_a_pace_begin_at_the_same_seconds_of_every_minute(
    now: float, beat: float
) -> None:
    assert first_attempts.next_beat(now, PLAN.sample_seconds) == beat
    assert 60 % PLAN.sample_seconds == 0


class Scripted(first_attempts.Publisher):
    """Takes so many seconds for each first attempt, and notes what it was asked for."""

    def __init__(self, took: list[float]) -> None:
        self._took = iter(took)
        self.asked: list[str] = []

    def publish_to_last(self, count: int) -> None:
        self.asked.append(f"publish {count}")

    def first_attempt(self) -> float:
        self.asked.append("first attempt")
        return next(self._took)


def test_every_sample_at_a_pace_waits_for_its_beat_and_publishes_to_the_endpoint_that_may_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sleeps: list[float] = []
    monkeypatch.setattr(first_attempts.time, "time", lambda: 121.0)
    monkeypatch.setattr(first_attempts.time, "sleep", sleeps.append)
    publisher = Scripted([2.0, 7.0])
    plan = replace(PLAN, events=2)
    assert first_attempts._at_a_pace(publisher, plan, "nothing") == [2.0, 7.0]
    assert publisher.asked == ["publish 1", "first attempt"] * 2
    assert sleeps == [4.0, 4.0]


def test_a_run_of_mapped_tasks_is_held_against_the_median_of_ours() -> None:
    figures = mapped.figures_of(Took([7.0, 6.1, 5.0], 180.0, 8), PLAN)
    assert missed(figures) == {"500 webhooks, times faster than a mapped HttpOperator each"}
    assert figures["500 webhooks, trigger to the last arrival, s"].value == 6.1
    assert figures["tasks that the stack runs at once"].value == 8


@pytest.mark.parametrize(
    ("earliest", "expected"),
    [("12:00:02", "12:00:05"), ("12:00:20", "12:00:20"), ("12:00:40", "12:01:05")],
)
def test_ours_are_triggered_when_the_schedule_triggers_nothing(
    earliest: str, expected: str
) -> None:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(f"2026-11-25T{text}+00:00")

    assert mapped._next_moment(at(earliest)) == at(expected)


def test_a_payload_has_exactly_its_size() -> None:
    for size in (1024, 256 * 1024):
        event = Due(7, 3, NOW, size).event()
        assert len(event.payload().encode()) == size


def test_what_is_measured_travels_as_json() -> None:
    measured = run(10, 0.5)
    assert Measured(**json.loads(json.dumps(results.asdict(measured)))) == measured


def test_the_results_tell_the_runs_of_every_part_and_its_figures(tmp_path: Path) -> None:
    path = tmp_path / "results" / "webhooks.json"
    outcomes = {
        "memory": Outcome({"peak": Figure(200, 300)}, {"10 due": {"cpu_seconds": 1.0}}),
        "mapped": Outcome({"faster": Figure(29, 30, at_least=True)}, {"ours_s": [6.0]}),
    }
    results.write(replace(PLAN, rounds=1), outcomes, path)
    found = json.loads(path.read_text())
    assert found["plan"]["rounds"] == 1
    assert found["runs"]["mapped"] == {"ours_s": [6.0]}
    assert found["figures"] == {
        "peak": {"value": 200, "bar": 300, "ok": True},
        "faster": {"value": 29, "bar": 30, "ok": False},
    }
