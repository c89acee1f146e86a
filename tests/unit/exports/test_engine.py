from __future__ import annotations

import json
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import md5
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from remit.errors import ExportFailed, OutOfRoom, StoreUnavailable
from remit.exports.duck import Room, connect
from remit.exports.engine import Selection, _Feed, _prepare, frames
from remit.exports.rejects import Rejects
from remit.exports.reports import FILTERS, ReportError, load_report
from remit.exports.request import TimeRange, parse_request
from remit.settings import REPORTS_DIRECTORY
from tests.support.exports import REPORTS, request_values
from tests.unit.exports.building import (
    AS_OF,
    JANUARY,
    exported,
    instant,
    page,
    record,
    selection,
    settlement,
    transaction,
)

PAYMENT_COLUMNS = [column.name for column in REPORTS["payments"].columns if not column.optional]


def pages(count: int, rows: int, **changes: Any) -> list[bytes]:
    return [
        page(*(record(number, **changes) for number in range(at * rows, (at + 1) * rows)))
        for at in range(count)
    ]


def report_of(folder: Path, sql: str, *columns: str) -> Any:
    """A report on payments that is not shipped."""
    (folder / "sources").symlink_to(REPORTS_DIRECTORY / "sources")
    heads = ["title: T", "description: D", "permission: p", "sources: payments", "sliced: no"]
    heads += [f"column: {column}" for column in columns]
    path = folder / "mine.sql"
    path.write_text("".join(f"-- {head}\n" for head in heads) + sql, encoding="utf-8")
    return load_report(path)


def test_frames_have_arrow_types_that_lose_nothing() -> None:
    (frame,) = exported(selection(), page(record(amount={"N": str(2**62 + 1)}))).frames

    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        **dict.fromkeys(PAYMENT_COLUMNS, "string[pyarrow]"),
        "created_at_utc": "timestamp[us, tz=UTC][pyarrow]",
        "updated_at_utc": "timestamp[us, tz=UTC][pyarrow]",
        "amount_minor": "int64[pyarrow]",
        "amount_major": "decimal128(24, 4)[pyarrow]",
    }
    assert all(isinstance(kind, pd.ArrowDtype) for kind in frame.dtypes)
    assert frame["amount_minor"].iloc[0] == 2**62 + 1
    assert frame["amount_major"].iloc[0] == Decimal(2**62 + 1) / 100


def test_every_column_of_a_payment_has_its_value() -> None:
    (row,) = exported(selection(), page(record(7, metadata={"M": {"k": {"N": "0.10"}}}))).rows
    assert row == {
        "payment_id": "pay-000007",
        "created_at_utc": instant("2026-01-15T12:00:00Z"),
        "updated_at_utc": instant("2026-01-15T12:00:01Z"),
        "status": "succeeded",
        "amount_minor": 1999,
        "amount_major": Decimal("19.99"),
        "currency": "USD",
        "payment_method": "card",
        "customer_id": "cus-1",
        "description": "order 7",
        "metadata": '{"k":0.10}',
    }


def test_a_refund_is_a_transaction_of_that_type() -> None:
    found = exported(
        selection("refunds"),
        page(transaction(1), transaction(2, type={"S": "capture"}), transaction(3)),
    )
    assert found.column("refund_id") == ["txn-000001", "txn-000003"]
    assert found.column("amount_major") == [Decimal(5)] * 2


def test_a_settlement_has_the_day_that_it_is_of() -> None:
    batch = {"L": [{"M": {"PaymentID": {"S": "pay-1"}, "Amount": {"N": "5"}}}]}
    (row,) = exported(selection("settlements"), page(settlement(transactions=batch))).rows
    assert row["settlement_date"] == date(2026, 1, 15)
    assert json.loads(row["transactions"]) == [{"PaymentID": "pay-1", "Amount": 5}]


