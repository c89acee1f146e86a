from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from remit.aws.items import encode_item
from remit.errors import ExportFailed, StoreUnavailable
from remit.exports.engine import frames
from remit.exports.reports import load_reports
from remit.exports.request import parse_request
from remit.settings import REPORTS_DIRECTORY
from tests.support.exports import payment, request_values

REPORT = load_reports(REPORTS_DIRECTORY)["payments"]


def page(*payments: dict[str, Any]) -> str:
    return json.dumps({"Count": len(payments), "Items": [encode_item(one) for one in payments]})


def rows(*pages: str, **changes: Any) -> list[dict[str, Any]]:
    request = parse_request(request_values(**changes), ["payments"])
    found = frames(REPORT, request, request.range, pages)
    return [row for frame in found for row in pa.Table.from_pandas(frame).to_pylist()]


def test_frames_have_arrow_types_that_lose_nothing() -> None:
    request = parse_request(request_values(), ["payments"])
    (frame,) = frames(REPORT, request, request.range, [page(payment(amount=2**62 + 1))])

    assert all(isinstance(kind, pd.ArrowDtype) for kind in frame.dtypes)
    assert frame["amount_minor"].iloc[0] == 2**62 + 1
    assert str(frame["created_at_utc"].dtype) == "timestamp[us, tz=UTC][pyarrow]"


def test_pages_keep_their_order_over_many_batches() -> None:
    pages = [page(*(payment(n) for n in range(at, at + 100))) for at in range(0, 30_000, 100)]
    ids = [row["payment_id"] for row in rows(*pages)]
    assert ids == [f"pay-{n:06d}" for n in range(30_000)]


def test_missing_attributes_are_missing_values() -> None:
    bare = {"id": "pay-1", "merchantID": "m", "amount": 1, "createdAt": "2026-01-02T00:00:00Z"}
    (row,) = rows(page(bare))
    assert row["payment_id"] == "pay-1"
    assert row["currency"] is None
    assert row["metadata"] is None
    assert row["updated_at_utc"] is None


def test_nothing_to_read_gives_no_rows() -> None:
    assert rows() == rows(page()) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": "12"}, "amount is not a whole number of minor units: missing"),
        ({"amount": ...}, "amount is not a whole number of minor units: missing"),
        ({"amount": 10**20}, "amount is not a whole number of minor units: 1000"),
        ({"createdAt": "soon"}, "createdAt is not an instant: soon"),
        ({"createdAt": ...}, "createdAt is not an instant: missing"),
        ({"updatedAt": "later"}, "updatedAt is not an instant: later"),
    ],
)
def test_a_value_that_does_not_read_names_its_payment(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ExportFailed) as caught:
        rows(page(payment(1), payment(2, **changes)))
    assert caught.value.code == "malformed_record"
    assert f"payment pay-000002: {reason}" in str(caught.value)


@pytest.mark.parametrize("filters", [{}, {"min_amount": 1}, {"status": "succeeded"}])
def test_a_malformed_record_outside_the_range_is_nobodys_business(filters: dict[str, Any]) -> None:
    outside = payment(2, createdAt="2026-02-01T08:00:00Z", amount="?", updatedAt="later")
    found = rows(page(outside, payment(1), outside), **filters)
    assert [row["payment_id"] for row in found] == ["pay-000001"]


def test_lower_case_instants_are_instants() -> None:
    (row,) = rows(page(payment(1, createdAt="2026-01-15t12:00:00z")))
    assert row["created_at_utc"] == datetime(2026, 1, 15, 12, tzinfo=UTC)


def test_a_malformed_record_far_down_is_found_as_well() -> None:
    good = page(*(payment(n) for n in range(1000)))
    with pytest.raises(ExportFailed, match="payment pay-000007: createdAt"):
        rows(*[good] * 60, page(payment(7, createdAt="soon")))


@pytest.mark.parametrize("pages", [0, 1, 60])
def test_an_error_of_the_source_stays_what_it_is(pages: int) -> None:
    good = page(*(payment(n) for n in range(1000)))

    def broken() -> Iterator[str]:
        yield from [good] * pages
        raise StoreUnavailable("DynamoDB does not answer")

    request = parse_request(request_values(), ["payments"])
    with pytest.raises(StoreUnavailable, match="does not answer"):
        list(frames(REPORT, request, request.range, broken()))
