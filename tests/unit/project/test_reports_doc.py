"""docs/reports.md: its example is a report, its tables are the code's."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from remit.exports.duck import ROOM
from remit.exports.engine import check_report
from remit.exports.render import CsvRenderer
from remit.exports.reports import COLUMN_TYPES, FILTERS, ReportError, load_report, report, source
from remit.exports.reports.source import ATTRIBUTE_TYPES
from remit.settings import REPORTS_DIRECTORY
from tests.unit.exports.building import exported, page, record, selection
from tests.unit.project.documents import Document, names

DOCUMENT = Document("docs/reports.md")
EXAMPLE = DOCUMENT.files()["customers.sql"]

WRONG = [
    ("-- permission:", "-- licence:"),
    ("-- sources: payments", "-- sources: payment"),
    ("integer [payments]", "integer"),
    ("first_payment_at_utc timestamp", "first_payment_at timestamp"),
    ("-- sliced: no\n", ""),
    ("::BIGINT", ""),
    ("ORDER BY customer_id, currency", "; COPY customers TO '/tmp/customers'"),
    ("FROM payments", "FROM payment"),
    ("FROM payments", "FROM read_csv('/etc/passwd')"),
]
"""What is changed in the example, for each of the errors that the document shows."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the reports, with the files that the document shows."""
    copied = tmp_path / "sql"
    shutil.copytree(REPORTS_DIRECTORY, copied)
    for name, sql in DOCUMENT.files().items():
        (copied / name).write_text(sql, encoding="utf-8")
    return copied


def test_the_example_makes_the_file_that_is_shown(folder: Path) -> None:
    example = load_report(folder / "customers.sql")
    check_report(example)
    records = [
        record(1),
        record(2, customerID={"S": "cus-2"}, currency={"S": "JPY"}),
        record(3, amount={"N": "501"}),
        record(4, status={"S": "failed"}),
    ]
    content = io.BytesIO()
    renderer = CsvRenderer(content, example.select(None), first=True)
    for frame in exported(selection(example), page(*records)).frames:
        renderer.write(frame)
    assert content.getvalue().decode().replace("\r\n", "\n") in DOCUMENT.blocks("text")


def test_the_source_and_its_report_work(folder: Path) -> None:
    disputes = load_report(folder / "disputes.sql")
    check_report(disputes)
    dispute = {
        "id": {"S": "dis-1"},
        "openedAt": {"S": "2026-01-03T00:00:00+05:45"},
        "dueOn": {"S": "2026-02-01"},
        "status": {"S": "open"},
        "amount": {"N": "1.999E3"},
        "currency": {"S": "KWD"},
        "isFraud": {"BOOL": False},
        "evidence": {"M": {"shipment": {"M": {"carrier": {"S": "post"}}}}},
        "note": {"S": "late"},
    }
    wanted = selection(disputes, [column.name for column in disputes.columns])
    found = exported(wanted, page(dispute, {**dispute, "id": {"S": "dis-2"}, "status": {"N": "1"}}))
    (row,) = found.rows
    assert (row["amount_minor"], str(row["amount_major"])) == (1999, "1.9990")
    assert (row["carrier"], row["other_attributes"]) == ("post", '{"note":"late"}')
    assert found.rejected == {"dis-2": "status is of the type N, not S"}
    assert disputes.filters == ("status", "currency", "min_amount", "max_amount")


@pytest.mark.parametrize(("before", "after"), WRONG)
def test_a_wrong_file_is_refused_as_shown(folder: Path, before: str, after: str) -> None:
    assert before in EXAMPLE
    (folder / "customers.sql").write_text(EXAMPLE.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ReportError) as refused:
        check_report(load_report(folder / "customers.sql"))
    shown = [line for block in DOCUMENT.blocks("text") for line in block.splitlines()]
    assert str(refused.value).replace(f"{folder}/", "") in shown


def test_every_error_that_is_shown_is_tried() -> None:
    shown = [block for block in DOCUMENT.blocks("text") if "customers.sql:" in block]
    assert sum(len(block.splitlines()) for block in shown) == len(WRONG)


def test_the_tables_are_those_of_the_code() -> None:
    heads = DOCUMENT.tables("key", "how often", "value")
    for rows, keys in zip(heads, (report._KEYS, source._KEYS), strict=True):
        assert {names(row[0])[0] for row in rows} == keys
    columns = DOCUMENT.table("type", "in the query", "unit", "what it is")
    assert {names(row[0])[0]: names(row[1])[0] for row in columns} == COLUMN_TYPES
    assert {names(row[0])[0] for row in columns if row[2] == "must"} == report._UNIT_NEEDED
    attributes = DOCUMENT.table("type", "DynamoDB", "reads", "column")
    assert [names(row[0])[0] for row in attributes] == list(ATTRIBUTE_TYPES)
    filters = DOCUMENT.table("filter", "column", "keeps records whose column is")
    assert {names(row[0])[0]: names(row[1])[0] for row in filters} == {
        name: column for name, (column, _) in FILTERS.items()
    }


def test_the_room_of_a_query_is_the_code_s() -> None:
    for size in (ROOM.memory, ROOM.disk):
        assert f"{size[:-2]} {size[-2:]}" in DOCUMENT.text
