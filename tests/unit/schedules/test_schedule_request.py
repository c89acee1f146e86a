from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from remit.errors import FieldError, InvalidRequest
from remit.schedules.periods import Cadence, Rhythm
from remit.schedules.schedule import Schedule
from remit.schedules.schedule_request import FIELDS, fields_of
from tests.unit.schedules.building import ID, MERCHANT, NOW, new, rules

DAY = timedelta(days=1)

EVERYTHING: dict[str, Any] = {
    "name": "Refunds of the week",
    "description": "for the ledger",
    "cadence": "weekly",
    "weekday": "sunday",
    "active_from": "2026-12-01",
    "active_until": "2027-12-01",
    "notify": False,
    "settle_seconds": 7200,
    "refresh_periods": 2,
    "destination": "s3://lake/merchant-1/",
    "report": "payments",
    "timezone": "Asia/Kathmandu",
    "format": "csv",
    "columns": ["payment_id", "amount_minor"],
    "status": "succeeded",
    "currency": "EUR",
    "customer_id": "cus-1",
    "min_amount": 1,
    "max_amount": 1000,
    "compression": "gzip",
    "split_rows": 5000,
}

WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["cadence"]),
    ({"cadence": None}, ["cadence"]),
    ({"cadence": "yearly"}, ["cadence"]),
    ({"cadence": ["daily"]}, ["cadence"]),
    ({"cadence": "DAILY"}, ["cadence"]),
    ({"timezone": "Mars/Olympus"}, ["timezone"]),
    ({"timezone": 1}, ["timezone"]),
    ({"timezone": "../UTC"}, ["timezone"]),
    ({"weekday": "monday"}, ["weekday"]),
    ({"cadence": "weekly", "weekday": "moonday"}, ["weekday"]),
    ({"cadence": "weekly", "weekday": 1}, ["weekday"]),
    ({"name": ""}, ["name"]),
    ({"name": "x" * 101}, ["name"]),
    ({"name": "a\x00b"}, ["name"]),
    ({"name": 7}, ["name"]),
    ({"description": "x" * 501}, ["description"]),
    ({"notify": "true"}, ["notify"]),
    ({"notify": 1}, ["notify"]),
    ({"settle_seconds": -1}, ["settle_seconds"]),
    ({"settle_seconds": 7 * 86_400 + 1}, ["settle_seconds"]),
    ({"settle_seconds": True}, ["settle_seconds"]),
    ({"settle_seconds": 1.5}, ["settle_seconds"]),
    ({"refresh_periods": 32}, ["refresh_periods"]),
    ({"refresh_periods": "1"}, ["refresh_periods"]),
    ({"destination": "s3://elsewhere/"}, ["destination"]),
    ({"destination": ""}, ["destination"]),
    ({"destination": {"bucket": "lake"}}, ["destination"]),
    ({"active_from": "2026-02-30"}, ["active_from"]),
    ({"active_from": "soon"}, ["active_from"]),
    ({"active_from": 20261201}, ["active_from"]),
    ({"active_from": "1970-01-01", "timezone": "Asia/Tokyo"}, ["active_from"]),
    ({"active_from": "9999-12-31"}, ["active_from"]),
    ({"active_until": "2026-12-01T00:00:00"}, ["active_until"]),
    ({"active_until": "x" * 65}, ["active_until"]),
    ({"start_date": "2026-01-01", "end_date": "2026-01-31"}, ["start_date", "end_date"]),
    ({"paused": True}, ["paused"]),
    ({"color": "red", "id": "mine"}, ["color", "id"]),
    ({"report": "secrets"}, ["report"]),
    ({"report": ["payments"]}, ["report"]),
    ({"format": "pdf"}, ["format"]),
    ({"columns": ["iban"]}, ["columns"]),
    ({"split_rows": 10}, ["split_rows"]),
    ({"compression": "gzip", "format": "xlsx"}, ["compression"]),
    ({"min_amount": 5, "max_amount": 4}, ["max_amount"]),
    (
        {"cadence": "never", "timezone": "Mars", "color": 1, "notify": 0, "format": "pdf"},
        ["color", "cadence", "notify", "timezone", "format"],
    ),
    # What could never run:
    ({"active_from": "2027-02-01", "active_until": "2027-01-31"}, ["active_until"]),
    ({"active_until": "2026-11-22"}, ["active_until"]),
    ({"active_until": "2020-01-01"}, ["active_until"]),
    ({"active_until": "2026-11-23T23:59:59Z"}, ["active_until"]),
    ({"cadence": "monthly", "active_until": "2026-11-29"}, ["active_until"]),
    (
        {"cadence": "monthly", "active_from": "2027-01-02", "active_until": "2027-01-30"},
        ["active_until"],
    ),
    (
        {"active_from": "2027-01-02T10:00:00Z", "active_until": "2027-01-02T11:00:00Z"},
        ["active_until"],
    ),
]


