from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from remit.errors import AlreadyExists, ConditionFailed, LeaseLost, NotFound, RecordRefused
from remit.exports.job import MOVES
from remit.exports.store import IF_FREE_OR_MINE, ExportStore
from remit.services import Services
from remit.stop import Stop
from tests.support.clock import ManualClock
from tests.support.exports import export_job


@pytest.fixture
def store(services: Services) -> ExportStore:
    return ExportStore(services.export_queue, services.settings, services.clock)


def foreign(services: Services, export_id: str, **changes: Any) -> None:
    query = {"StartDate": "2026-01-01", "EndDate": "2026-01-31"}
    record = {"id": export_id, "merchantID": "m", "status": "pending", "query": query}
    services.tables.export_jobs.put({**record, **changes})


def test_a_new_job_is_left_to_its_run_for_a_while(
    store: ExportStore, services: Services, clock: ManualClock
) -> None:
    store.create(export_job())
    assert store.queue.due(10) == []
    clock.advance(services.settings.export_handover.total_seconds())
    assert store.queue.due(10) == ["export-1"]


def test_an_id_is_never_overwritten(store: ExportStore) -> None:
    store.create(export_job())
    with pytest.raises(AlreadyExists):
        store.create(export_job(format="json"))
    assert store.get("export-1")["format"] == "csv"


def test_the_run_need_not_wait_until_the_job_is_due(store: ExportStore) -> None:
    store.create(export_job())
    assert store.claim("export-1", "poller") is None
    claim = store.claim("export-1", "run-1#0", IF_FREE_OR_MINE)
    assert claim is not None
    assert (claim.item["generation"], claim.item["status"]) == (1, "processing")


def test_a_retried_task_takes_its_runs_own_claim_up_again(store: ExportStore) -> None:
    store.create(export_job())
    first = store.claim("export-1", "run-1#0", IF_FREE_OR_MINE)
    again = store.claim("export-1", "run-1#0", IF_FREE_OR_MINE)
    other = store.claim("export-1", "run-2#0", IF_FREE_OR_MINE)
    assert first is not None
    assert again is not None
    assert other is None
    assert again.item["generation"] == 2
    with pytest.raises(LeaseLost):
        store.complete(first, {"rows": 1}, [])


def test_of_many_workers_one_has_the_job(store: ExportStore) -> None:
    store.create(export_job())
    with ThreadPoolExecutor(8) as pool:
        claims = pool.map(lambda n: store.claim("export-1", f"run-{n}", IF_FREE_OR_MINE), range(8))
        assert len([claim for claim in claims if claim is not None]) == 1


def test_jobs_of_another_service_are_adopted_once(store: ExportStore, services: Services) -> None:
    foreign(services, "theirs")
    foreign(services, "done", status="completed")
    store.create(export_job("ours"))

    assert store.adopt(100, Stop()) == ["theirs"]
    assert store.adopt(100, Stop()) == []
    assert store.queue.due(10) == ["theirs"]
    claim = store.claim("theirs", "poller")
    assert claim is not None
    assert claim.item["createdAt"] == "2026-11-23T12:00:00.000000Z"


