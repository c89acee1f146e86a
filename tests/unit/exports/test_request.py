from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from remit.errors import FieldError, InvalidRequest
from remit.exports.request import (
    ALLOWED,
    COMPRESSIBLE,
    COMPRESSIONS,
    FORMATS,
    MAX_ROWS,
    ExportRequest,
    as_values,
    check_length,
    parse_request,
    time_zones,
)
from tests.support.exports import REPORTS, request_values


def parse(**changes: Any) -> ExportRequest:
    values = {k: v for k, v in request_values(**changes).items() if v is not ...}
    return parse_request(values, REPORTS)


def errors(**changes: Any) -> dict[str, FieldError]:
    with pytest.raises(InvalidRequest) as invalid:
        parse(**changes)
    return {error.field: error for error in invalid.value.errors}


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("start", "end", "zone", "first", "last"),
    [
        ("2026-01-01", "2026-01-31", "UTC", at(2026, 1, 1), at(2026, 2, 1)),
        (
            "2026-01-01",
            "2026-01-01",
            "Asia/Kathmandu",
            at(2025, 12, 31, 18, 15),
            at(2026, 1, 1, 18, 15),
        ),
        # Days with 23 and with 25 hours.
        ("2026-03-29", "2026-03-29", "Europe/Berlin", at(2026, 3, 28, 23), at(2026, 3, 29, 22)),
        ("2026-10-25", "2026-10-25", "Europe/Berlin", at(2026, 10, 24, 22), at(2026, 10, 25, 23)),
        # A day whose midnight the clocks skip.
        ("2018-11-04", "2018-11-04", "America/Sao_Paulo", at(2018, 11, 4, 3), at(2018, 11, 5, 2)),
        # An instant has its own offset.
        (
            "2026-01-01T00:00:00+05:45",
            "2026-01-02T00:00:00Z",
            "Europe/Berlin",
            at(2025, 12, 31, 18, 15),
            at(2026, 1, 2),
        ),
    ],
)
def test_days_are_days_of_the_time_zone(
    start: str, end: str, zone: str, first: datetime, last: datetime
) -> None:
    span = parse(start_date=start, end_date=end, timezone=zone).range
    assert (span.start, span.end) == (first, last)


@pytest.mark.parametrize("columns", [["amount_minor", "payment_id"], "amount_minor, payment_id"])
def test_columns_are_a_list_or_a_text_with_commas(columns: Any) -> None:
    assert parse(columns=columns).columns == ("amount_minor", "payment_id")


@pytest.mark.parametrize("name", ["min_amount", "max_amount", "split_rows"])
@pytest.mark.parametrize("value", [5_000, "5000", "0005000"])
def test_a_whole_number_may_be_a_text(name: str, value: Any) -> None:
    assert getattr(parse(**{name: value}), name) == 5_000


@pytest.mark.parametrize(
    "value", [True, 1.0, "1.0", "1e3", "1_000", " 1", "\u0661", 2**63, "9" * 19, []]
)
def test_what_is_no_whole_number_of_64_bits_is_refused(value: Any) -> None:
    assert "whole number" in errors(min_amount=value)["min_amount"].message


@pytest.mark.parametrize(
    ("changes", "field", "allowed"),
    [
        ({"report": "gone"}, "report", tuple(sorted(REPORTS))),
        ({"columns": ["payment_id", "gone"]}, "columns", "payment_id"),
        ({"columns": "payment_id,payment_id"}, "columns", "payment_id"),
        ({"columns": []}, "columns", "payment_id"),
        ({"columns": ""}, "columns", "payment_id"),
        ({"report": "settlements", "customer_id": "cus-1"}, "customer_id", "currency"),
        ({"status": "lost"}, "status", "succeeded"),
        ({"status": ""}, "status", ALLOWED["status"]),
        ({"currency": "euro"}, "currency", ALLOWED["currency"]),
        ({"timezone": "Mars/Olympus"}, "timezone", tuple(sorted(time_zones()))),
        ({"timezone": "../etc/passwd"}, "timezone", tuple(sorted(time_zones()))),
        ({"timezone": 5}, "timezone", tuple(sorted(time_zones()))),
        ({"format": "xml"}, "format", FORMATS),
        ({"compression": "brotli"}, "compression", COMPRESSIONS),
        ({"split_rows": 999}, "split_rows", ALLOWED["split_rows"]),
        ({"split_rows": 0}, "split_rows", ALLOWED["split_rows"]),
        ({"min_amount": 2, "max_amount": 1}, "max_amount", "at least min_amount"),
        ({"start_date": ...}, "start_date", ALLOWED["start_date"]),
        ({"end_date": "2025-12-31"}, "end_date", "an end after start_date"),
        ({"limit": 20}, "limit", "start_date"),
    ],
)
def test_an_error_names_the_field_and_what_there_is(
    changes: dict[str, Any], field: str, allowed: str | tuple[str, ...]
) -> None:
    found = errors(**changes)

    assert found.keys() == {field}
    assert found[field].message
    assert allowed == found[field].allowed or allowed in found[field].allowed