def test_a_summary_adds_up_two_sources_per_day_of_the_exports_zone() -> None:
    late = {"createdAt": {"S": "2026-01-14T18:15:00Z"}}  # midnight in Kathmandu
    found = exported(
        selection("daily_summary", time_zone="Asia/Kathmandu"),
        payments=[page(record(1, **late), record(2), record(3, currency={"S": "JPY"}))],
        transactions=[page(transaction(1, **late), transaction(2, type={"S": "capture"}, **late))],
    )
    shown = ["day", "currency", "payment_count", "refund_count", "net_minor", "net_major"]
    assert [[row[name] for name in shown] for row in found.rows] == [
        [date(2026, 1, 15), "JPY", 1, 0, 1999, Decimal(1999)],
        [date(2026, 1, 15), "USD", 2, 1, 3498, Decimal("34.98")],
    ]


def test_pages_keep_their_order_over_many_batches_and_two_threads() -> None:
    found = exported(selection(columns=["payment_id"]), *pages(300, 100))
    assert found.column("payment_id") == [f"pay-{number:06d}" for number in range(30_000)]
    assert len(found.frames) < 5, "small pages are put together"


def test_missing_attributes_are_missing_values() -> None:
    bare = {name: record()[name] for name in ("id", "amount", "createdAt")}
    found = exported(selection(), page(bare))
    (row,) = found.rows
    present = {"payment_id", "amount_minor", "created_at_utc"}
    assert {name for name, value in row.items() if value is not None} == present
    assert found.rejected == {}


def test_null_attributes_are_missing_values() -> None:
    optional = [one.name for one in REPORTS["payments"].sources[0].attributes if not one.required]
    nulls = {name: {"NULL": True} for name in optional}
    found = exported(selection(), page(record(1, **nulls), record(2)))

    present = {"payment_id", "amount_minor", "created_at_utc"}
    assert {name for name, value in found.rows[0].items() if value is not None} == present
    assert found.rows[1]["currency"] == "USD"
    assert found.rejected == {}


def test_a_null_where_a_value_is_required_is_a_reject() -> None:
    found = exported(selection(), page(record(1, amount={"NULL": True}), record(2)))
    assert found.column("payment_id") == ["pay-000002"]
    assert found.rejected == {"pay-000001": "amount is missing"}


def test_unknown_attributes_do_not_disturb() -> None:
    odd = {"ID": {"S": "x"}, "Amount": {"L": []}, "crèdit": {"B": "AA=="}, "no value": {"?": 1}}
    assert exported(selection(), page(record(1, **odd))).rows == (
        exported(selection(), page(record(1))).rows
    )


def test_unknown_attributes_come_out_in_the_optional_column() -> None:
    odd = {"ID": {"S": "x"}, "fees": {"L": [{"N": "0.10"}]}, "tags": {"SS": ["b", "a"]}}
    found = exported(
        selection(columns=["payment_id", "other_attributes"]), page(record(1, **odd), record(2))
    )
    assert found.column("payment_id") == ["pay-000001", "pay-000002"]
    assert found.column("other_attributes") == [
        '{"ID":"x","fees":[0.10],"tags":["a","b"]}',
        None,
    ]


def test_columns_are_the_selected_ones_in_their_order() -> None:
    wanted = selection(columns=["currency", "payment_id"])
    (frame,) = exported(wanted, page(record())).frames
    assert list(frame.columns) == ["currency", "payment_id"]


def test_an_amount_brings_the_currency_that_it_is_written_by() -> None:
    wanted = selection(columns=["amount_major", "payment_id"])
    (frame,) = exported(wanted, page(record())).frames
    assert list(frame.columns) == ["amount_major", "payment_id", "currency"]


