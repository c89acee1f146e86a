from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from remit.aws.multipart import part_size
from remit.aws.objects import ObjectWriter, Target
from remit.errors import Conflict, LeaseLost, NotFound, StoreUnavailable
from remit.exports.announce import announcement
from remit.exports.heartbeat import Heartbeat
from remit.exports.pipeline import ExportPipeline
from remit.exports.store import IF_FREE_OR_MINE, ExportStore
from remit.queue import Claim
from remit.services import Services
from remit.stop import Stop
from tests.support.airflow import AIRFLOW_WARNINGS
from tests.support.aws import objects
from tests.support.clock import ManualClock
from tests.support.exports import claimed, export_job, payment, store_payments

pytestmark = AIRFLOW_WARNINGS

MERCHANT = {"id": "merchant-1", "webhookURL": "http://127.0.0.1:9/", "webhookSecret": "s" * 32}


@pytest.fixture
def store(services: Services) -> ExportStore:
    return ExportStore(services.export_queue, services.settings, services.clock)


class Swept(ExportPipeline):
    """Notes what it is asked to sweep."""

    def __init__(self, services: Services) -> None:
        super().__init__(services, Stop())
        self.swept: list[str] = []

    def sweep(self, export_id: str) -> None:
        self.swept.append(export_id)


@pytest.fixture
def pipeline(services: Services) -> Swept:
    return Swept(services)


def cancel(store: ExportStore) -> dict[str, Any]:
    return store.cancel("export-1", "merchant-1", "ann@books.example")


def claim(store: ExportStore) -> Claim:
    store.create(export_job())
    held = store.claim("export-1", "run-1#0", IF_FREE_OR_MINE)
    assert held is not None
    return held


def test_a_pending_job_is_canceled_and_nobody_can_have_it(
    store: ExportStore, clock: ManualClock
) -> None:
    store.create(export_job())
    item = cancel(store)
    assert (item["status"], item["canceledBy"]) == ("canceled", "ann@books.example")
    assert item["canceledAt"] == item["updatedAt"] == "2026-11-23T12:00:00.000000Z"
    clock.advance(3600)
    assert store.claim("export-1", "poller") is None
    assert store.claim("export-1", "run-1#0", IF_FREE_OR_MINE) is None
    assert store.queue.due(10) == ["export-1"], "for the poller to look what is left of it"
    assert store.drop("export-1")
    assert store.queue.due(10) == []
    assert store.get("export-1")["status"] == "canceled"


def test_to_cancel_again_answers_the_same_and_writes_nothing(
    store: ExportStore, clock: ManualClock
) -> None:
    store.create(export_job())
    first = cancel(store)
    clock.advance(60)
    assert store.cancel("export-1", "merchant-1", "bob@books.example") == first


def test_whoever_holds_the_job_can_change_nothing_any_more(store: ExportStore) -> None:
    held = claim(store)
    canceled = cancel(store)
    assert "claim" not in canceled
    for write in (
        lambda: store.queue.extend(held, timedelta(seconds=60)),
        lambda: store.slice_done(held, 0, 1, 1),
        lambda: store.complete(held, {"rows": 1}, []),
        lambda: store.fail(held, "a_code", "why", []),
        lambda: store.hand_over(held),
        lambda: store.release(held),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert store.get("export-1") == canceled


def test_a_finished_job_is_not_canceled_and_the_refusal_says_how_it_ended(
    store: ExportStore, clock: ManualClock
) -> None:
    held = claim(store)
    store.complete(held, {"rows": 1}, [])
    with pytest.raises(Conflict, match="the export is completed"):
        cancel(store)
    clock.advance(8 * 86_400)
    with pytest.raises(Conflict, match="the export is expired"):
        cancel(store)


def test_a_failed_job_is_not_canceled(store: ExportStore) -> None:
    store.fail(claim(store), "malformed_record", "no", [])
    with pytest.raises(Conflict, match="the export is failed"):
        cancel(store)


def test_only_its_merchant_cancels_a_job(store: ExportStore) -> None:
    store.create(export_job())
    for export_id, merchant in (("export-1", "merchant-2"), ("export-2", "merchant-1")):
        with pytest.raises(NotFound, match=export_id):
            store.cancel(export_id, merchant, "me")
    assert store.get("export-1")["status"] == "pending"
    assert not store.canceled("export-1")
    assert not store.canceled("export-2")


def test_a_cancel_is_announced_with_it_and_only_once(
    store: ExportStore, services: Services
) -> None:
    services.tables.merchants.put(MERCHANT)
    store.create(export_job())

    def cancel_and_announce() -> None:
        news = announcement(services, "merchant-1", "export-1", "canceled", {})
        store.cancel("export-1", "merchant-1", "me", news)

    cancel_and_announce()
    cancel_and_announce()
    store.reopen("export-1")
    cancel_and_announce()

    event = services.tables.events.get("evt-export-1-canceled") or {}
    assert event["type"] == "export.canceled"
    assert json.loads(event["payload"])["data"] == {"export_id": "export-1", "status": "canceled"}
    assert len(services.webhook_queue.due(10)) == 1
    assert store.canceled("export-1")


def test_what_was_finished_meanwhile_is_not_announced_as_canceled(
    store: ExportStore, services: Services
) -> None:
    services.tables.merchants.put(MERCHANT)
    held = claim(store)
    news = announcement(services, "merchant-1", "export-1", "canceled", {})
    store.complete(held, {"rows": 1}, [])
    with pytest.raises(Conflict):
        store.cancel("export-1", "merchant-1", "me", news)
    assert services.webhook_queue.due(10) == []


def test_a_cleared_run_exports_what_was_canceled(
    store: ExportStore, services: Services, pipeline: Swept
) -> None:
    store_payments(services, payment(1))
    claim(store)
    cancel(store)
    store.reopen("export-1")
    pipeline.prepare(claimed(pipeline, owner="run-1#1"))
    item = store.get("export-1")
    assert (item["status"], item["rows"]) == ("completed", 1)
    assert not item.keys() & {"canceledAt", "canceledBy"}


def test_a_cancel_takes_effect_at_the_next_beat_and_leaves_no_parts(
    store: ExportStore, services: Services
) -> None:
    held = claim(store)
    bucket = services.settings.bucket

    def render() -> None:
        target = Target(bucket, "staging/export-1/1/0000", "text/csv")
        with (
            Heartbeat(store.queue, held, timedelta(seconds=60), interval=0.01) as heartbeat,
            ObjectWriter(services.s3, target) as sink,
        ):
            sink.write(bytes(3 * part_size(0) + 1))  # the fourth part waits until the first is sent
            assert uploads()
            cancel(store)
            heartbeat._thread.join(10)  # it ends when it finds the lease lost
            heartbeat.check()

    def uploads() -> list[Any]:
        return list(services.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []))

    with pytest.raises(LeaseLost):
        render()
    assert uploads() == []
    assert not services.s3.list_objects_v2(Bucket=bucket).get("Contents")


