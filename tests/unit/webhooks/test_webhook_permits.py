from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import ConditionFailed
from remit.webhooks.permits import Permits, RateLimits, plan
from tests.support.webhooks import NOW

KEY = ("merchant-1", "default")
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


class Record:
    """The one record that all deliverers share; it does nothing of a table but what limits need."""

    def __init__(self) -> None:
        self.item: dict[str, Any] = {}
        self.writes = self.reads = 0

    def get(self, key: tuple[str, str]) -> dict[str, Any]:
        self.reads += 1
        return dict(self.item)

    def update(
        self,
        key: tuple[str, str],
        *,
        set: Mapping[str, Any],
        condition: str,
        values: Mapping[str, Any],
    ) -> None:
        self.writes += 1
        absent = condition == "attribute_not_exists(#rateNext)"
        assert absent or condition == "#rateNext = :seen"
        if ("rateNext" in self.item) if absent else (self.item.get("rateNext") != values["seen"]):
            raise ConditionFailed("rateNext")
        self.item |= set


def seconds(permits: Permits) -> list[float]:
    return [(moment - NOW).total_seconds() for moment in permits.moments]


def deferred(permits: Permits) -> list[float]:
    return [(moment - NOW).total_seconds() for moment in permits.deferred]


def in_bound(moments: list[datetime], rate: int) -> bool:
    """Whether no window of T seconds has more than rate * T + rate of these moments.

    The windows that count are those from one of the moments to another.
    """
    ordered = sorted(moments)
    return all(
        later - at + 1 <= rate * (ordered[later] - ordered[at]).total_seconds() + rate + 1e-6
        for at in range(len(ordered))
        for later in range(at, len(ordered))
    )


def test_a_seconds_worth_may_go_at_once_and_the_rest_evenly() -> None:
    planned = plan(NOW - HOUR, 4, 7, NOW, NOW + HOUR)
    assert seconds(planned.permits) == [0, 0, 0, 0, 0.25, 0.5, 0.75]
    assert planned.next == NOW + timedelta(seconds=7 / 4)
    again = plan(planned.next, 4, 2, NOW, NOW + HOUR)
    assert seconds(again.permits) == [1, 1.25]


def test_once_per_second_has_no_burst() -> None:
    assert seconds(plan(NOW, 1, 3, NOW, NOW + HOUR).permits) == [0, 1, 2]


def test_what_would_be_after_the_horizon_is_deferred_and_not_taken() -> None:
    planned = plan(NOW, 2, 6, NOW, NOW + timedelta(seconds=1))
    assert seconds(planned.permits) == [0, 0, 0.5, 1]
    assert deferred(planned.permits) == [1.5, 2]
    assert planned.next == NOW + timedelta(seconds=2)