def test_a_selection_of_a_request_has_its_columns_zone_and_filters() -> None:
    values = request_values(columns="status,payment_id", timezone="Asia/Tokyo", min_amount=5)
    request = parse_request(values, REPORTS)
    wanted = Selection.of(REPORTS["payments"], request, JANUARY, AS_OF)
    assert [column.name for column in wanted.columns] == ["status", "payment_id"]
    assert (wanted.span, wanted.as_of, wanted.time_zone) == (JANUARY, AS_OF, "Asia/Tokyo")
    assert wanted.filters == {**dict.fromkeys(FILTERS), "min_amount": 5}


def test_nothing_to_read_gives_no_frames() -> None:
    assert exported(selection()).frames == exported(selection(), page()).frames == []
    assert exported(selection(), page(record(createdAt={"S": "2026-02-01T00:00:00Z"}))).rows == []


FILTER_CASES = [
    ("status", "failed", "status", {"S": "failed"}, {"S": "Failed"}),
    ("currency", "JPY", "currency", {"S": "JPY"}, {"S": "USD"}),
    ("customer_id", "cus-2", "customerID", {"S": "cus-2"}, {"S": "cus-1"}),
    ("customer_id", "' OR 1=1 --", "customerID", {"S": "' OR 1=1 --"}, {"S": "cus-1"}),
    ("min_amount", 5, "amount", {"N": "5"}, {"N": "4"}),
    ("min_amount", -5, "amount", {"N": "-5"}, {"N": "-6"}),
    ("max_amount", 5, "amount", {"N": "5"}, {"N": "6"}),
    ("max_amount", 5, "amount", {"N": "5.0"}, {"N": "6.0"}),
]


@pytest.mark.parametrize(("name", "value", "attribute", "matching", "other"), FILTER_CASES)
def test_a_filter_leaves_what_matches(
    name: str, value: Any, attribute: str, matching: Any, other: Any
) -> None:
    records = [record(1, **{attribute: other}), record(2, **{attribute: matching})]
    found = exported(selection(**{name: value}), page(*records))
    assert found.column("payment_id") == ["pay-000002"]
    assert found.rejected == {}


def test_every_filter_has_a_case_above() -> None:
    assert {name for name, *_ in FILTER_CASES} == set(FILTERS)


def test_filters_hold_all_together() -> None:
    cases = [
        record(n, amount={"N": str(n)}, status={"S": "failed" if n % 2 else "x"}) for n in range(9)
    ]
    found = exported(selection(status="failed", min_amount=3, max_amount=7), page(*cases))
    assert found.column("amount_minor") == [3, 5, 7]


def test_a_missing_value_matches_no_filter() -> None:
    missing = [record(1, customerID=...), record(2, customerID={"NULL": True})]
    found = exported(selection(customer_id="cus-1"), page(*missing))
    assert (found.rows, found.rejected) == ([], {})


def test_as_of_bounds_the_time_of_creation_and_no_other() -> None:
    as_of = datetime(2026, 1, 20, tzinfo=UTC)
    before, after = "2026-01-19T23:59:59.999999Z", "2026-01-20T00:00:00Z"
    records = [
        record(1, createdAt={"S": before}, updatedAt={"S": after}),
        record(2, createdAt={"S": after}),
    ]
    found = exported(selection(as_of=as_of), page(*records))
    assert found.column("payment_id") == ["pay-000001"]


def test_as_of_bounds_the_time_of_creation_also_where_the_range_is_of_days() -> None:
    as_of = datetime(2026, 1, 20, tzinfo=UTC)
    records = [
        settlement(1, createdAt={"S": "2026-01-19T00:00:00Z"}),
        settlement(2, createdAt={"S": "2026-01-20T00:00:00Z"}),
        settlement(3),
    ]
    found = exported(selection("settlements", as_of=as_of), page(*records))
    assert found.column("settlement_id") == ["set-000001", "set-000003"]


def test_an_empty_span_has_no_rows() -> None:
    at = instant("2026-01-15T12:00:00Z")
    assert exported(selection(span=TimeRange(at, at)), page(record())).rows == []
    moment = TimeRange(at, at + timedelta(microseconds=1))
    assert len(exported(selection(span=moment), page(record())).rows) == 1


