from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from remit.aws.items import decode_item, encode_item
from remit.aws.query import QueryRefused, Throttled
from remit.errors import ConfigurationError, OutOfRoom, StoreUnavailable
from remit.exports.last_error import ATTRIBUTE, LastError, end_of_last_round, told_of
from remit.exports.report_digest import ReportChanged

BEGAN = datetime(2026, 11, 23, 12, tzinfo=UTC)
OUTAGE = StoreUnavailable("DynamoDB is out of reach")
REFUSAL = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject")


def after(*errors: tuple[float, Exception]) -> tuple[LastError, dict[str, Any]]:
    """What a job's record tells after errors, each so many minutes after the first."""
    item: dict[str, Any] = {"generation": 0}
    for minutes, error in errors:
        item["generation"] += 1
        last = LastError.after(error, item, BEGAN + timedelta(minutes=minutes))
        item = decode_item(encode_item({**item, ATTRIBUTE: last.record()}))
    return last, item


@pytest.mark.parametrize(
    ("error", "code", "counts", "refusal"),
    [
        (OutOfRoom("full"), "no_room", True, False),
        (ReportChanged("other"), "report_changed", False, False),
        (OUTAGE, "unavailable", False, False),
        (Throttled("slow down"), "unavailable", False, False),
        (ConfigurationError("no bucket"), "not_configured", False, True),
        (QueryRefused("no index"), "refused", False, True),
        (REFUSAL, "refused", False, True),
        (ZeroDivisionError(), "internal", True, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_the_type_of_an_error_decides_what_it_is(
    error: Exception, code: str, counts: bool, refusal: bool
) -> None:
    kind = after((0, error))[0].kind
    assert (kind.code, kind.counts, kind.refusal) == (code, counts, refusal)


@pytest.mark.parametrize(
    ("failing_for", "wait"), [(0, 1), (0.5, 1), (1, 1), (2, 2), (31, 31), (60, 60), (5_000, 60)]
)
def test_the_wait_is_as_long_as_it_has_been_failing_within_bounds(
    failing_for: float, wait: float
) -> None:
    last, _ = after((0, OUTAGE), (failing_for, REFUSAL))
    now = BEGAN + timedelta(minutes=failing_for)
    assert last.due_at(now) - now == timedelta(minutes=wait)


@pytest.mark.parametrize(
    ("errors", "over"),
    [
        ([(0, REFUSAL)], False),
        ([(0, REFUSAL), (1_439, REFUSAL)], False),
        ([(0, REFUSAL), (1_440, REFUSAL)], True),
        ([(0, REFUSAL), (700, ConfigurationError("no")), (1_440, QueryRefused("no"))], True),
        ([(0, OUTAGE), (1_440, OUTAGE)], False),
        ([(0, OUTAGE), (1_440, REFUSAL)], False),
        ([(0, REFUSAL), (700, OUTAGE), (1_440, REFUSAL)], False),
    ],
)
def test_only_refusals_without_a_break_end_an_export_after_a_day(
    errors: list[tuple[float, Exception]], over: bool
) -> None:
    last, _ = after(*errors)
    assert last.refused_too_long(BEGAN + timedelta(minutes=errors[-1][0])) == over


def test_the_merchant_is_told_nothing_of_tables_and_buckets() -> None:
    _, item = after((0, StoreUnavailable("could not write s3://secret")))
    assert told_of(item) == {
        "code": "unavailable",
        "message": "a store did not answer, or asked to slow down",
    }
    assert item[ATTRIBUTE]["detail"] == "StoreUnavailable: could not write s3://secret"


@pytest.mark.parametrize("character", ["x", "é", "\ud800"])
def test_the_detail_is_bounded_and_can_be_stored(character: str) -> None:
    _, item = after((0, ValueError(character * 5_000)))
    assert 990 < len(item[ATTRIBUTE]["detail"].encode()) <= 1_000


@pytest.mark.parametrize("value", [None, "broken", {}])
def test_a_record_without_an_error_tells_none(value: Any) -> None:
    item = {"generation": 2, ATTRIBUTE: value}
    assert told_of(item) is None
    assert end_of_last_round(item) == "its worker gave no more sign of life"
    assert LastError.after(OUTAGE, item, BEGAN).since == BEGAN


def test_an_error_is_the_end_of_its_own_round_and_of_no_other() -> None:
    _, item = after((0, OutOfRoom("full")))
    assert end_of_last_round({**item, "generation": 2}) == "the worker had no room for it"
    assert end_of_last_round({**item, "generation": 3}) == "its worker gave no more sign of life"
