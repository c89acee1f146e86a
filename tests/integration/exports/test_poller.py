"""What the poller does with exports that are due and that it does not simply make."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remit.airflow.exports import claim_for_run, export_chunk, find_due
from remit.clock import system_clock
from remit.errors import LeaseLost, StoreUnavailable
from remit.exports.pipeline import ExportPipeline
from remit.exports.slices import Slice
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop
from tests.support.airflow import AIRFLOW_WARNINGS
from tests.support.aws import REGION, objects, open_uploads, put_many
from tests.support.clock import ManualClock
from tests.support.exporter import LEASE, pipeline_of, short_lease_services
from tests.support.exports import export_job, payment
from tests.support.process import wait_until_stopped, worker
from tests.support.results import finished, record
from tests.support.standins import StandIns

pytestmark = AIRFLOW_WARNINGS


@pytest.fixture
def pipeline(standins: StandIns, clock: ManualClock) -> ExportPipeline:
    """The engine, for which the stored payments are a large export."""
    settings = Settings(region=REGION, small_export_rows=10, slice_rows=10, max_slices=3)
    services = Services(settings, standins.aws, clock)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    times = ((begin + n * timedelta(hours=2)).isoformat() for n in range(300))
    put_many(services, "Payments", [payment(n, createdAt=at) for n, at in enumerate(times)])
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job())
    clock.advance(60)
    return pipeline


class Runs:
    """The runs that are queued or running, and the polls that ask for them."""

    def __init__(self, *active: str) -> None:
        self.active = {*active}

    def poll(self, pipeline: ExportPipeline) -> list[str]:
        """One poll; returns the ids of the runs that it starts."""
        chunks = find_due(pipeline)
        started = [
            run["trigger_run_id"]
            for ids in chunks
            for run in export_chunk(pipeline, ids, "poll_exports/p/0", self.active.__contains__)
        ]
        self.active |= {*started}
        return started


def cut(pipeline: ExportPipeline, run_id: str) -> list[Slice]:
    """The slices that a run's first task cuts."""
    return pipeline.prepare(claim_for_run(pipeline, "export-1", run_id, clears=0))


def wait_out_the_lease(pipeline: ExportPipeline, clock: ManualClock) -> None:
    clock.advance(pipeline.settings.export_queue_lease.total_seconds() + 1)


def test_slices_that_wait_for_workers_longer_than_their_lease_stay_their_runs(
    pipeline: ExportPipeline, clock: ManualClock
) -> None:
    runs = Runs("run-1")
    slices = cut(pipeline, "run-1")
    for _ in range(10):
        wait_out_the_lease(pipeline, clock)
        assert runs.poll(pipeline) == []
        assert find_due(pipeline) == []

    pipeline.publish([pipeline.render(piece) for piece in slices])

    job = finished(pipeline.services)
    assert (job["status"], job["generation"], job["attempts"]) == ("completed", 1, 1)


def test_a_run_that_waits_to_begin_is_not_started_again(
    pipeline: ExportPipeline, clock: ManualClock
) -> None:
    runs = Runs()
    assert runs.poll(pipeline) == ["export__export-1__2"]
    for _ in range(10):
        wait_out_the_lease(pipeline, clock)
        assert runs.poll(pipeline) == []
    assert len(cut(pipeline, "export__export-1__2")) == 3


def test_a_run_that_has_ended_before_a_slice_began_is_followed_by_another_and_does_not_count(
    pipeline: ExportPipeline, clock: ManualClock
) -> None:
    runs, run_id = Runs(), "run-1"
    for n in range(pipeline.settings.export_attempts + 2):
        cut(pipeline, run_id)
        wait_out_the_lease(pipeline, clock)
        runs.active.clear()
        (run_id,) = runs.poll(pipeline)
        assert run_id == f"export__export-1__{2 * n + 3}"
    assert record(pipeline.services)["attempts"] == 0


def test_a_run_that_has_ended_after_a_slice_began_counts(
    pipeline: ExportPipeline, clock: ManualClock
) -> None:
    for n in range(pipeline.settings.export_attempts):
        first, second, _ = cut(pipeline, f"run-{n}")
        pipeline.render(first)
        pipeline.render(second)
        assert record(pipeline.services)["attempts"] == n + 1, "however many begin"
        wait_out_the_lease(pipeline, clock)
        Runs().poll(pipeline)

    job = finished(pipeline.services)
    assert (job["status"], job["errorCode"]) == ("failed", "too_many_attempts")
    assert "no more sign of life" in job["error"]


