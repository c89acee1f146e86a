from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.api.app import create_app
from remit.audit import Via
from remit.auth import Verifier, mint
from remit.clock import system_clock
from remit.errors import LeaseLost
from remit.exports.pipeline import ExportPipeline
from remit.services import Services
from remit.stop import Stop
from tests.support.airflow import AIRFLOW_WARNINGS, RunDag
from tests.support.api import TOKENS, NotedRuns, bearer
from tests.support.audit import entries_of
from tests.support.exports import claimed, export_job, payment, store_payments

pytestmark = AIRFLOW_WARNINGS


def states(run: Any) -> dict[tuple[str, int], str]:
    return {(ti.task_id, ti.map_index): str(ti.state) for ti in run.get_task_instances()}


def job(services: Services, export_id: str = "export-1") -> dict[str, Any]:
    item = services.tables.export_jobs.get(export_id)
    assert item is not None
    return item


def ids_in(services: Services, item: dict[str, Any]) -> list[str]:
    answer = services.s3.get_object(Bucket=services.settings.bucket, Key=item["resultKey"])
    text = answer["Body"].read().decode()
    return [row["payment_id"] for row in csv.DictReader(io.StringIO(text, newline=""))]


def test_a_small_export_is_done_by_its_first_task(
    run_dag: RunDag, airflow_services: Services
) -> None:
    services = airflow_services
    store_payments(services, payment(1), payment(2))
    ExportPipeline(services, Stop()).store.create(export_job())

    run = run_dag("export_payments", run_conf={"export_id": "export-1"})

    assert str(run.state) == "success"
    assert states(run)["prepare", -1] == "success"
    assert {state for (task, _), state in states(run).items() if task != "prepare"} == {"skipped"}
    assert job(services)["status"] == "completed"
    assert ids_in(services, job(services)) == ["pay-000001", "pay-000002"]