def test_large_records_make_small_frames() -> None:
    large = {"S": "x" * 300_000}
    found = exported(
        selection(columns=["description"]), *[page(*[record(description=large)] * 3)] * 100
    )
    assert len(found.rows) == 300
    assert max(len(frame) for frame in found.frames) * 300_000 <= 80_000_000


@pytest.mark.parametrize("count", [0, 1, 60])
def test_an_error_of_the_source_stays_what_it_is(count: int) -> None:
    def broken() -> Iterator[bytes]:
        yield from pages(count, 500)
        raise StoreUnavailable("DynamoDB does not answer")

    with pytest.raises(StoreUnavailable, match=r"^DynamoDB does not answer$"):
        exported(selection(), payments=broken())


def test_an_error_of_any_of_two_sources_stays_what_it_is() -> None:
    def broken() -> Iterator[bytes]:
        yield page(transaction())
        raise StoreUnavailable("DynamoDB does not answer")

    with pytest.raises(StoreUnavailable, match="does not answer"):
        exported(selection("daily_summary"), payments=[page(record())], transactions=broken())


@pytest.mark.parametrize(
    "garbage", [b"garbage", b'{"Items":[{"id":{"S":"x"}', b'{"Items":[{"id":{"S":"\xff"}}]}', b"<"]
)
@pytest.mark.parametrize("before", [0, 3])
def test_a_page_that_is_not_json_is_an_outage(garbage: bytes, before: int) -> None:
    with pytest.raises(StoreUnavailable, match="a page is not JSON"):
        exported(selection(), *pages(before, 10), garbage, *pages(before, 10))


def test_suspects_are_looked_up_in_the_page_that_they_are_in() -> None:
    """Pages of all sizes, with a suspect at another place of each."""
    found_pages, bad = [], set()
    number = 0
    for size in range(1, 128):
        records = []
        for position in range(size):
            odd = position == size // 2
            records.append(
                record(number, amount={"N": "1.5" if odd else "15e-1" if size % 2 else "1"})
            )
            if odd or size % 2:
                bad.add(f"pay-{number:06d}")
            number += 1
        found_pages.append(page(*records))

    found = exported(selection(), *found_pages, limit=number)

    assert set(found.rejected) == bad
    assert set(found.column("payment_id")) == {f"pay-{n:06d}" for n in range(number)} - bad


NULLS = {"updatedAt": {"NULL": True}, "customerID": {"NULL": True}}
"""What makes a record suspect, and lets it pass."""


def test_a_page_of_suspects_is_there_until_the_last_is_judged_however_far_others_are() -> None:
    slow = page(*(record(number, **NULLS) for number in range(2600)))
    quick = page(*(record(number, description={"S": "x" * 390_000}) for number in range(2)))
    feed = [slow if number in (20, 60) else quick for number in range(100)]

    found = exported(selection(columns=["payment_id"]), *feed)

    assert (len(found.rows), found.rejected) == (2 * 2600 + 98 * 2, {})


def test_pages_of_a_few_suspects_are_there_until_they_are_judged() -> None:
    feed = [
        page(*(record(number, **NULLS if at % 7 == 0 else {}) for number in range(1 + at % 5)))
        for at in range(3000)
    ]
    assert len(exported(selection(columns=["payment_id"]), *feed).rows) == 9000


def test_a_page_is_kept_as_long_as_its_batch() -> None:
    feed = _Feed([b"one", b"two"])
    first, second = feed
    assert (feed.page(0), feed.page(1)) == (b"one", b"two")
    del first
    with pytest.raises(KeyError):
        feed.page(0)
    assert feed.page(1) == b"two"
    assert second.num_rows == 1


