from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remit.aws.items import decode_item, encode_item
from remit.errors import ExportFailed
from remit.exports.job import (
    FINISHED,
    MOVES,
    ExportJob,
    new_item,
    options_of,
    read_job,
    status_of,
    summary_of,
)
from remit.exports.request import ExportRequest, as_values
from tests.support.exports import REPORTS, export_job

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


def test_expired_is_final_and_every_other_status_can_expire() -> None:
    assert MOVES["expired"] == frozenset()
    assert all("expired" in after for before, after in MOVES.items() if before != "expired")


def test_a_cleared_run_exports_again_what_is_finished_and_has_not_expired() -> None:
    assert {"completed", "failed", "canceled"} == FINISHED


@pytest.mark.parametrize("status", MOVES)
@pytest.mark.parametrize(
    ("expires_at", "over"),
    [(SECONDS + 1, False), (SECONDS, True), (SECONDS - 1, True), (..., False), ("soon", False)],
)
def test_time_makes_every_status_expired(status: str, expires_at: Any, over: bool) -> None:
    item = {"status": status, "expiresAt": expires_at}
    assert status_of(item, NOW) == ("expired" if over else status)


EVERY_OPTION: dict[str, Any] = {
    "start_date": "2026-01-01",
    "end_date": "2026-01-31T12:00:00+05:45",
    "timezone": "Asia/Kathmandu",
    "report": "refunds",
    "format": "json",
    "columns": ["amount_minor", "other_attributes", "refund_id"],
    "status": "succeeded",
    "currency": "NPR",
    "min_amount": -(2**63) + 1,
    "max_amount": 2**63 - 1,
    "compression": "zstd",
    "split_rows": 50_000,
}


def read(item: dict[str, Any], reports: Any = REPORTS) -> ExportJob:
    """The job of a record that has been in DynamoDB."""
    stored = decode_item(encode_item(item))
    return read_job(stored, reports, now=NOW, default_expiry=NOW + timedelta(days=7))


def foreign(**query: Any) -> dict[str, Any]:
    """A record of the payments platform's own service."""
    days = {"StartDate": "2026-01-01T00:00:00-05:00", "EndDate": "2026-01-31T19:00:00-05:00"}
    return {"id": "x", "merchantID": "merchant-1", "format": "csv", "query": {**days, **query}}


def test_every_option_has_a_value_in_the_round_trip() -> None:
    # customer_id is a filter of payments alone
    assert EVERY_OPTION.keys() | {"customer_id"} == ExportRequest.model_fields.keys()


@pytest.mark.parametrize(
    "options",
    [
        EVERY_OPTION,
        {"report": "payments", "customer_id": "cus-1"},
        {"format": "parquet"},
        {"format": "xlsx", "split_rows": 1_000},
    ],
)
def test_what_was_asked_for_is_read_back(options: dict[str, Any]) -> None:
    job = export_job(**options)

    assert read(new_item(job)) == job
    assert options_of(decode_item(encode_item(new_item(job)))) == as_values(job.request)


def test_the_record_names_options_as_the_platform_does() -> None:
    item = new_item(export_job(**EVERY_OPTION))

    assert item["format"] == "json"
    assert item["query"] == {
        "StartDate": "2026-01-01",
        "EndDate": "2026-01-31T12:00:00+05:45",
        "Timezone": "Asia/Kathmandu",
        "Report": "refunds",
        "Columns": ["amount_minor", "other_attributes", "refund_id"],
        "Status": "succeeded",
        "Currency": "NPR",
        "MinAmount": -(2**63) + 1,
        "MaxAmount": 2**63 - 1,
        "Compression": "zstd",
        "SplitRows": 50_000,
    }


def test_a_record_of_the_platforms_service_is_read() -> None:
    record = foreign(Status="succeeded", CustomerID="", MinAmount=None, Limit=20, Cursor="abc")

    request = read(record).request

    assert as_values(request) == {
        "start_date": "2026-01-01T00:00:00-05:00",
        "end_date": "2026-01-31T19:00:00-05:00",
        "status": "succeeded",
    }
    assert (request.report, request.format, request.timezone) == ("payments", "csv", "UTC")


@pytest.mark.parametrize("form", [None, "", ...])
def test_a_record_without_a_format_is_csv(form: Any) -> None:
    record = {name: value for name, value in {**foreign(), "format": form}.items() if value != ...}
    assert read(record).request.format == "csv"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (foreign(Report="gone"), "the request cannot be served: report: there is no report 'gone'"),
        (foreign(Columns=["payment_id", "gone"]), "the report 'payments' has no column 'gone'"),
        (foreign(Report="settlements", CustomerID="cus-1"), "has no filter 'customer_id'"),
        (foreign(Status="lost"), "has no status 'lost'"),
        (foreign(StartDate="last week"), "start_date: 'last week' is not"),
        (foreign(StartDate=""), "start_date: missing"),
        (foreign(Columns="payment_id,gone"), "no column 'gone'"),
        (foreign(Columns={"a": 1}), "columns: not a list"),
        (foreign(SplitRows="many"), "split_rows: 'many' is not a whole number"),
        (foreign() | {"format": "xml"}, "format: "),
        (foreign() | {"query": "all"}, "'query' is not a map"),
        (foreign() | {"merchantID": ""}, "'merchantID' is missing"),
    ],
)
def test_what_cannot_be_served_says_why(record: dict[str, Any], reason: str) -> None:
    with pytest.raises(ExportFailed, match=re.escape(reason)) as failed:
        read(record)

    assert failed.value.code == "invalid_request"


@pytest.mark.parametrize("query", [None, "all", ["StartDate"], {"Columns": {"a": 1}, "Report": 5}])
def test_options_of_any_record_can_be_shown(query: Any) -> None:
    item = {"id": "x", "query": query, "format": "xml"}

    assert options_of(item) == {"format": "xml"} | (
        {"report": 5} if isinstance(query, dict) else {}
    )
    assert summary_of(item)


def test_a_job_in_one_line() -> None:
    line = "merchant-1: payments, 2026-01-01 to 2026-01-31, csv"
    assert summary_of(new_item(export_job())) == line