def test_after_a_pause_there_is_one_burst_and_not_all_that_was_missed() -> None:
    first, later = plan(NOW, 3, 3, NOW, NOW + HOUR), NOW + HOUR
    moments = plan(first.next, 3, 4, later, later + HOUR).permits.moments
    # Rounded up by a microsecond where the interval is no whole number of them.
    assert [(moment - later) // TICK for moment in moments] == [0, 0, 1, 333_334]


@given(
    ahead=st.timedeltas(-HOUR, HOUR),
    rate=st.integers(1, 2_000),
    count=st.integers(0, 60),
    horizon=st.timedeltas(timedelta(0), timedelta(seconds=90)),
)
def test_a_plan_gives_every_send_a_moment_in_order_and_takes_those_up_to_the_horizon(
    ahead: timedelta, rate: int, count: int, horizon: timedelta
) -> None:
    planned = plan(NOW + ahead, rate, count, NOW, NOW + horizon)
    moments, later = planned.permits.moments, planned.permits.deferred
    assert len(moments) + len(later) == count
    assert [*moments, *later] == sorted((*moments, *later))
    assert all(NOW <= moment <= NOW + horizon for moment in moments)
    assert all(moment > NOW + horizon for moment in later)
    assert planned.next >= max(NOW + ahead, NOW)
    taken = timedelta(seconds=len(moments)) / rate
    assert abs(planned.next - max(NOW + ahead, NOW) - taken) <= TICK


DELIVERERS = 4
STEPS = st.lists(
    st.tuples(
        st.integers(0, DELIVERERS - 1),
        st.integers(0, 25),  # sends
        st.timedeltas(timedelta(0), timedelta(seconds=3)),  # since the step before
        st.timedeltas(timedelta(seconds=-2), timedelta(seconds=2)),  # the clock is wrong by that
        st.timedeltas(timedelta(0), timedelta(seconds=20)),  # horizon
        st.booleans(),  # it has just read the record
    ),
    max_size=25,
)


@given(rate=st.integers(1, 40), steps=STEPS)
def test_however_deliverers_alternate_no_window_has_more_than_its_rate_and_one_burst(
    rate: int, steps: list[tuple[int, int, timedelta, timedelta, timedelta, bool]]
) -> None:
    record = Record()
    limits = [RateLimits(record) for _ in range(DELIVERERS)]
    now, moments = NOW, []
    for number, count, passed, wrong, horizon, reads in steps:
        now += passed
        if reads:
            limits[number] = RateLimits(record)
        at = now + wrong
        permits = limits[number].acquire(KEY, rate, count, at, at + horizon)
        assert len(permits.moments) + len(permits.deferred) == count
        moments += permits.moments
    assert in_bound(moments, rate)


@given(
    rate=st.integers(1, 1_000),
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=10),
)
def test_taken_in_parts_there_is_as_much_as_at_once(rate: int, counts: list[int]) -> None:
    limits = RateLimits(Record())
    parts = [
        moment
        for count in counts
        for moment in limits.acquire(KEY, rate, count, NOW, NOW + HOUR).moments
    ]
    whole = plan(NOW, rate, sum(counts), NOW, NOW + HOUR).permits.moments
    assert len(parts) == len(whole)
    # Every part may be rounded up by a microsecond.
    assert all(abs(a - b) <= TICK * len(counts) for a, b in zip(parts, whole, strict=True))


def test_many_permits_are_one_write_and_no_read_once_the_number_is_known() -> None:
    record = Record()
    limits = RateLimits(record)
    for second in range(3):
        now = NOW + timedelta(seconds=second)
        assert len(limits.acquire(KEY, 50, 50, now, now + HOUR).moments) == 50
    assert (record.writes, record.reads) == (3, 1)


def test_another_ones_write_in_between_is_one_read_and_one_write_more() -> None:
    record = Record()
    one, other = RateLimits(record), RateLimits(record)
    assert seconds(one.acquire(KEY, 2, 2, NOW, NOW + HOUR)) == [0, 0]
    assert seconds(other.acquire(KEY, 2, 2, NOW, NOW + HOUR)) == [0.5, 1]
    reads, writes = record.reads, record.writes
    assert seconds(one.acquire(KEY, 2, 1, NOW, NOW + HOUR)) == [1.5]
    assert (record.reads - reads, record.writes - writes) == (1, 2)


def test_where_nothing_can_be_taken_nothing_is_written() -> None:
    record = Record()
    limits = RateLimits(record)
    limits.acquire(KEY, 1, 10, NOW, NOW + HOUR)
    writes = record.writes
    permits = limits.acquire(KEY, 1, 2, NOW, NOW + timedelta(seconds=5))
    assert (seconds(permits), deferred(permits)) == ([], [10, 11])
    assert limits.acquire(KEY, 1, 0, NOW, NOW + HOUR) == Permits()
    assert record.writes == writes


class Contended(Record):
    """Somebody else is always faster."""

    def update(self, key: tuple[str, str], **change: Any) -> None:
        self.writes += 1
        raise ConditionFailed("rateNext")


def test_where_others_are_always_faster_all_is_deferred_in_the_end() -> None:
    record = Contended()
    permits = RateLimits(record).acquire(KEY, 2, 3, NOW, NOW + timedelta(seconds=60))
    assert (seconds(permits), deferred(permits)) == ([], [60, 60.5, 61])
    assert record.writes <= 10


@pytest.mark.parametrize("number", ["soon", 17, None, {"a": "b"}])
def test_a_number_that_cannot_be_read_is_written_over(number: Any) -> None:
    record = Record()
    record.item["rateNext"] = number
    assert seconds(RateLimits(record).acquire(KEY, 2, 2, NOW, NOW + HOUR)) == [0, 0]
    assert record.item == {"rateNext": "2026-11-23T12:00:01.000000Z"}