def test_a_page_that_is_not_json_is_found_however_far_others_are() -> None:
    """It takes long to read to the end of this one, where it breaks off."""
    bad = page(*(record(number) for number in range(30_000)))[:-1]
    with pytest.raises(StoreUnavailable, match="a page is not JSON"):
        exported(selection(), *pages(50, 1), bad, *pages(2000, 1))


def test_a_report_reads_a_source_twice_through_a_with(tmp_path: Path) -> None:
    report = report_of(
        tmp_path,
        "WITH p AS (FROM payments) SELECT id FROM p WHERE amount = (SELECT max(amount) FROM p)",
        "id text",
    )
    found = exported(selection(report), page(record(1), record(2, amount={"N": "2000"})))
    assert found.column("id") == ["pay-000002"]


def test_a_report_that_reads_a_source_twice_is_wrong(tmp_path: Path) -> None:
    twice = "SELECT id FROM payments WHERE amount = (SELECT max(amount) FROM payments)"
    report = report_of(tmp_path, twice, "id text")
    with pytest.raises(ReportError, match=r"mine\.sql:7: .*a source is read once"):
        exported(selection(report), page(record(1)))


@pytest.mark.parametrize(
    ("sql", "column", "reason"),
    [
        ("description::BIGINT", "integer [1]", "Conversion Error: Could not convert string 'ord"),
        ("amount + 9223372036854775807", "integer [1]", "Out of Range Error: Overflow in addition"),
        ("amount // (amount - amount)", "integer [1]", "Invalid Input Error: Division by zero"),
        ("description ->> '$.a'", "text", "Invalid Input Error: Malformed JSON"),
    ],
)
@pytest.mark.parametrize("before", [0, 40])
def test_a_value_that_the_sql_does_not_take_fails_the_export(
    tmp_path: Path, sql: str, column: str, reason: str, before: int
) -> None:
    """Before the first frame, which DuckDB raises, and after it, which Arrow raises."""
    report = report_of(
        tmp_path,
        f"SELECT CASE WHEN status = 'odd' THEN {sql} END AS a FROM payments",
        f"a {column}",
    )
    feed = [*pages(before, 2000), page(record(status={"S": "odd"}))]
    with pytest.raises(ExportFailed) as caught:
        exported(selection(report), *feed)
    assert caught.value.code == "report_failed"
    said = f"the report mine does not take a value of these records: {reason}"
    assert str(caught.value).startswith(said)


def test_a_sum_that_is_too_large_fails_the_export() -> None:
    large = {"amount": {"N": str(9 * 10**18)}}
    with pytest.raises(ExportFailed, match=r"the report daily_summary .* out of range") as caught:
        exported(selection("daily_summary"), page(record(1, **large), record(2, **large)))
    assert caught.value.code == "report_failed"


def test_of_a_long_value_only_the_beginning_is_told(tmp_path: Path) -> None:
    report = report_of(tmp_path, "SELECT description::BIGINT AS a FROM payments", "a integer [1]")
    secret = {"S": "IO Error\n" + "4111 " * 60_000}
    with pytest.raises(ExportFailed) as caught:
        exported(selection(report), page(record(description=secret)))
    assert len(str(caught.value)) < 300
    assert str(caught.value).count("4111") < 20
    assert str(caught.value).endswith("from source column description")


SORTED = "SELECT id FROM payments ORDER BY md5(id)"


def many_pages() -> Iterator[bytes]:
    """A million records, twenty thousand ids."""
    bare = {name: record()[name] for name in ("createdAt", "amount")}
    some = [
        page(*({"id": {"S": str(number)}, **bare} for number in range(at, at + 4000)))
        for at in range(0, 20_000, 4000)
    ]
    for _ in range(50):
        yield from some


