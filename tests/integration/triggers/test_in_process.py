"""What the form inside Airflow's API server takes from Airflow that is not its public interface."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from remit.airflow.metrics import AirflowMetrics
from remit.airflow.trigger import InProcessTrigger
from remit.errors import TriggerUnavailable
from tests.support.airflow import AIRFLOW_WARNINGS

pytestmark = AIRFLOW_WARNINGS


def parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters)


def test_the_private_functions_are_those_that_we_know(airflow: Path) -> None:
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.assets.manager import asset_manager
    from airflow.observability import stats

    assert {"dag_id", "run_id", "conf", "note", "triggered_by"} <= parameters(trigger_dag)
    assert {"asset", "source_is_api", "session"} <= parameters(asset_manager.register_asset_change)
    assert {"stat", "tags"} <= parameters(stats.incr)
    assert {"stat", "dt", "tags"} <= parameters(stats.timing)


def test_a_database_that_is_locked_for_a_moment_is_asked_again(
    airflow: Path, parsed_dags: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api.common import trigger_dag as module
    from airflow.models.dagrun import DagRun
    from sqlalchemy.exc import OperationalError

    real, faults = module.trigger_dag, [OperationalError("INSERT", {}, Exception("locked"))]

    def sometimes_locked(**arguments: object) -> object:
        if faults:
            raise faults.pop()
        return real(**arguments)

    monkeypatch.setattr(module, "trigger_dag", sometimes_locked)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)

    InProcessTrigger().start("export_payments", "locked-once", {"export_id": "x"}, "note")

    assert len(DagRun.find(dag_id="export_payments", run_id="locked-once")) == 1


def test_a_database_that_does_not_answer_is_told(
    airflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.assets.manager import asset_manager
    from airflow.models.dag import DagModel
    from sqlalchemy.exc import OperationalError

    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT", {}, Exception("the server is gone"))

    monkeypatch.setattr(DagModel, "get_current", away)
    monkeypatch.setattr(asset_manager, "register_asset_change", away)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    trigger = InProcessTrigger()
    for call in (
        lambda: trigger.check("export_payments"),
        lambda: trigger.start("export_payments", "run", {}, "note"),
        trigger.wake_delivery,
    ):
        with pytest.raises(TriggerUnavailable, match="the server is gone"):
            call()


async def test_metrics_go_where_the_api_server_sends_its_own(
    airflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import lifespan
    from airflow.observability import stats
    from airflow.observability.metrics import stats_utils

    real = stats_utils.get_stats_factory()
    seen: list[tuple[object, ...]] = []

    class Noted:
        def incr(self, stat: str, tags: dict[str, str] | None = None) -> None:
            seen.append((stat, tags))

        def timing(self, stat: str, dt: float, tags: dict[str, str] | None = None) -> None:
            seen.append((stat, dt, tags))

    monkeypatch.setattr(stats_utils, "get_stats_factory", lambda: Noted)
    async with lifespan(FastAPI()):  # what the API server does when it starts
        AirflowMetrics().count("remit.hook.trigger_failed", dag="export_payments")
        AirflowMetrics().timing("remit.hook.request", 0.25, status="2xx")
    stats.initialize(factory=real, export_legacy_names=True)  # for the tests that follow
    ours = [one for one in seen if str(one[0]).startswith("remit.")]
    assert ours == [
        ("remit.hook.trigger_failed", {"dag": "export_payments"}),
        ("remit.hook.request", 250.0, {"status": "2xx"}),
    ]
