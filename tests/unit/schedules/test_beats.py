from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remit.clock import parse_instant
from remit.exports.zones import time_zones
from remit.schedules.beats import SLOTS, Slots, beat_of, beats_in, place_of
from remit.schedules.periods import Cadence, Rhythm
from tests.unit.schedules.building import NOW, schedule

HOUR = timedelta(hours=1)


def struck(end: str) -> set[str]:
    """The beats of the hour that ends then."""
    instant = parse_instant(end)
    return set(beats_in(instant - HOUR, instant))


def test_a_beat_is_a_rhythm_and_a_zone() -> None:
    beats = [
        beat_of(schedule("daily")),
        beat_of(schedule("weekly")),
        beat_of(schedule("weekly", 6, {})),
        beat_of(schedule("monthly", options={"timezone": "Asia/Kathmandu"})),
        beat_of(schedule("hourly")),
    ]
    assert beats == [
        "daily/Europe/Berlin",
        "weekly.monday/Europe/Berlin",
        "weekly.sunday/UTC",
        "monthly/Asia/Kathmandu",
        "hourly",
    ]


def test_midnight_is_when_it_strikes() -> None:
    assert {"daily/Asia/Kathmandu", "hourly"} <= struck("2026-11-23T19:00:00Z")
    assert "daily/Asia/Kathmandu" not in struck("2026-11-23T18:00:00Z")
    assert "daily/Europe/Berlin" in struck("2026-11-22T23:00:00Z")
    assert "daily/Europe/Berlin" not in struck("2026-11-23T00:00:00Z")
    assert "daily/UTC" in struck("2026-11-23T00:00:00Z")


def test_weeks_and_months_strike_with_their_last_day() -> None:
    berlin = {beat for beat in struck("2026-11-30T23:00:00Z") if beat.endswith("/Europe/Berlin")}
    assert berlin == {
        "daily/Europe/Berlin",
        "monthly/Europe/Berlin",
        "weekly.tuesday/Europe/Berlin",
    }


def test_an_hour_has_few_beats_and_a_day_has_those_of_all_zones() -> None:
    assert 5 < len(struck("2026-11-24T12:00:00Z")) < 150
    day = beats_in(NOW, NOW + timedelta(days=1))
    assert {f"daily/{zone}" for zone in time_zones()} <= set(day)
    assert len(day) == len(set(day))


def test_no_time_has_no_beats() -> None:
    assert beats_in(NOW, NOW) == []


@settings(deadline=None, max_examples=25)
@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    st.timedeltas(timedelta(minutes=1), timedelta(days=40)),
    st.sampled_from([Rhythm(Cadence.HOURLY), Rhythm(Cadence.DAILY), Rhythm(Cadence.MONTHLY)]),
    st.sampled_from(["UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana"]),
)
def test_whoever_has_a_period_that_ends_is_found(
    start: datetime, length: timedelta, rhythm: Rhythm, zone: str
) -> None:
    one = schedule(
        rhythm.cadence, options={"timezone": zone}, created_at=datetime(2019, 1, 1, tzinfo=UTC)
    )
    ends = bool(list(one.periods_ending_in(start, start + length)))
    found = beat_of(one) in beats_in(start, start + length)
    assert found == ends or (rhythm.cadence is Cadence.HOURLY and found)


def test_a_paused_schedule_has_no_place() -> None:
    assert place_of(schedule(paused_at=NOW)) == {}
    place = place_of(schedule())
    assert place["beat"] == "daily/Europe/Berlin"
    assert 0 <= place["slot"] < SLOTS


@pytest.mark.parametrize("parts", [1, 3, 16, 100])
def test_the_parts_have_each_slot_once(parts: int) -> None:
    found = [slot for part in Slots.cut(parts) for slot in range(part.first, part.end)]
    assert found == list(range(SLOTS))
