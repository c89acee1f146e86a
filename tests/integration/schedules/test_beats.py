"""The index, asked as a run would ask it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from remit.audit import Actor
from remit.clock import parse_instant
from remit.schedules.beats import ScheduleIndex, Slots, beats_in
from remit.schedules.schedule import Schedule
from remit.schedules.store import ScheduleStore
from remit.services import Services
from tests.support.clock import ManualClock
from tests.support.standins import StandIns
from tests.unit.schedules.building import rules

HOUR = timedelta(hours=1)
ACTOR = Actor("ada@example.com")


@pytest.fixture
def store(services: Services) -> ScheduleStore:
    return ScheduleStore(services)


@pytest.fixture
def index(services: Services) -> ScheduleIndex:
    return ScheduleIndex(services.tables)


def create(store: ScheduleStore, number: int, **values: Any) -> Schedule:
    return store.create(f"merchant-{number}", {"cadence": "daily", **values}, rules(), actor=ACTOR)


def found(index: ScheduleIndex, end: str, hours: int = 1, **how: Any) -> dict[str, list[str]]:
    """Merchant to its periods that end in the hours until then."""
    instant = parse_instant(end)
    return {
        schedule.merchant_id: [period.name for period in periods]
        for schedule, periods in index.ending_in(instant - hours * HOUR, instant, **how)
    }


def test_a_run_finds_those_whose_period_ends_in_its_interval(
    store: ScheduleStore, index: ScheduleIndex
) -> None:
    create(store, 1, timezone="Asia/Kathmandu")
    create(store, 2, timezone="Europe/Berlin")
    create(store, 3, cadence="hourly", timezone="Asia/Kathmandu")
    create(store, 4, cadence="weekly", weekday="wednesday", timezone="Europe/Berlin")
    create(store, 5, cadence="monthly", timezone="Europe/Berlin")

    assert found(index, "2026-11-24T19:00:00Z") == {
        "merchant-1": ["2026-11-24"],
        "merchant-3": ["2026-11-24T23+05:45"],
    }
    assert found(index, "2026-11-24T23:00:00Z").keys() == {"merchant-2", "merchant-3", "merchant-4"}
    assert found(index, "2026-11-30T23:00:00Z").keys() == {"merchant-2", "merchant-3", "merchant-5"}
    assert found(index, "2026-11-24T13:00:00Z").keys() == {"merchant-3"}


def test_a_longer_interval_has_all_its_periods(store: ScheduleStore, index: ScheduleIndex) -> None:
    create(store, 1, active_from="2026-10-24", timezone="Europe/Berlin")
    assert found(index, "2026-10-27T00:00:00Z", hours=72) == {
        "merchant-1": ["2026-10-24", "2026-10-25", "2026-10-26"]
    }


def test_a_past_interval_is_found_as_well_again_and_in_any_order(
    store: ScheduleStore, index: ScheduleIndex
) -> None:
    create(store, 1, active_from="2026-01-01")
    ends = ["2026-11-24T00:00:00Z", "2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z"]
    names = [found(index, end) for end in ends]
    assert names == [
        {"merchant-1": ["2026-11-23"]},
        {"merchant-1": ["2026-01-31"]},
        {"merchant-1": ["2026-01-31"]},
    ]
    assert found(index, "2026-01-01T00:00:00Z") == {}


def test_what_is_paused_deleted_or_over_is_not_found(
    store: ScheduleStore, index: ScheduleIndex
) -> None:
    paused, deleted = create(store, 1), create(store, 2)
    create(store, 3, active_until="2026-11-23")
    store.pause(paused.merchant_id, paused.id, actor=ACTOR)
    store.delete(deleted.merchant_id, deleted.id, actor=ACTOR)

    assert found(index, "2026-11-24T00:00:00Z").keys() == {"merchant-3"}
    assert found(index, "2026-11-25T00:00:00Z") == {}


def test_an_index_that_is_behind_does_not_decide(
    store: ScheduleStore, index: ScheduleIndex, services: Services
) -> None:
    paused, deleted = create(store, 1), create(store, 2)
    store.pause(paused.merchant_id, paused.id, actor=ACTOR)
    # As it was a moment ago.
    services.tables.schedules.update(
        (paused.merchant_id, paused.id),
        set={"beat": "daily/UTC", "slot": 1},
        condition="attribute_exists(#id)",
    )
    assert index.count(["daily/UTC"], 10) == 2
    assert found(index, "2026-11-24T00:00:00Z").keys() == {deleted.merchant_id}


def test_ranges_of_slots_share_out_all_of_them(
    store: ScheduleStore, index: ScheduleIndex, standins: StandIns
) -> None:
    for number in range(230):  # more than are read at once
        create(store, number)
    parts = [found(index, "2026-11-24T00:00:00Z", slots=part) for part in Slots.cut(3)]
    assert sum(map(len, parts)) == len({merchant for part in parts for merchant in part}) == 230
    assert min(map(len, parts)) > 30
    assert len(found(index, "2026-11-24T00:00:00Z")) == 230


def test_those_that_may_be_due_are_counted_to_a_limit(
    store: ScheduleStore, index: ScheduleIndex
) -> None:
    for number in range(5):
        create(store, number, timezone=["UTC", "Europe/London"][number % 2])
    midnight = datetime.fromisoformat("2026-11-24T00:00:00+00:00")
    beats = beats_in(midnight - HOUR, midnight)
    assert (index.count(beats, 100), index.count(beats, 4)) == (5, 4)


def test_a_run_with_nothing_to_do_asks_little(
    store: ScheduleStore, index: ScheduleIndex, standins: StandIns, clock: ManualClock
) -> None:
    create(store, 1)
    standins.queries.seen.clear()
    assert found(index, "2026-11-24T13:00:00Z") == {}
    assert 0 < len(standins.queries.seen) < 100