Task = Callable[[Callable[[], object]], None]


@pytest.fixture
def task(services: Services, pipeline: Swept, monkeypatch: pytest.MonkeyPatch) -> Task:
    """Does something as a task of Airflow does it that is about export-1."""
    from remit.airflow import exports

    monkeypatch.setattr(exports, "services", lambda: services)
    monkeypatch.setattr(exports, "ExportPipeline", lambda *_: pipeline)

    def run(work: Callable[[], object]) -> None:
        with exports.export_task("export-1"):
            work()

    return run


def test_a_task_that_finds_its_export_canceled_sweeps_and_is_skipped(
    pipeline: Swept, task: Task
) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    from remit.airflow.exports import claim_for_run

    held = claim(pipeline.store)
    cancel(pipeline.store)
    with pytest.raises(AirflowSkipException, match="export-1 was canceled"):
        task(lambda: pipeline.prepare(held))
    with pytest.raises(AirflowSkipException, match="export-1 was canceled"):
        task(lambda: claim_for_run(pipeline, "export-1", "run-1", clears=0))
    assert pipeline.swept == ["export-1", "export-1"]


def test_a_task_whose_export_another_has_sweeps_nothing(pipeline: Swept, task: Task) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    held = claim(pipeline.store)
    assert pipeline.store.claim("export-1", "run-1#1", IF_FREE_OR_MINE) is not None
    with pytest.raises(AirflowSkipException, match="claimed by another"):
        task(lambda: pipeline.store.release(held))
    assert pipeline.swept == []


def test_a_sweep_that_fails_in_passing_is_retried_with_the_task(
    pipeline: Swept, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_reach(_: str) -> None:
        raise StoreUnavailable("S3 is out of reach")

    monkeypatch.setattr(pipeline, "sweep", out_of_reach)
    held = claim(pipeline.store)
    cancel(pipeline.store)
    with pytest.raises(StoreUnavailable):
        task(lambda: pipeline.store.release(held))


def test_one_canceled_export_does_not_stop_the_others_of_a_chunk(
    pipeline: Swept, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remit.airflow.exports import export_chunk

    for export_id in ("export-1", "export-2"):
        pipeline.store.create(export_job(export_id))
    clock.advance(3600)
    prepare = pipeline.prepare

    def cancel_meanwhile(held: Claim) -> Any:
        if held.key == "export-1":
            cancel(pipeline.store)
        return prepare(held)

    monkeypatch.setattr(pipeline, "prepare", cancel_meanwhile)
    assert export_chunk(pipeline, ["export-1", "export-2"], "poller", lambda _: False) == []
    assert pipeline.swept == ["export-1"]
    assert pipeline.store.get("export-1")["status"] == "canceled"
    assert pipeline.store.get("export-2")["status"] == "completed"


def test_a_run_that_was_cleared_opens_what_was_canceled_and_nothing_that_has_expired(
    pipeline: Swept, clock: ManualClock
) -> None:
    from remit.airflow.exports import claim_for_run

    pipeline.store.create(export_job())
    cancel(pipeline.store)
    with pytest.raises(LeaseLost, match="is canceled"):
        claim_for_run(pipeline, "export-1", "run-1", clears=0)
    assert claim_for_run(pipeline, "export-1", "run-1", clears=1).item["generation"] == 1
    cancel(pipeline.store)
    with pytest.raises(LeaseLost, match="is canceled"):  # a retry of the task is no clear
        claim_for_run(pipeline, "export-1", "run-1", clears=1)
    clock.advance(8 * 86_400)
    with pytest.raises(NotFound, match="export-1 has expired"):
        claim_for_run(pipeline, "export-1", "run-1", clears=2)


def test_a_sweep_spares_what_a_cleared_run_has_begun_meanwhile(
    store: ExportStore, services: Services
) -> None:
    first = claim(store)
    cancel(store)
    keys = [f"{place}/1/0000-0000" for place in ("staging/export-1", "exports/merchant-1/export-1")]
    for key in keys:
        for of_generation in (key, key.replace("/1/", "/2/")):
            services.s3.put_object(Bucket=services.settings.bucket, Key=of_generation, Body=b"x")
    store.reopen("export-1")
    second = claimed(ExportPipeline(services, Stop()), owner="run-1#1")
    assert (first.item["generation"], second.item["generation"]) == (1, 2)

    ExportPipeline(services, Stop()).sweep("export-1")

    assert objects(services) == sorted(key.replace("/1/", "/2/") for key in keys)
