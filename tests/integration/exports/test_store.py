from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from remit.clock import parse_instant
from remit.errors import (
    AlreadyExists,
    ConditionFailed,
    Conflict,
    LeaseLost,
    NotFound,
    RecordRefused,
    StoreUnavailable,
)
from remit.exports.job import MOVES, status_of
from remit.exports.last_error import LastError
from remit.exports.progress import progress_of
from remit.exports.store import IF_FREE_OR_MINE, ExportStore
from remit.queue import Claim
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

    assert store.hand_over(claim) == "export__export-1__2"

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


def test_a_reopened_job_names_nothing_of_its_last_result(store: ExportStore) -> None:
    store.create(export_job())
    before = store.get("export-1")
    claim = store.claim("export-1", "run-1#0", IF_FREE_OR_MINE)
    assert claim is not None
    store.queue.write(claim, set={"slices": 2})
    store.slice_done(claim, 0, 1, 10)
    names = ("rows", "bytes", "files", "checksum", "resultKey", "resultURL", "manifestKey")
    names += ("rejects", "rejectsKey", "totals", "range", "asOf")
    result: dict[str, Any] = dict.fromkeys(names, "of generation 1")
    store.complete(claim, result, [])

    store.reopen("export-1")

    assert store.get("export-1").keys() == before.keys() - {"activeFor"} | {"owner"}


def reopen(store: ExportStore, claim: Claim) -> None:
    store._table.update(claim.key, remove=["claim"], condition="attribute_exists(#id)")
    store.reopen(claim.key)


def drop(store: ExportStore, claim: Claim) -> None:
    over = {"expiresAt": int(store._clock().timestamp()), "dueAt": "2026-01-01T00:00:00.000000Z"}
    store._table.update(claim.key, set=over, condition="attribute_exists(#id)")
    store.drop(claim.key)


def an_error(held: Claim) -> LastError:
    return LastError.after(StoreUnavailable("no"), held.item, parse_instant("2026-11-23T12:00:00Z"))


OPERATIONS: dict[str, tuple[str, Callable[[ExportStore, Claim], object]]] = {
    "claim": ("processing", lambda store, held: store.claim(held.key, "run#0", IF_FREE_OR_MINE)),
    "release": ("pending", lambda store, held: store.release(held)),
    "put off": ("pending", lambda store, held: store.put_off(held, an_error(held))),
    "hand over": ("pending", lambda store, held: store.hand_over(held)),
    "reopen": ("pending", reopen),
    "complete": ("completed", lambda store, held: store.complete(held, {"rows": 1}, [])),
    "fail": ("failed", lambda store, held: store.fail(held, "a_code", "why", [])),
    "cancel": ("canceled", lambda store, held: store.cancel(held.key, "merchant-1", "me")),
    "drop": ("expired", drop),
}
"""What moves a job, and the status that it moves it to."""


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_job_is_moved_exactly_if_the_table_of_moves_has_it(
    store: ExportStore, services: Services, operation: str
) -> None:
    after, move = OPERATIONS[operation]
    for before in (*MOVES, "unknown"):
        store.create(export_job(before))
        held = store.claim(before, "run#0", IF_FREE_OR_MINE)
        assert held is not None
        # Nothing but the status stands in the way.
        services.tables.export_jobs.update(
            before,
            set={"status": before, "updatedAt": "before"},
            condition="attribute_exists(#id)",
        )

        with suppress(ConditionFailed, Conflict, LeaseLost):
            move(store, held)

        item = store.get(before)
        moved = item["updatedAt"] != "before"
        assert moved == (after in MOVES.get(before, ())), f"{before} to {after}"
        assert item["status"] == (after if moved else before)


def test_the_table_names_no_status_that_it_does_not_have_itself() -> None:
    assert {status for after in MOVES.values() for status in after} <= set(MOVES)
    assert {after for after, _ in OPERATIONS.values()} == set(MOVES)


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
    assert store.get("export-1")["status"] == "expired"


def test_an_expired_job_is_not_taken_from_whom_still_renders_it(
    store: ExportStore, clock: ManualClock
) -> None:
    store.create(export_job())
    clock.advance(7 * 86_400 - 1)
    claim = store.claim("export-1", "run", IF_FREE_OR_MINE)
    assert claim is not None
    clock.advance(2)
    assert not store.drop("export-1")
    store.complete(claim, {"rows": 1}, [])
    assert status_of(store.get("export-1"), clock()) == "expired"


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


def test_a_job_whose_time_is_up_is_expired_as_long_as_the_table_still_holds_it(
    store: ExportStore, clock: ManualClock
) -> None:
    store.create(export_job())
    clock.advance(7 * 86_400 - 1)
    assert status_of(store.get("export-1"), clock()) == "pending"
    clock.advance(1)
    assert status_of(store.get("export-1"), clock()) == "expired"
    with pytest.raises(ConditionFailed):
        store.reopen("export-1")
    with pytest.raises(NotFound):
        store.get("export-2")


def test_slices_that_are_rendered_at_once_do_not_overwrite_each_others_progress(
    store: ExportStore,
) -> None:
    store.create(export_job())
    claim = store.claim("export-1", "run", IF_FREE_OR_MINE)
    assert claim is not None
    assert claim.item["progress"] == {}
    store.queue.write(claim, set={"slices": 8})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.slice_done(claim, n, 10 * n, 100 * n), range(1, 5)))
    store.slice_done(claim, 4, 40, 400)  # rendered twice

    progress = progress_of(store.get("export-1"))
    assert (progress.rows, progress.bytes) == (100, 1000)
    assert (progress.slices_done, progress.slices, progress.percent) == (4, 8, 50)


def test_a_new_claim_forgets_what_the_last_one_has_rendered(
    store: ExportStore, clock: ManualClock
) -> None:
    store.create(export_job())
    first = store.claim("export-1", "run", IF_FREE_OR_MINE)
    assert first is not None
    store.slice_done(first, 0, 10, 100)
    again = store.claim("export-1", "run", IF_FREE_OR_MINE)
    assert again is not None
    assert progress_of(again.item).rows == 0
    with pytest.raises(LeaseLost):
        store.slice_done(first, 1, 10, 100)
