from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from remit.airflow import deliveries
from remit.audit import Actor
from remit.aws.transactions import transact
from remit.errors import StoreUnavailable
from remit.queue import SHARDS
from remit.services import Services
from remit.stop import Stop
from remit.webhooks import verify
from remit.webhooks.chunk import DeliveryPending
from remit.webhooks.outbox import Outbox
from remit.webhooks.replay_filter import ReplayFilter
from remit.webhooks.replay_job import find_replay, request_replay
from tests.support.airflow import AIRFLOW_WARNINGS, RunDag
from tests.support.clock import ManualClock
from tests.support.webhooks import (
    SECRET,
    Answer,
    Receiver,
    add_merchant,
    event,
    foreign_webhook,
    publish,
)

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
        survey = run_dag("survey_webhooks", logical_date=datetime(2026, 11, 23, 12, 10, tzinfo=UTC))
        run_dag("deliver_webhooks", logical_date=datetime(2026, 11, 23, 12, 11, tzinfo=UTC))
        for received in receiver.received:
            assert verify(received.headers, received.body, SECRET, now=datetime.now(UTC))
    assert str(run.state) == "success"
    assert tries(run) == {("deliver", -1): ("success", 5)}
    assert tries(survey) == {
        ("survey", -1): ("success", 1),
        ("deliver_backlog", -1): ("skipped", 0),
    }
    seen = {key: (record["status"], record["attempts"]) for key, record in records.items()}
    assert seen == {
        fine: ("delivered", 1),
        flaky: ("delivered", 3),
        down: ("failed", 5),
        "wh-foreign": ("failed", 5),
    }
    assert "dueAt" in records[down]
    assert "claim" not in records[down]
    assert "dueAt" not in records["wh-foreign"]
    foreign = services.tables.webhooks.get("wh-foreign") or {}
    assert (foreign["status"], foreign["attempts"]) == ("delivered", 6)
    assert receiver.ids().count("wh-foreign") == 1


def test_a_backlog_fans_out_over_groups_of_shards(
    run_dag: RunDag, airflow_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = airflow_services
    monkeypatch.setattr(deliveries, "BACKLOG", 4)
    with Receiver().running() as receiver:
        add_merchant(services, receiver.url())
        keys = {publish(services, number) for number in range(12)}
        run = run_dag("survey_webhooks", logical_date=datetime(2026, 11, 23, 12, 11, tzinfo=UTC))
    assert str(run.state) == "success"
    done = tries(run)
    assert {index for task, index in done if task == "deliver_backlog"} == {0, 1}
    assert set(done.values()) == {("success", 1)}
    assert sorted(receiver.ids()) == sorted(keys)
    assert services.webhook_queue.due(100) == []


def test_the_survey_goes_on_with_replays(run_dag: RunDag, airflow_services: Services) -> None:
    services, minute = airflow_services, datetime(2026, 11, 23, 12, 11, tzinfo=UTC)
    with Receiver().running() as receiver:
        add_merchant(services, receiver.url())
        key = publish(services)
        run_dag("deliver_webhooks", logical_date=minute)
        wanted = ReplayFilter(datetime.now(UTC) - timedelta(hours=1), statuses=("delivered",))
        asked = request_replay(services, "merchant-1", wanted, actor=Actor("ada"))
        run_dag("survey_webhooks", logical_date=minute)
        run_dag("deliver_webhooks", logical_date=minute + timedelta(minutes=1))
    assert receiver.ids() == [key, key]
    assert find_replay(services, "merchant-1", asked["id"])["replayed"] == 1


class States(dict[str, Any]):
    """What a task keeps for its next try, as Airflow's store does."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


def test_what_a_task_holds_is_delivered_by_its_next_try(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
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
        assert deliveries.deliver_chunk(context, range(SHARDS)) == {"delivered": 1}
    assert receiver.ids() == [key, key]
    assert states == {}


def surveyed(services: Services, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """What the survey of the run of 12:10 shares out."""
    monkeypatch.setattr(deliveries, "services", lambda: services)
    run = SimpleNamespace(logical_date=datetime(2026, 11, 23, 12, 10, tzinfo=UTC))
    return deliveries.survey_backlog({"dag_run": run}, 10)


def test_events_that_were_written_alone_are_delivered_by_the_same_run(
    run_dag: RunDag, airflow_services: Services
) -> None:
    services = airflow_services
    outbox = Outbox(services)
    with Receiver().running() as receiver:
        add_merchant(services, receiver.url())
        transact(services.tables.client, [outbox.alone(event(number)) for number in range(30)])
        run_dag("survey_webhooks", logical_date=datetime(2026, 11, 23, 12, 11, tzinfo=UTC))
    assert len(receiver.received) == len(set(receiver.ids())) == 30


def test_a_survey_shares_out_to_one_task_what_it_has_made(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_merchant(services, "https://example.com/hook")
    assert surveyed(services, monkeypatch) == []
    transact(services.tables.client, [Outbox(services).alone(event())])
    assert surveyed(services, monkeypatch) == [list(range(SHARDS))]
    assert surveyed(services, monkeypatch) == []


def test_replays_go_on_though_events_are_written_alone_all_the_time(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    went_on: list[float] = []
    monkeypatch.setattr(deliveries, "fan_out", lambda *_: 1)
    monkeypatch.setattr(deliveries, "run_replays", lambda *_, seconds: went_on.append(seconds))
    assert len(surveyed(services, monkeypatch)) == 1
    assert went_on


@pytest.mark.parametrize(
    ("ailing", "said"),
    [
        ("fan_out", "events wait: it does not answer"),
        ("adopt", "what the platform left waits: it does not answer"),
        ("_due", "a backlog is not shared out: it does not answer"),
    ],
)
def test_what_a_survey_cannot_read_keeps_nothing_else_from_being_done(
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    ailing: str,
    said: str,
) -> None:
    done: list[str] = []

    def step(name: str) -> Callable[..., int]:
        def called(*_: object, **__: object) -> int:
            done.append(name)
            if name == ailing:
                raise StoreUnavailable("it does not answer")
            return 1

        return called

    steps = ["fan_out", "adopt", "_due", "run_replays"]
    for name in steps:
        monkeypatch.setattr(deliveries, name, step(name))
    groups = surveyed(services, monkeypatch)
    assert done == steps
    assert groups == ([] if ailing == "fan_out" else [list(range(SHARDS))])
    assert said in caplog.text


def test_a_survey_that_is_asked_to_stop_while_it_adopts_tells_its_replays(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops: list[bool] = []

    def adopt(_: Services, stop: Stop) -> int:
        stop.request()
        return 0

    def run_replays(_: Services, stop: Stop, seconds: float) -> None:
        stops.append(stop.requested)

    monkeypatch.setattr(deliveries, "adopt", adopt)
    monkeypatch.setattr(deliveries, "run_replays", run_replays)
    assert surveyed(services, monkeypatch) == []
    assert stops == [True]