def test_a_job_that_its_writer_took_back_is_not_adopted(
    store: ExportStore, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign(services, "theirs", status="canceled")
    monkeypatch.setattr(store, "_foreign", lambda: iter([{"id": "theirs"}, {"id": "gone"}]))
    assert store.adopt(100, Stop()) == []
    assert services.tables.export_jobs.get("gone") is None


def test_a_large_job_is_handed_over_and_comes_back_if_its_run_never_starts(
    store: ExportStore, services: Services, clock: ManualClock
) -> None:
    store.create(export_job())
    claim = store.claim("export-1", "poller", IF_FREE_OR_MINE)
    assert claim is not None

    assert store.hand_over(claim) == 2

    assert store.queue.due(10) == []
    run = store.claim("export-1", "export__export-1__2#0", IF_FREE_OR_MINE)
    assert run is not None
    assert run.item["generation"] == 2
    clock.advance(services.settings.export_queue_lease.total_seconds() + 1)
    assert store.queue.due(10) == ["export-1"]


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_only_a_finished_job_is_reopened(
    store: ExportStore, services: Services, status: str
) -> None:
    store.create(export_job())
    if status == "processing":
        store.claim("export-1", "run", IF_FREE_OR_MINE)
    with pytest.raises(ConditionFailed):
        store.reopen("export-1")


def test_a_reopened_job_starts_afresh(store: ExportStore) -> None:
    store.create(export_job())
    claim = store.claim("export-1", "run-1#0", IF_FREE_OR_MINE)
    assert claim is not None
    store.fail(claim, "malformed_record", "no", [])
    store.reopen("export-1")
    item = store.get("export-1")
    assert (item["status"], item["attempts"]) == ("pending", 0)
    assert "error" not in item
    assert store.claim("export-1", "run-1#1", IF_FREE_OR_MINE) is not None


@pytest.mark.parametrize("status", sorted(set(MOVES) | {"canceled", "unknown"}))
def test_a_job_is_claimed_from_the_statuses_of_the_table_only(
    store: ExportStore, services: Services, status: str
) -> None:
    store.create(export_job())
    services.tables.export_jobs.update(
        "export-1", set={"status": status}, condition="attribute_exists(#id)"
    )
    claim = store.claim("export-1", "run", IF_FREE_OR_MINE)
    assert (claim is not None) == ("processing" in MOVES.get(status, ()))


def test_a_job_that_cannot_be_adopted_does_not_keep_the_others(
    store: ExportStore, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = services.tables.export_jobs.update

    def too_large(key: str, **change: Any) -> Any:
        if key == "a-full-record":
            raise RecordRefused("the item would be too large")
        return update(key, **change)

    monkeypatch.setattr(services.tables.export_jobs, "update", too_large)
    foreign(services, "a-full-record")
    foreign(services, "theirs")
    assert store.adopt(100, Stop()) == ["theirs"]


def test_adoption_has_a_limit_and_listens_to_a_stop(store: ExportStore, services: Services) -> None:
    for n in range(3):
        foreign(services, f"theirs-{n}")
    stopped = Stop()
    stopped.request()
    assert store.adopt(100, stopped) == []
    assert len(store.adopt(2, Stop())) == 2
    assert len(store.adopt(2, Stop())) == 1


def test_an_expired_job_is_neither_adopted_nor_claimed(
    store: ExportStore, services: Services, clock: ManualClock
) -> None:
    foreign(services, "theirs", expiresAt=int(clock().timestamp()) - 1)
    store.create(export_job())
    clock.advance(8 * 86_400)
    assert store.adopt(100, Stop()) == []
    assert store.queue.due(10) == ["export-1"]
    assert store.claim("export-1", "poller") is None
    assert store.drop("export-1")
    assert store.queue.due(10) == []


def test_what_can_never_be_claimed_leaves_the_queue_and_nothing_else_does(
    store: ExportStore, services: Services
) -> None:
    for export_id in ("canceled", "fine"):
        store.create(export_job(export_id))
    services.tables.export_jobs.update(
        "canceled", set={"status": "canceled"}, condition="attribute_exists(#id)"
    )
    assert store.drop("canceled")
    assert not store.drop("fine")
    item = services.tables.export_jobs.get("canceled") or {}
    assert (item["status"], "dueShard" in item) == ("canceled", False)
    assert not store.drop("no-such-export")


def test_an_expired_job_is_gone_though_the_table_still_holds_it(
    store: ExportStore, clock: ManualClock
) -> None:
    store.create(export_job())
    clock.advance(7 * 86_400)
    with pytest.raises(NotFound):
        store.get("export-1")
    with pytest.raises(NotFound):
        store.get("export-2")
