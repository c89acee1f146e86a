from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remit.aws.items import decode_item, encode_item
from remit.clock import format_instant
from remit.exports.request import parse_request
from remit.schedules.schedule import record_of, schedule_in, scheduled_export_id
from tests.support.exports import REPORTS
from tests.unit.schedules.building import NOW, schedule

DAY = timedelta(days=1)
EVERYTHING: dict[str, Any] = {
    "cadence": "weekly",
    "weekday": 6,
    "options": {"report": "refunds", "columns": ["refund_id"], "min_amount": 2**53 + 1},
    "version": 7,
    "updated_at": NOW + DAY,
    "name": "Refunds",
    "description": "of the week",
    "active_from": "2026-12-01",
    "active_until": "2027-12-01T00:00:00+01:00",
    "notify": False,
    "settle": timedelta(hours=2),
    "refresh_periods": 3,
    "destination": "s3://lake/refunds/",
    "paused_at": NOW + DAY,
}


def names(*args: Any, **changes: Any) -> list[str]:
    start, end = args
    return [one.name for one in schedule(**changes).periods_ending_in(start, end)]


@pytest.mark.parametrize(
    "changes", [{}, EVERYTHING, *({name: value} for name, value in EVERYTHING.items())]
)
def test_a_record_has_all_of_a_schedule(changes: dict[str, Any]) -> None:
    one = schedule(**{k: v for k, v in changes.items() if k != "weekday" or "cadence" in changes})
    assert schedule_in(decode_item(encode_item(record_of(one)))) == one


def test_a_record_has_nothing_that_is_as_by_default() -> None:
    assert record_of(schedule()).keys() == {
        "merchantID",
        "id",
        "cadence",
        "options",
        "createdAt",
        "updatedAt",
        "version",
    }


def test_an_export_has_the_options_and_the_dates_of_its_period() -> None:
    one = schedule(options={"timezone": "Asia/Kathmandu", "format": "parquet"})
    period = one.next_period(NOW)
    assert period is not None
    request = parse_request(one.values_for(period), REPORTS)
    assert (request.format, request.start_date, request.end_date) == (
        "parquet",
        "2026-11-23",
        "2026-11-23",
    )
    assert format_instant(request.range.end) == "2026-11-23T18:15:00.000000Z"


def test_by_default_periods_count_that_end_after_the_schedule_was_created() -> None:
    assert names(NOW - 9 * DAY, NOW + 2 * DAY) == ["2026-11-23", "2026-11-24"]


def test_only_what_ends_between_active_from_and_active_until_counts() -> None:
    window = {"active_from": "2026-11-10", "active_until": "2026-11-12"}
    assert names(NOW - 30 * DAY, NOW, **window) == ["2026-11-10", "2026-11-11", "2026-11-12"]
    month = {"cadence": "monthly", "active_from": "2026-11-10", "active_until": "2027-01-31"}
    year = (NOW - 30 * DAY, NOW + 300 * DAY)
    assert names(*year, **month) == ["2026-11", "2026-12", "2027-01"]
    assert names(*year, **{**month, "active_until": "2027-01-30"}) == ["2026-11", "2026-12"]


def test_a_paused_schedule_has_no_periods() -> None:
    paused = schedule(paused_at=NOW)
    assert list(paused.periods_ending_in(NOW, NOW + 3 * DAY)) == []
    assert paused.next_period(NOW) is None


def test_the_next_period_is_the_one_that_ends_next() -> None:
    one = schedule(active_until="2026-11-24")
    found = [one.next_period(NOW + hours * timedelta(hours=1)) for hours in (0, 11, 34, 35)]
    assert [period and period.name for period in found] == [
        "2026-11-23",
        "2026-11-24",
        "2026-11-24",
        None,
    ]
    later = schedule(active_from="2027-03-28").next_period(NOW)
    assert later is not None
    assert later.name == "2027-03-28"


def test_what_is_refreshed_are_the_periods_before_that_the_schedule_had() -> None:
    one = schedule(refresh_periods=3)
    *_, last = one.periods_ending_in(NOW, NOW + 10 * DAY)
    assert [period.name for period in one.refreshed(last)] == [
        "2026-11-29",
        "2026-11-30",
        "2026-12-01",
    ]
    _, second = one.periods_ending_in(NOW, NOW + 2 * DAY)
    assert [period.name for period in one.refreshed(second)] == ["2026-11-23"]
    assert schedule().refreshed(last) == []


def test_the_id_of_an_export_depends_on_merchant_options_and_period_alone() -> None:
    one = schedule()
    period, other = one.periods_ending_in(NOW, NOW + 2 * DAY)
    same = replace(one, id="schedule-" + "1" * 26, version=5, name="x", notify=False)

    assert one.export_id(period) == "export-" + PINNED
    assert same.export_id(period) == one.export_id(period)
    different = {
        one.export_id(period),
        one.export_id(other),
        replace(one, merchant_id="merchant-2").export_id(period),
        replace(one, options={}).export_id(period),
        replace(one, options={**one.options, "report": "refunds"}).export_id(period),
        replace(one, options={**one.options, "format": "xlsx"}).export_id(period),
    }
    assert len(different) == 6


def test_a_default_that_is_said_is_the_same_option() -> None:
    period = next(schedule().periods_ending_in(NOW, NOW + DAY))
    said = {"report": "payments", "timezone": "UTC"}
    assert scheduled_export_id("m", said, period) == scheduled_export_id("m", {}, period)


def test_the_order_of_options_does_not_matter() -> None:
    period = next(schedule().periods_ending_in(NOW, NOW + DAY))
    one, other = {"format": "json", "status": "x"}, {"status": "x", "format": "json"}
    assert scheduled_export_id("m", one, period) == scheduled_export_id("m", other, period)


def test_active_from_of_nothing_is_when_it_was_created() -> None:
    assert schedule().active == (NOW, None)
    assert schedule(active_from="2026-01-01").active[0] == datetime(2025, 12, 31, 23, tzinfo=UTC)


PINNED = "ca0c5dcb74cd0504bb250a6ca40f917ab2690245"
"""An id that exports have already: it must not change with a release."""