def test_a_large_export_is_rendered_by_mapped_tasks(
    run_dag: RunDag, airflow_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMIT_SMALL_EXPORT_ROWS", "10")
    monkeypatch.setenv("REMIT_SLICE_ROWS", "10")
    monkeypatch.setenv("REMIT_MAX_SLICES", "3")
    services = airflow_services
    payments = [
        payment(n, createdAt=f"2026-01-{1 + n // 4:02d}T00:00:00Z", description="x" * 30_000)
        for n in range(100)
    ]
    store_payments(services, *payments)
    ExportPipeline(services, Stop()).store.create(export_job())

    run = run_dag("export_payments", run_conf={"export_id": "export-1"})

    assert states(run) == {
        ("prepare", -1): "success",
        ("render", 0): "success",
        ("render", 1): "success",
        ("render", 2): "success",
        ("publish", -1): "success",
    }
    assert ids_in(services, job(services)) == [one["id"] for one in payments]
    names = [ti.rendered_map_index for ti in run.get_task_instances() if ti.task_id == "render"]
    assert [name.partition(":")[0] for name in sorted(names)] == ["slice 1", "slice 2", "slice 3"]


def test_a_run_whose_export_is_done_or_held_by_another_is_skipped(
    run_dag: RunDag, airflow_services: Services
) -> None:
    pipeline = ExportPipeline(airflow_services, Stop())
    pipeline.store.create(export_job())
    pipeline.prepare(claimed(pipeline))
    before = job(airflow_services)

    run = run_dag("export_payments", run_conf={"export_id": "export-1"})

    assert states(run)["prepare", -1] == "skipped"
    assert job(airflow_services) == before


def test_an_export_that_cannot_succeed_fails_its_run_without_retry(
    run_dag: RunDag, airflow_services: Services
) -> None:
    ExportPipeline(airflow_services, Stop()).store.create(export_job())
    jobs = airflow_services.tables.export_jobs
    jobs.update("export-1", set={"query.Report": "gone"}, condition="attribute_exists(#id)")

    run = run_dag("export_payments", run_conf={"export_id": "export-1"})

    assert str(run.state) == "failed"
    (prepare,) = (ti for ti in run.get_task_instances() if ti.task_id == "prepare")
    assert prepare.try_number == 1
    failed = job(airflow_services)
    assert failed["errorCode"] == "invalid_request"
    assert "there is no report 'gone'" in failed["error"]


def test_a_run_that_says_what_to_export_creates_the_job_itself(
    run_dag: RunDag, airflow_services: Services
) -> None:
    services = airflow_services
    store_payments(services, payment(1, currency="EUR"), payment(2), payment(3, merchantID="other"))
    conf = {
        "merchant_id": "merchant-1",
        "start_date": "2026-01-01",
        "end_date": "2026-01-31",
        "columns": ["payment_id", "currency"],
        "currency": "USD",
    }

    run = run_dag("export_payments", run_conf=conf)

    assert str(run.state) == "success"
    (export_id,) = stored_ids(services)
    item = job(services, export_id)
    assert ids_in(services, item) == ["pay-000002"]
    assert pushed(run, "export_id") == item["id"]
    client = TestClient(create_app(lambda: services, NotedRuns(), Verifier(TOKENS)))
    header = bearer(mint(TOKENS, "merchant-1", permissions=["payments"], now=system_clock()))
    told = client.get(f"/exports/{item['id']}", headers=header).json()
    assert (told["status"], told["rows"]) == ("completed", 1)
    assert told["options"] == {k: v for k, v in conf.items() if k != "merchant_id"}
    assert told["download_url"]
    (entry,) = entries_of(services, "merchant-1")
    assert (entry.action, entry.target) == ("exports.export.requested", item["id"])
    assert (entry.actor.via, entry.actor.request_id) == (Via.RUN, run.run_id)


def stored_ids(services: Services) -> list[str]:
    jobs = services.tables.export_jobs
    return [item["id"] for item in jobs.scan("attribute_exists(#id)", {}, attributes=["id"])]


def pushed(run: Any, key: str) -> Any:
    """What `prepare` has pushed."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        found = XComModel.get_many(
            run_id=run.run_id, key=key, dag_ids=run.dag_id, task_ids="prepare"
        )
        return session.scalars(found).one().value


def test_a_run_that_asks_for_what_there_is_not_fails_at_once(
    run_dag: RunDag, airflow_services: Services
) -> None:
    run = run_dag("export_payments", run_conf={"merchant_id": "merchant-1", "report": "gone"})

    assert str(run.state) == "failed"
    (prepare,) = (ti for ti in run.get_task_instances() if ti.task_id == "prepare")
    assert prepare.try_number == 1
    assert stored_ids(airflow_services) == []


def foreign_job(export_id: str, **changes: Any) -> dict[str, Any]:
    """A job as the payments platform's own service writes it."""
    record = {
        "id": export_id,
        "merchantID": "merchant-1",
        "status": "pending",
        "format": "csv",
        "query": {
            "StartDate": "2026-01-01T00:00:00-05:00",
            "EndDate": "2026-01-31T19:00:00-05:00",
            "Status": "succeeded",
            "Limit": 20,
        },
        "expiresAt": int(datetime.now(UTC).timestamp()) + 86_400,
        **changes,
    }
    return {name: value for name, value in record.items() if value is not ...}


def test_the_poller_exports_what_another_service_asked_for_and_what_was_missed(
    run_dag: RunDag, airflow_services: Services
) -> None:
    services = airflow_services
    store_payments(
        services,
        payment(1, createdAt="2026-01-01T04:59:59Z"),
        payment(2, createdAt="2026-01-01T05:00:00Z"),
        payment(3, createdAt="2026-01-31T18:59:59.999-05:00"),
        payment(4, createdAt="2026-01-20T00:00:00Z", status="failed"),
    )
    jobs = services.tables.export_jobs
    jobs.put(foreign_job("export-merchant-1-1767225600"))
    jobs.put(foreign_job("unreadable", query={"StartDate": "last week"}))
    jobs.put(foreign_job("nobodys", merchantID=...))
    ExportPipeline(services, Stop()).store.create(export_job("missed"))

    run = run_dag("poll_exports", logical_date=datetime(2026, 11, 23, 12, 0, tzinfo=UTC))

    assert str(run.state) == "success"
    adopted = job(services, "export-merchant-1-1767225600")
    assert adopted["status"] == "completed"
    assert ids_in(services, adopted) == ["pay-000002", "pay-000003"]
    missed = ids_in(services, job(services, "missed"))
    assert sorted(missed) == [f"pay-{n:06d}" for n in range(1, 5)]
    for export_id, reason in {"unreadable": "start_date", "nobodys": "merchantID"}.items():
        failed = job(services, export_id)
        assert (failed["status"], failed["errorCode"]) == ("failed", "invalid_request")
        assert reason in failed["error"]
    assert services.export_queue.due(10) == []


def store_large_export(
    services: Services, monkeypatch: pytest.MonkeyPatch, export_id: str = "export-1"
) -> None:
    """An export that a deployment with these settings cuts into slices."""
    monkeypatch.setenv("REMIT_SMALL_EXPORT_ROWS", "10")
    monkeypatch.setenv("REMIT_SLICE_ROWS", "10")
    store_payments(services, *(payment(n, description="x" * 30_000) for n in range(60)))
    ExportPipeline(services, Stop()).store.create(export_job(export_id))


def test_the_poller_starts_a_run_for_a_large_export(
    run_dag: RunDag, airflow_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = airflow_services
    store_large_export(services, monkeypatch)

    run = run_dag("poll_exports", logical_date=datetime(2026, 11, 23, 12, 1, tzinfo=UTC))

    assert states(run)["start_runs", 0] == "success"
    started = runs_of("export_payments")
    note = "merchant-1: payments, 2026-01-01 to 2026-01-31, csv"
    assert started["export__export-1__2"] == ({"export_id": "export-1"}, note)
    assert (job(services)["status"], job(services)["generation"]) == ("pending", 1)
    assert services.export_queue.due(10) == [], "it belongs to the run now"


def test_the_poller_leaves_a_large_export_to_its_run_as_long_as_airflow_has_it(
    run_dag: RunDag, airflow_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    services = airflow_services
    store_large_export(services, monkeypatch, "export-left")

    def poll(minute: int) -> set[str]:
        """A poll after the lease; returns the runs that there are for the export then."""
        services.tables.export_jobs.update(
            "export-left",
            set={"dueAt": f"2026-01-01T00:{minute:02d}:00.000000Z"},
            condition="attribute_exists(#id)",
        )
        run_dag("poll_exports", logical_date=datetime(2026, 11, 23, 13, minute, tzinfo=UTC))
        return {run_id for run_id in runs_of("export_payments") if "export-left" in run_id}

    assert poll(1) == poll(2) == {"export__export-left__2"}
    assert job(services, "export-left")["generation"] == 1
    assert services.export_queue.due(10) == []

    with create_session() as session:
        (run,) = DagRun.find(run_id="export__export-left__2", session=session)
        run.state = "failed"
    assert poll(3) == {"export__export-left__2", "export__export-left__3"}


def runs_of(dag_id: str) -> dict[str, tuple[Any, str | None]]:
    """Run id to conf and note."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        runs = DagRun.find(dag_id=dag_id, session=session)
        return {run.run_id: (run.conf, run.note) for run in runs}


def test_the_job_tells_an_operator_what_happened(
    run_dag: RunDag, airflow_services: Services
) -> None:
    ExportPipeline(airflow_services, Stop()).store.create(export_job())
    run = run_dag("export_payments", run_conf={"export_id": "export-1"})
    assert job(airflow_services)["owner"] == f"{run.run_id}#0"


def test_a_cleared_run_exports_again_under_the_same_id(airflow_services: Services) -> None:
    from remit.airflow.exports import claim_for_run

    services = airflow_services
    store_payments(services, payment(1))
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job())
    pipeline.prepare(claim_for_run(pipeline, "export-1", "run-1", clears=0))
    first = job(services)
    store_payments(services, payment(2))

    with pytest.raises(LeaseLost):  # a retry of the task that has finished it
        claim_for_run(pipeline, "export-1", "run-1", clears=0)
    claim = claim_for_run(pipeline, "export-1", "run-1", clears=1)
    assert not claim.item.keys() & {"rows", "checksum", "resultKey", "progressRows"}
    pipeline.prepare(claim)

    again = job(services)
    assert (again["status"], again["rows"], again["generation"]) == ("completed", 2, 2)
    assert again["resultKey"] != first["resultKey"]


def test_clearing_the_run_of_a_dead_worker_takes_its_claim_over(
    airflow_services: Services,
) -> None:
    from remit.airflow.exports import claim_for_run

    pipeline = ExportPipeline(airflow_services, Stop())
    pipeline.store.create(export_job())
    dead = claim_for_run(pipeline, "export-1", "run-1", clears=0)
    cleared = claim_for_run(pipeline, "export-1", "run-1", clears=1)
    pipeline.prepare(cleared)
    with pytest.raises(LeaseLost):
        pipeline.prepare(dead)
    with pytest.raises(LeaseLost):  # a run whose id begins alike is another run
        claim_for_run(pipeline, "export-1", "run-11", clears=0)
