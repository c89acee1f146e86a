from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from remit.services import Services
from remit.webhooks import verify
from tests.support.airflow import AIRFLOW_WARNINGS, RunDag
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
    monkeypatch.setenv("REMIT_WEBHOOK_BACKOFF_SECONDS", "0.01")
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
        for received in receiver.received:
            assert verify(received.headers, received.body, SECRET, now=datetime.now(UTC))
    assert str(run.state) == "success"
    assert tries(run) == {
        ("deliver", -1): ("success", 5),
        ("survey", -1): ("success", 1),
        ("deliver_backlog", -1): ("skipped", 0),
    }
    records = {
        key: services.tables.webhooks.get(key) or {} for key in (fine, flaky, down, "wh-foreign")
    }
    seen = {key: (record["status"], record["attempts"]) for key, record in records.items()}
    assert seen == {
        fine: ("delivered", 1),
        flaky: ("delivered", 3),
        down: ("failed", 5),
        # Adopted; delivered by the next run or, if it was quick enough, by this one.
        "wh-foreign": seen["wh-foreign"],
    }
    assert "dueAt" in records[down]
    assert "claim" not in records[down]
    assert "dueAt" in records["wh-foreign"] or records["wh-foreign"]["status"] == "delivered"
    assert receiver.ids().count(down) == 5


def test_a_backlog_fans_out_over_groups_of_shards(
    run_dag: RunDag, airflow_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMIT_WEBHOOK_CHUNK", "4")
    services = airflow_services
    with Receiver().running() as receiver:
        add_merchant(services, receiver.url())
        for number in range(12):
            publish(services, number)
        run = run_dag("deliver_webhooks", logical_date=datetime(2026, 11, 23, 12, 11, tzinfo=UTC))
        assert str(run.state) == "success"
        assert len(set(receiver.ids())) == len(receiver.ids())
        assert len(receiver.ids()) > 4
