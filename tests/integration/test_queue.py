from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from remit.errors import LeaseLost
from remit.queue import SHARDS, DueQueue, queued, shard_of
from remit.services import Services
from tests.support.clock import ManualClock

LEASE = timedelta(seconds=60)


@pytest.fixture
def queue(services: Services) -> DueQueue:
    return services.export_queue


def put(queue: DueQueue, key: str, due_in: float = 0, **more: Any) -> None:
    queue.table.put({"id": key, **queued(key, queue.now() + timedelta(seconds=due_in)), **more})


def test_what_is_due_comes_in_the_order_of_time_over_all_shards(queue: DueQueue) -> None:
    for n in range(40):
        put(queue, f"job-{n:02d}", due_in=-n)
    put(queue, "later", due_in=1)

    assert queue.due(100) == [f"job-{n:02d}" for n in reversed(range(40))]
    assert queue.due(3) == ["job-39", "job-38", "job-37"]
    assert len({shard_of(f"job-{n:02d}") for n in range(40)}) > SHARDS // 2


def test_all_that_is_due_is_read_page_by_page_as_it_is_asked_for(
    queue: DueQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(40):
        put(queue, f"job-{n:02d}", due_in=-n)
    asked: list[dict[str, Any]] = []
    query = queue.table.client.query

    def counted(**request: Any) -> Any:
        asked.append(request)
        return query(**request)

    monkeypatch.setattr(queue.table.client, "query", counted)
    keys = queue.each_due(2)
    assert next(keys) == "job-39"
    assert len(asked) == SHARDS
    assert list(keys) == [f"job-{n:02d}" for n in reversed(range(39))]
    assert {request["Limit"] for request in asked} == {2}


def test_some_shards_can_be_asked_for(queue: DueQueue) -> None:
    for n in range(40):
        put(queue, f"job-{n:02d}")
    parts = [queue.due(100, [shard]) for shard in range(SHARDS)]
    assert sorted(key for part in parts for key in part) == sorted(queue.due(100))
    assert all(shard_of(key) == shard for shard, part in enumerate(parts) for key in part)


def test_a_claim_hides_the_record_until_its_lease_ends(queue: DueQueue, clock: ManualClock) -> None:
    put(queue, "job")
    claim = queue.claim("job", LEASE, add={"attempts": 1})
    assert claim is not None
    assert claim.item["attempts"] == 1
    assert (queue.due(10), queue.claim("job", LEASE)) == ([], None)

    clock.advance(60)
    assert queue.due(10) == ["job"]
    assert queue.claim("job", LEASE) is not None


def test_what_is_not_due_or_not_queued_cannot_be_claimed(queue: DueQueue) -> None:
    put(queue, "later", due_in=1)
    queue.table.put({"id": "finished"})
    assert queue.claim("later", LEASE) is None
    assert queue.claim("finished", LEASE) is None
    assert queue.claim("missing", LEASE) is None
    assert queue.table.get("missing") is None, "a claim never creates a record"


def test_of_many_that_claim_at_once_one_succeeds(queue: DueQueue) -> None:
    put(queue, "job")
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda _: queue.claim("job", LEASE), range(16)))
    assert len([claim for claim in claims if claim is not None]) == 1


def test_the_heartbeat_moves_the_end_of_the_lease(queue: DueQueue, clock: ManualClock) -> None:
    put(queue, "job")
    claim = queue.claim("job", LEASE)
    assert claim is not None
    clock.advance(59)
    queue.extend(claim, LEASE, {"progressRows": 5})
    clock.advance(59)
    assert queue.due(10) == []
    assert (queue.table.get("job") or {})["progressRows"] == 5


@pytest.mark.parametrize(
    "write",
    [
        lambda queue, claim: queue.extend(claim, LEASE),
        lambda queue, claim: queue.release(claim, queue.now()),
        lambda queue, claim: queue.finish(claim, {"status": "done"}),
        lambda queue, claim: queue.write(claim, set={"status": "done"}),
    ],
    ids=["extend", "release", "finish", "write"],
)
def test_a_worker_that_lost_its_lease_can_write_nothing(
    queue: DueQueue, clock: ManualClock, write: Any
) -> None:
    put(queue, "job")
    stale = queue.claim("job", LEASE)
    clock.advance(61)
    assert queue.claim("job", LEASE) is not None
    before = queue.table.get("job")

    with pytest.raises(LeaseLost):
        write(queue, stale)

    assert queue.table.get("job") == before


def test_released_and_finished_records_leave_as_they_should(
    queue: DueQueue, clock: ManualClock
) -> None:
    put(queue, "back")
    put(queue, "done")
    back, done = queue.claim("back", LEASE), queue.claim("done", LEASE)
    assert back is not None
    assert done is not None

    queue.release(back, clock() + timedelta(seconds=5))
    queue.finish(done, {"status": "done"})

    assert queue.due(10) == []
    clock.advance(5)
    assert queue.due(10) == ["back"]
    assert queue.table.get("done") == {"id": "done", "status": "done"}