def test_a_large_export_that_was_canceled_or_has_expired_is_left_to_no_run(
    pipeline: ExportPipeline, clock: ManualClock
) -> None:
    runs = Runs("run-1", "run-2")
    cut(pipeline, "run-1")
    pipeline.store.cancel("export-1", "merchant-1", "me")
    pipeline.store.create(export_job("export-2"))
    pipeline.prepare(claim_for_run(pipeline, "export-2", "run-2", clears=0))
    clock.advance(8 * 86_400)

    assert runs.poll(pipeline) == []

    assert pipeline.store.queue.due(10) == []
    assert record(pipeline.services, "export-2")["status"] == "expired"


def test_slices_of_another_report_than_the_export_was_cut_with_make_it_begin_anew(
    pipeline: ExportPipeline, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    runs = Runs("run-1")
    first, second, third = cut(pipeline, "run-1")
    done = pipeline.render(first)
    deployed = with_settings(pipeline, transform="builtins:str")

    with pytest.raises(LeaseLost, match="begins anew"):
        deployed.render(second)
    assert "the report 'payments', its sources, the transform or Remit's version" in caplog.text
    with pytest.raises(LeaseLost):
        pipeline.render(third)
    with pytest.raises(LeaseLost):
        pipeline.publish([done])
    assert objects(pipeline.services) == []
    job = record(pipeline.services)
    assert (job["status"], job["attempts"]) == ("pending", 0)
    assert job["lastError"]["code"] == "report_changed"

    clock.advance(60)
    assert runs.poll(pipeline) == ["export__export-1__3"], "though the old run may still be there"
    pipeline.publish([pipeline.render(piece) for piece in cut(pipeline, "export__export-1__3")])
    assert finished(pipeline.services)["rows"] == 300


def test_slices_are_not_published_under_another_report(pipeline: ExportPipeline) -> None:
    rendered = [pipeline.render(piece) for piece in cut(pipeline, "run-1")]
    with pytest.raises(LeaseLost, match="begins anew"):
        with_settings(pipeline, transform="builtins:str").publish(rendered)
    assert objects(pipeline.services) == []


def with_settings(pipeline: ExportPipeline, **changes: Any) -> ExportPipeline:
    settings = replace(pipeline.settings, **changes)
    return ExportPipeline(replace(pipeline.services, settings=settings), Stop())


def test_a_slice_that_fails_tells_why_and_stays_its_runs(
    pipeline: ExportPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = cut(pipeline, "run-1")
    with monkeypatch.context() as outage:
        outage.setattr("remit.exports.rendering.frames", unavailable)
        with pytest.raises(StoreUnavailable):
            pipeline.render(slices[0])
    job = record(pipeline.services)
    assert (job["status"], job["lastError"]["code"]) == ("processing", "unavailable")

    pipeline.publish([pipeline.render(piece) for piece in slices])

    assert "lastError" not in finished(pipeline.services)


def unavailable(*_: Any) -> None:
    raise StoreUnavailable("S3 is out of reach")


def test_what_a_killed_worker_has_left_of_a_canceled_export_is_swept(standins: StandIns) -> None:
    services = short_lease_services(*standins.endpoints)
    put_many(services, "Payments", [payment(n, description="x" * 8_000) for n in range(3_000)])
    pipeline = pipeline_of(services)
    pipeline.store.create(export_job())
    services.tables.export_jobs.update(
        "export-1",
        set={"expiresAt": int(system_clock().timestamp()) + 86_400},  # it is real time here
        condition="attribute_exists(#id)",
    )
    arguments = (*standins.endpoints, "--stop-before", "second part")
    with worker("tests.support.exporter", *arguments) as killed:
        wait_until_stopped(killed)
        pipeline.store.cancel("export-1", "merchant-1", "me")
    assert open_uploads(services) != []
    assert find_due(pipeline) == [], "its worker may still be at it"

    later = system_clock() + 2 * LEASE
    assert Runs().poll(pipeline_of(replace(services, clock=lambda: later))) == []

    assert open_uploads(services) == []
    assert objects(services) == []
    assert finished(services)["status"] == "canceled"


def test_a_canceled_export_stays_in_the_queue_until_it_is_swept(
    pipeline: ExportPipeline, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.render(cut(pipeline, "run-1")[0])
    pipeline.store.cancel("export-1", "merchant-1", "me")
    wait_out_the_lease(pipeline, clock)
    with monkeypatch.context() as outage:
        outage.setattr(pipeline._publisher, "sweep", unavailable)
        Runs().poll(pipeline)
    assert objects(pipeline.services) != []
    assert pipeline.store.queue.due(10) == ["export-1"]

    Runs().poll(pipeline)

    assert objects(pipeline.services) == []
    assert finished(pipeline.services)["status"] == "canceled"
