from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from remit.audit import Actor
from remit.errors import Conflict, InvalidRequest, NotFound
from remit.schedules.schedule import MAX_SCHEDULES, Schedule
from remit.schedules.schedule_request import Rules
from remit.schedules.store import ScheduleStore
from remit.services import Services
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.unit.schedules.building import ID, rules

MERCHANT = "merchant-1"
ACTOR = Actor("ada@example.com")
RULES = rules("s3://lake/")


@pytest.fixture
def store(services: Services) -> ScheduleStore:
    return ScheduleStore(services)


def create(store: ScheduleStore, merchant: str = MERCHANT, **values: Any) -> Schedule:
    return store.create(merchant, {"cadence": "daily", **values}, RULES, actor=ACTOR)


def record_of(services: Services, schedule: Schedule) -> dict[str, Any]:
    record = services.tables.schedules.get((schedule.merchant_id, schedule.id))
    assert record is not None
    return record


def roster_of(services: Services) -> Any:
    roster = services.tables.schedules.get((MERCHANT, "#roster")) or {}
    return roster.get("schedules", frozenset())


def test_what_is_created_is_stored(store: ScheduleStore, services: Services) -> None:
    one = create(
        store,
        cadence="weekly",
        weekday="sunday",
        timezone="Asia/Kathmandu",
        columns=["payment_id"],
        destination="s3://lake/mine/",
        refresh_periods=2,
    )
    assert store.get(MERCHANT, one.id) == one
    assert list(store.list(MERCHANT)) == [one]
    assert roster_of(services) == {one.id}
    (entry,) = entries_of(services, MERCHANT)
    assert (entry.action, entry.actor, entry.target) == ("schedules.created", ACTOR, one.id)
    assert entry.details["cadence"] == "weekly"


def test_a_merchant_has_its_own_schedules_the_oldest_first(
    store: ScheduleStore, clock: ManualClock
) -> None:
    mine = []
    for _ in range(3):
        mine.append(create(store))
        clock.advance(1)
    create(store, "merchant-2")
    assert list(store.list(MERCHANT)) == mine
    assert list(store.list("merchant-3")) == []


@pytest.mark.parametrize("merchant", ["merchant-2", "merchant-1 "])
def test_another_merchants_schedule_is_not_there(store: ScheduleStore, merchant: str) -> None:
    one = create(store)
    for call in (
        lambda: store.get(merchant, one.id),
        lambda: store.change(merchant, one.id, {}, RULES, actor=ACTOR),
        lambda: store.pause(merchant, one.id, actor=ACTOR),
        lambda: store.resume(merchant, one.id, actor=ACTOR),
        lambda: store.delete(merchant, one.id, actor=ACTOR),
    ):
        with pytest.raises(NotFound):
            call()
    assert store.get(MERCHANT, one.id) == one


@pytest.mark.parametrize("schedule", ["#roster", "", "x", ID, "../x", ID + "\x00", "x" * 5000])
def test_what_is_no_schedules_id_finds_none(store: ScheduleStore, schedule: str) -> None:
    create(store)
    with pytest.raises(NotFound):
        store.get(MERCHANT, schedule)


def test_what_is_no_merchants_id_is_refused(store: ScheduleStore) -> None:
    for call in (lambda: create(store, ""), lambda: store.list("\n"), lambda: store.get("", ID)):
        with pytest.raises(InvalidRequest):
            call()


def test_what_is_refused_stores_nothing(store: ScheduleStore, services: Services) -> None:
    with pytest.raises(InvalidRequest):
        create(store, cadence="yearly")
    assert list(store.list(MERCHANT)) == []
    assert entries_of(services, MERCHANT) == []
    assert not roster_of(services)


