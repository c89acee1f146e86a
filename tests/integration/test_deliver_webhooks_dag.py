from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from remit.airflow import deliveries
from remit.errors import StoreUnavailable
from remit.queue import SHARDS
from remit.services import Services
from remit.stop import Stop
from remit.webhooks import verify
from remit.webhooks.chunk import DeliveryPending
from remit.webhooks.replay_filter import ReplayFilter
from remit.webhooks.replay_job import find_replay, request_replay
from tests.support.airflow import AIRFLOW_WARNINGS, RunDag
from tests.support.clock import ManualClock
from tests.support.webhooks import SECRET, Answer, Receiver, add_merchant, foreign_webhook, publish

pytestmark = AIRFLOW_WARNINGS


def tries(run: Any) -> dict[tuple[str, int], tuple[str, int]]:
    return {
        (ti.task_id, ti.map_index): (str(ti.state), ti.try_number)
        for ti in run.get_task_instances()
    }


def test_delivers_retries_and_adopts(
    run_dag: RunDag, airflow_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMIT_WEBHOOK_BACKOFF_SECONDS", "0.3")
    services = airflow_services
    with Receiver().running() as receiver:
        add_merchant(services, receiver.url())
        fine, flaky, down = (publish(services, number) for number in range(3))
        times_needed = {fine: 1, flaky: 3, down: 99}
        receiver.behaviour = lambda received, times: Answer(
            200 if times >= times_needed.get(received.id, 1) else 500
        )
        expires_at = int(datetime.now(UTC).timestamp()) + 3600
        services.tables.webhooks.put(
            foreign_webhook("wh-foreign", receiver.url(), expiresAt=expires_at)
        )
        run = run_dag("deliver_webhooks", logical_date=datetime(2026, 11, 23, 12, 10, tzinfo=UTC))
        records = {
            key: services.tables.webhooks.get(key) or {}
            for key in (fine, flaky, down, "wh-foreign")
        }
        assert receiver.ids().count(down) == 5
        # The next run delivers what was adopted, if the task beside the survey was not so late
        # that it already has.
        run_dag("deliver_webhooks", logical_date=datetime(2026, 11, 23, 12, 11, tzinfo=UTC))
        for received in receiver.received:
            assert verify(received.headers, received.body, SECRET, now=datetime.now(UTC))
    assert str(run.state) == "success"
    assert tries(run) == {
        ("deliver", -1): ("success", 5),
        ("survey", -1): ("success", 1),
        ("deliver_backlog", -1): ("skipped", 0),
    }
    seen = {key: (record["status"], record["attempts"]) for key, record in records.items()}
    adopted = seen.pop("wh-foreign")
    assert seen == {fine: ("delivered", 1), flaky: ("delivered", 3), down: ("failed", 5)}
    assert "dueAt" in records[down]
    assert "claim" not in records[down]
    assert ("dueAt" in records["wh-foreign"]) == (adopted == ("failed", 5))
    foreign = services.tables.webhooks.get("wh-foreign") or {}
    assert (foreign["status"], foreign["attempts"]) == ("delivered", 6)
    assert receiver.ids().count("wh-foreign") == 1


def test_a_backlog_fans_out_over_groups_of_shards(
    run_dag: RunDag, airflow_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services, deliver_chunk = airflow_services, deliveries.deliver_chunk

    def deliver_backlog_only(context: Any, shards: Sequence[int]) -> dict[str, int]:
        # As if the task for all shards had a minute's work before it.
        return {} if len(shards) == SHARDS else deliver_chunk(context, shards)

    monkeypatch.setattr(deliveries, "BACKLOG", 4)
    monkeypatch.setattr(deliveries, "deliver_chunk", deliver_backlog_only)
    with Receiver().running() as receiver:
        add_merchant(services, receiver.url())
        keys = {publish(services, number) for number in range(12)}
        run = run_dag("deliver_webhooks", logical_date=datetime(2026, 11, 23, 12, 11, tzinfo=UTC))
    assert str(run.state) == "success"
    done = tries(run)
    assert {index for task, index in done if task == "deliver_backlog"} == {0, 1}
    assert set(done.values()) == {("success", 1)}
    assert sorted(receiver.ids()) == sorted(keys)
    assert services.webhook_queue.due(100) == []


def test_the_survey_goes_on_with_replays(run_dag: RunDag, airflow_services: Services) -> None:
    services = airflow_services
    with Receiver().running() as receiver:
        add_merchant(services, receiver.url())
        key = publish(services)
        run_dag("deliver_webhooks", logical_date=datetime(2026, 11, 23, 12, 11, tzinfo=UTC))
        wanted = ReplayFilter(datetime.now(UTC) - timedelta(hours=1), statuses=("delivered",))
        asked = request_replay(services, "merchant-1", wanted, actor="ada")
        for minute in (12, 13):  # the survey of the first may be later than the task beside it
            run_dag("deliver_webhooks", logical_date=datetime(2026, 11, 23, 12, minute, tzinfo=UTC))
    assert receiver.ids() == [key, key]
    assert find_replay(services, "merchant-1", asked["id"])["replayed"] == 1


class States(dict[str, Any]):
    """What a task keeps for its next try, as Airflow's store does."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


def test_what_a_task_holds_is_delivered_though_the_events_cannot_be_read(
    services: Services,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def ailing(*_: object) -> int:
        raise StoreUnavailable("Events does not answer")

    monkeypatch.setattr(deliveries, "services", lambda: services)
    states = States()
    context = {
        "task_state_store": states,
        "ti": SimpleNamespace(try_number=1, max_tries=4),
    }
    with Receiver(lambda _, times: Answer(500 if times == 1 else 200)).running() as receiver:
        add_merchant(services, receiver.url())
        key = publish(services)
        with pytest.raises(DeliveryPending):
            deliveries.deliver_chunk(context, range(SHARDS))
        assert states
        clock.advance(5)
        monkeypatch.setattr(deliveries, "fan_out", ailing)
        assert deliveries.deliver_chunk(context, range(SHARDS)) == {"delivered": 1}
    assert receiver.ids() == [key, key]
    assert states == {}
    assert "events wait: Events does not answer" in caplog.text


def test_a_survey_that_is_asked_to_stop_while_it_adopts_tells_its_replays(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops: list[bool] = []

    def adopt(_: Services, stop: Stop) -> None:
        stop.request()

    def run_replays(_: Services, stop: Stop, seconds: float) -> None:
        stops.append(stop.requested)

    monkeypatch.setattr(deliveries, "services", lambda: services)
    monkeypatch.setattr(deliveries, "adopt", adopt)
    monkeypatch.setattr(deliveries, "run_replays", run_replays)
    run = SimpleNamespace(logical_date=datetime(2026, 11, 23, 12, 10, tzinfo=UTC))
    assert deliveries.survey_backlog({"dag_run": run}, 10) == []
    assert stops == [True]