@pytest.mark.parametrize("form", FORMATS)
def test_only_text_is_compressed(form: str) -> None:
    if form in COMPRESSIBLE:
        assert parse(format=form, compression="gzip").compression == "gzip"
    else:
        assert errors(format=form, compression="gzip")["compression"].allowed == ("none",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"start_date": "x", "end_date": "y", "timezone": "z", "split_rows": 1, "columns": 5},
        {"report": "gone", "format": "pdf"},
        {"report": "gone", "columns": 5, "compression": "brotli"},
        {"columns": "iban", "compression": "brotli"},
        {"status": "weird", "split_rows": 3},
        {"status": "weird", "columns": "iban", "start_date": ..., "limit": 20},
        {"min_amount": 1.5, "end_date": "2025-12-31"},
        {"timezone": "Mars/Olympus", "end_date": "2025-12-31"},
    ],
)
def test_all_errors_are_named_at_once(wrong: dict[str, Any]) -> None:
    assert errors(**wrong).keys() == wrong.keys()


def test_a_format_is_held_against_its_options_whatever_else_is_wrong() -> None:
    wrong = {"split_rows": 200_000, "columns": "iban", "currency": "euro", "compression": "gzip"}
    assert errors(format="xlsx", **wrong).keys() == wrong.keys()


def test_amounts_are_compared_whatever_else_is_wrong() -> None:
    found = errors(min_amount=2, max_amount=1, status="weird", compression="brotli")
    assert found.keys() == {"max_amount", "status", "compression"}


def test_what_is_wrong_already_is_not_held_against_another_field() -> None:
    """The columns of a report that does not exist, a range whose zone would have decided."""
    assert errors(report=5, columns="iban", status="weird").keys() == {"report"}
    assert errors(report="gone", columns="iban").keys() == {"report"}
    assert errors(start_date="x", end_date="1970-01-01T00:00:00Z").keys() == {"start_date"}
    assert errors(min_amount="x", max_amount=-5).keys() == {"min_amount"}
    instant = {"start_date": "2026-01-15", "end_date": "2026-01-14T20:00:00Z"}
    assert parse(timezone="Asia/Tokyo", **instant)
    assert errors(timezone="Asia/Tokio", **instant).keys() == {"timezone"}


def test_the_columns_of_an_unknown_report_are_not_guessed() -> None:
    assert errors(report="gone", columns=5)["columns"].allowed == "column names of the report"


@pytest.mark.parametrize("form", FORMATS)
def test_more_rows_than_a_file_may_have_are_refused_with_the_limit(form: str) -> None:
    if form in MAX_ROWS:
        assert parse(format=form, split_rows=100_000).split_rows == MAX_ROWS["xlsx"]
        error = errors(format=form, split_rows=100_001)["split_rows"]
        assert error.message == "an xlsx file has at most 100000 rows"
        assert error.allowed == "a whole number of rows, 1000 to 100000"
    else:
        assert parse(format=form, split_rows=10**9).split_rows == 10**9


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-30", "9999-12-31", "9999-12-30"])
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_day_that_is_out_of_reach_is_refused(day: str, zone: str) -> None:
    found = errors(start_date=day, end_date=day, timezone=zone)
    assert found.keys() == {"start_date", "end_date"}


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_every_shipped_report_has_its_columns_and_filters(name: str) -> None:
    report = REPORTS[name]
    samples = {"status": "succeeded", "currency": "USD", "customer_id": "c", "min_amount": 1}
    filters = {key: samples.get(key, 9) for key in report.filters}

    request = parse(report=name, columns=[column.name for column in report.columns], **filters)

    assert request.given_filters() == filters


def test_values_are_parsed_to_the_same_request() -> None:
    request = parse(
        columns="payment_id", timezone="Asia/Tokyo", compression="gzip", split_rows=5000
    )
    assert parse_request(as_values(request), REPORTS) == request


@pytest.mark.parametrize(
    ("end", "zone", "fits"),
    [
        ("2026-12-31", "UTC", True),
        ("2027-01-01", "UTC", True),
        ("2027-01-02", "UTC", False),
        ("2027-01-02", "Europe/Berlin", False),
    ],
)
def test_a_merchants_range_has_a_limit(end: str, zone: str, fits: bool) -> None:
    request = parse(end_date=end, timezone=zone)
    if fits:
        check_length(request, 366)
    else:
        with pytest.raises(InvalidRequest, match="367 days"):
            check_length(request, 366)