@pytest.fixture
def spilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what is spilled goes to."""
    folder = tmp_path / "spilled"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_what_does_not_fit_into_memory_is_spilled_and_comes_out_sorted(
    tmp_path: Path, spilled: Path
) -> None:
    report = report_of(tmp_path, SORTED, "id text")
    seen: set[Path] = set()

    def watched() -> Iterator[bytes]:
        for one in many_pages():
            seen.update(spilled.glob("*/*.tmp"))
            yield one

    rejects = Rejects({}, 0)
    found = list(
        frames(selection(report), {"payments": watched()}, rejects, room=Room("64MB", "1GB"))
    )

    ids = pa.chunked_array([frame["id"].array.__arrow_array__() for frame in found])
    assert len(ids) == 1_000_000
    in_order = sorted(map(str, range(20_000)), key=lambda one: md5(one.encode()).digest())  # noqa: S324
    assert pc.unique(ids).to_pylist() == in_order
    assert seen, "it did not fit into memory"
    assert list(spilled.iterdir()) == []


def test_without_room_for_what_is_spilled_the_worker_is_out_of_room(tmp_path: Path) -> None:
    report = report_of(tmp_path, SORTED, "id text")
    rejects = Rejects({}, 0)
    with small_disk(2**20), pytest.raises(OutOfRoom, match="no room to work in"):
        list(
            frames(selection(report), {"payments": many_pages()}, rejects, room=Room("64MB", "1GB"))
        )


def test_without_memory_for_what_cannot_be_spilled_the_worker_is_out_of_room(
    tmp_path: Path,
) -> None:
    report = report_of(tmp_path, SORTED, "id text")
    rejects = Rejects({}, 0)
    with pytest.raises(OutOfRoom, match="no room to work in"):
        list(
            frames(selection(report), {"payments": many_pages()}, rejects, room=Room("8MB", "1GB"))
        )


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Files of this process grow no larger than this: what a full disk does to them."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


OUTSIDE = [
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM '/etc/hostname.csv'",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
    "SELECT * FROM read_parquet('s3://bucket/key')",
    "COPY (SELECT 1) TO '/tmp/remit-outside.csv'",
    "ATTACH '/tmp/remit-outside.db'",
    "EXPORT DATABASE '/tmp/remit-outside'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SELECT * FROM secret_frame",
]
SETTINGS = [
    "SET enable_external_access = true",
    "SET memory_limit = '100GB'",
    "SET threads = 64",
    "SET temp_directory = '/tmp'",
    "RESET max_temp_directory_size",
    "SET lock_configuration = false",
]


@pytest.fixture(scope="module")
def prepared() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection as reports run on it."""
    with connect(1) as connection:
        wanted = selection()
        _prepare(connection, wanted, {"payments": _Feed([])}, Rejects({}, 0))
        yield connection


@pytest.mark.parametrize("sql", OUTSIDE)
def test_sql_reaches_nothing_outside(prepared: duckdb.DuckDBPyConnection, sql: str) -> None:
    secret_frame = pd.DataFrame({"a": [1]})  # noqa: F841 - DuckDB would find it by its name
    with pytest.raises(duckdb.Error):
        prepared.execute(sql)
    assert not list(Path("/tmp").glob("remit-outside*"))


@pytest.mark.parametrize("sql", SETTINGS)
def test_sql_cannot_change_the_configuration(prepared: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises(duckdb.InvalidInputException, match=r"locked|running"):
        prepared.execute(sql)


def test_the_frames_can_be_left_early_and_nothing_stays_behind(spilled: Path) -> None:
    produced = frames(selection(), {"payments": pages(300, 100)}, Rejects({}, 0))
    next(produced)
    assert len(list(spilled.iterdir())) == 1
    produced.close()
    assert list(spilled.iterdir()) == []


def test_too_many_rejects_fail_the_export() -> None:
    bad = [page(record(number, amount={"N": "x"})) for number in range(3)]
    assert len(exported(selection(), *bad, limit=3).rejected) == 3
    with pytest.raises(ExportFailed, match="more than 2 records cannot be read") as caught:
        exported(selection(), *bad, limit=2)
    assert caught.value.code == "too_many_rejects"