def test_a_creation_that_was_broken_off_is_taken_up_again(
    store: ScheduleStore, services: Services, clock: ManualClock
) -> None:
    values, at = {"cadence": "daily"}, clock()
    first = store.create(MERCHANT, values, RULES, actor=ACTOR, id=ID, at=at)
    clock.advance(60)
    again = store.create(MERCHANT, values, RULES, actor=ACTOR, id=ID, at=at)

    assert again == first
    assert list(store.list(MERCHANT)) == [first]
    assert len(entries_of(services, MERCHANT)) == 1


def test_nobody_has_more_than_the_limit(store: ScheduleStore, services: Services) -> None:
    full(services)
    with pytest.raises(Conflict, match="100 schedules"):
        create(store)
    assert list(store.list(MERCHANT)) == []
    assert entries_of(services, MERCHANT) == []
    assert create(store, "merchant-2")


def test_at_the_limit_a_creation_is_still_taken_up_again(
    store: ScheduleStore, services: Services, clock: ManualClock
) -> None:
    full(services, MAX_SCHEDULES - 1)
    again = [
        store.create(MERCHANT, {"cadence": "daily"}, RULES, actor=ACTOR, id=ID, at=clock())
        for _ in range(2)
    ]
    assert again[0] == again[1]


def test_of_many_that_are_created_at_once_none_is_too_many(
    store: ScheduleStore, services: Services
) -> None:
    full(services, MAX_SCHEDULES - 3)

    def one(_: int) -> bool:
        try:
            create(store)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(one, range(12))) == 3
    assert len(store.list(MERCHANT)) == 3
    assert len(roster_of(services)) == MAX_SCHEDULES


def test_a_deleted_schedule_makes_room(store: ScheduleStore, services: Services) -> None:
    full(services, MAX_SCHEDULES - 1)
    one = create(store)
    with pytest.raises(Conflict):
        create(store)
    store.delete(MERCHANT, one.id, actor=ACTOR)
    with pytest.raises(NotFound):
        store.get(MERCHANT, one.id)
    with pytest.raises(NotFound):
        store.delete(MERCHANT, one.id, actor=ACTOR)
    assert create(store).id != one.id
    assert [entry.action for entry in entries_of(services, MERCHANT)].count(
        "schedules.deleted"
    ) == 1


def test_a_change_is_stored_and_told(
    store: ScheduleStore, services: Services, clock: ManualClock
) -> None:
    one = create(store, name="a", settle_seconds=60)
    clock.advance(5)
    two = store.change(
        MERCHANT, one.id, {"name": "b", "settle_seconds": None}, RULES, actor=ACTOR, version=1
    )

    assert (two.name, two.version, two.updated_at) == ("b", 2, clock())
    assert store.get(MERCHANT, one.id) == two
    assert "settleSeconds" not in record_of(services, one)
    entry = entries_of(services, MERCHANT)[0]
    assert (entry.action, entry.details) == (
        "schedules.changed",
        {"name": {"old": "a", "new": "b"}, "settleSeconds": {"old": 60, "new": None}},
    )


def test_a_change_to_what_it_is_already_writes_nothing(
    store: ScheduleStore, services: Services
) -> None:
    one = create(store, name="a")
    assert store.change(MERCHANT, one.id, {"name": "a"}, RULES, actor=ACTOR) == one
    assert len(entries_of(services, MERCHANT)) == 1


def test_a_change_from_another_version_is_refused(store: ScheduleStore, services: Services) -> None:
    one = create(store)
    store.change(MERCHANT, one.id, {"name": "a"}, RULES, actor=ACTOR, version=1)
    with pytest.raises(Conflict, match="version 2, and no longer of 1"):
        store.change(MERCHANT, one.id, {"name": "b"}, RULES, actor=ACTOR, version=1)
    assert store.get(MERCHANT, one.id).name == "a"
    assert len(entries_of(services, MERCHANT)) == 2


def between(act: Callable[[], object]) -> Rules:
    """Rules that let another one act, once, after the schedule was read and before it is
    written."""
    left = [act]

    def parse(values: Any) -> Any:
        if left:
            left.pop()()
        return RULES.parse(values)

    return replace(RULES, parse=parse)