def refused(**values: Any) -> tuple[FieldError, ...]:
    with pytest.raises(InvalidRequest) as caught:
        new(**values)
    return caught.value.errors


def changed(schedule: Schedule, **values: Any) -> Schedule:
    return rules().changed(schedule, values, NOW + DAY)


@pytest.mark.parametrize(("values", "fields"), WRONG)
def test_what_is_wrong_is_named_with_what_is_allowed(
    values: dict[str, Any], fields: list[str]
) -> None:
    errors = refused(**({"cadence": "daily"} if values.keys() - {"cadence"} else {}) | values)
    assert sorted(error.field for error in errors) == sorted(fields)
    assert all(error.message and error.allowed for error in errors)


def test_a_schedule_has_all_that_was_asked_for() -> None:
    assert EVERYTHING.keys() == set(FIELDS)
    one = new(destinations="s3://lake/", **EVERYTHING)

    assert one.rhythm == Rhythm(Cadence.WEEKLY, 6)
    assert (one.version, one.created_at, one.updated_at, one.paused_at) == (1, NOW, NOW, None)
    by_default = {"report", "format"}
    assert fields_of(one) == {k: v for k, v in EVERYTHING.items() if k not in by_default}


def test_what_is_null_is_not_given() -> None:
    assert new(cadence="daily", **dict.fromkeys(FIELDS[4:])) == new(cadence="daily")


def test_the_first_period_that_fits_is_enough() -> None:
    assert new(cadence="daily", active_until="2026-11-23T23:00:00Z", timezone="Europe/Berlin")
    assert new(cadence="daily", active_until="2026-11-23")
    assert new(cadence="monthly", active_until="2026-11-30")


def test_the_error_of_a_schedule_that_never_runs_says_from_when_it_would() -> None:
    (error,) = refused(cadence="monthly", active_until="2026-11-29", timezone="Asia/Kathmandu")
    assert "no monthly period ends between 2026-11-23T12:00:00.000000Z" in error.message
    assert error.allowed == (
        "2026-11-30T18:15:00.000000Z or later, when the next one ends in Asia/Kathmandu"
    )


def test_a_change_sets_what_is_given_and_leaves_the_rest() -> None:
    one = new(cadence="daily", name="a", format="json", timezone="Europe/Berlin")
    two = changed(one, name="b", format="csv")
    assert two == replace(
        one, name="b", options={"timezone": "Europe/Berlin"}, version=2, updated_at=NOW + DAY
    )


def test_null_takes_a_field_back_to_its_default() -> None:
    one = new(destinations="s3://lake/", **EVERYTHING)
    nothing = dict.fromkeys(name for name in FIELDS if name != "cadence")
    two = changed(one, **nothing)
    assert two == replace(new(cadence="weekly"), version=2, updated_at=NOW + DAY)


def test_the_cadence_cannot_be_taken_away() -> None:
    with pytest.raises(InvalidRequest) as caught:
        changed(new(cadence="daily"), cadence=None)
    assert [error.field for error in caught.value.errors] == ["cadence"]


def test_the_weekday_goes_with_the_weeks() -> None:
    one = new(cadence="weekly", weekday="friday")
    assert changed(one, cadence="daily").rhythm == Rhythm(Cadence.DAILY)
    assert changed(one, name="x").rhythm == Rhythm(Cadence.WEEKLY, 4)
    assert changed(one, cadence="weekly").rhythm == Rhythm(Cadence.WEEKLY, 4)
    with pytest.raises(InvalidRequest):
        changed(one, cadence="daily", weekday="friday")


def test_a_change_must_not_make_a_schedule_that_never_runs() -> None:
    one = new(cadence="daily", active_until="2026-12-31")
    for values in ({"active_until": "2026-11-01"}, {"active_from": "2027-01-01"}):
        with pytest.raises(InvalidRequest) as caught:
            changed(one, **values)
        assert [error.field for error in caught.value.errors] == ["active_until"]


def test_a_schedule_whose_time_has_ended_can_be_renamed() -> None:
    one = new(cadence="daily", active_until="2026-11-23")
    renamed = rules().changed(one, {"name": "done"}, NOW + 9 * DAY)
    assert renamed.name == "done"


def test_a_change_leaves_a_paused_schedule_paused() -> None:
    one = replace(new(cadence="daily"), paused_at=NOW)
    assert changed(one, name="x").paused_at == NOW


def test_another_report_needs_other_columns() -> None:
    one = new(cadence="daily", columns=["payment_id"])
    with pytest.raises(InvalidRequest) as caught:
        changed(one, report="settlements")
    assert [error.field for error in caught.value.errors] == ["columns"]
    assert changed(one, report="settlements", columns=None).options == {"report": "settlements"}


def test_whose_it_is_and_its_id_are_not_the_fields_to_say() -> None:
    one = new(cadence="daily")
    assert (one.id, one.merchant_id) == (ID, MERCHANT)