def test_a_change_that_loses_the_race_is_made_again_from_what_is_then(
    store: ScheduleStore, services: Services
) -> None:
    one = create(store)
    other = between(lambda: store.change(MERCHANT, one.id, {"name": "b"}, RULES, actor=ACTOR))
    both = store.change(MERCHANT, one.id, {"settle_seconds": 5}, other, actor=ACTOR)
    assert (both.name, both.settle.total_seconds(), both.version) == ("b", 5, 3)
    assert store.get(MERCHANT, one.id) == both
    assert len(entries_of(services, MERCHANT)) == 3


def test_a_change_of_a_version_that_loses_the_race_is_refused(store: ScheduleStore) -> None:
    one = create(store)
    other = between(lambda: store.pause(MERCHANT, one.id, actor=ACTOR))
    with pytest.raises(Conflict):
        store.change(MERCHANT, one.id, {"name": "a"}, other, actor=ACTOR, version=1)
    assert store.get(MERCHANT, one.id).name is None


def test_a_change_of_what_was_deleted_meanwhile_brings_nothing_back(
    store: ScheduleStore, services: Services
) -> None:
    one = create(store)
    other = between(lambda: store.delete(MERCHANT, one.id, actor=ACTOR))
    with pytest.raises(NotFound):
        store.change(MERCHANT, one.id, {"name": "a"}, other, actor=ACTOR)
    assert services.tables.schedules.get((MERCHANT, one.id)) is None


def test_of_changes_of_one_version_at_once_one_is_made(store: ScheduleStore) -> None:
    one = create(store)
    ready = threading.Barrier(4)

    def change(number: int) -> bool:
        ready.wait(10)
        try:
            values = {"name": f"name {number}"}
            store.change(MERCHANT, one.id, values, RULES, actor=ACTOR, version=1)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(change, range(4))) == 1
    assert store.get(MERCHANT, one.id).version == 2


def test_a_paused_schedule_leaves_the_index_until_it_is_resumed(
    store: ScheduleStore, services: Services, clock: ManualClock
) -> None:
    one = create(store)
    place = {name: record_of(services, one)[name] for name in ("beat", "slot")}
    assert place["beat"] == "daily/UTC"

    paused = store.pause(MERCHANT, one.id, actor=ACTOR)
    assert (paused.paused_at, paused.version) == (clock(), 2)
    assert record_of(services, one).keys().isdisjoint(place)
    assert store.pause(MERCHANT, one.id, actor=ACTOR) == paused

    clock.advance(60)
    resumed = store.resume(MERCHANT, one.id, actor=ACTOR)
    assert (resumed.paused_at, resumed.version) == (None, 3)
    assert place.items() <= record_of(services, one).items()
    assert store.resume(MERCHANT, one.id, actor=ACTOR) == resumed
    actions = [entry.action for entry in entries_of(services, MERCHANT)]
    assert sorted(actions) == ["schedules.created", "schedules.paused", "schedules.resumed"]


def test_a_change_of_a_paused_schedule_leaves_it_out_of_the_index(
    store: ScheduleStore, services: Services
) -> None:
    one = create(store)
    store.pause(MERCHANT, one.id, actor=ACTOR)
    changed = store.change(MERCHANT, one.id, {"cadence": "hourly"}, RULES, actor=ACTOR)
    assert changed.paused_at is not None
    assert "beat" not in record_of(services, one)
    store.resume(MERCHANT, one.id, actor=ACTOR)
    assert record_of(services, one)["beat"] == "hourly"


def full(services: Services, count: int = MAX_SCHEDULES) -> None:
    """So many schedules of the merchant are counted."""
    ids = frozenset(f"schedule-{number:026d}" for number in range(1, count + 1))
    roster = {"merchantID": MERCHANT, "id": "#roster", "schedules": ids}
    services.tables.schedules.put(roster)
