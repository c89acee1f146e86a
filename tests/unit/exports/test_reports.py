from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

import pytest

from remit.errors import ConfigurationError
from remit.exports.engine import check_report
from remit.exports.reports import (
    FILTERS,
    Attribute,
    Column,
    Report,
    ReportError,
    ReportLibrary,
    load_report,
    load_source,
    report,
    source,
)
from remit.settings import REPORTS_DIRECTORY
from tests.support.exports import REPORTS

HEAD = """\
-- title: Refunds
-- description: One row per refund.
-- permission: refunds
-- sources: payments
-- sliced: yes
-- sort: created_at_utc
-- column: payment_id text
-- column: created_at_utc timestamp
-- column: amount_minor integer [minor units of currency]
-- column: amount major(currency) [major units of currency]
-- column: currency text [ISO 4217 code]
-- column: others attributes optional
"""
SQL = """\

SELECT
    id AS payment_id,
    created_at AS created_at_utc,
    amount AS amount_minor,
    amount_major AS amount,
    currency,
    attributes AS others
FROM payments
"""
SOURCE = """\
-- table: Payments
-- index: gsi-merchant-created
-- partition: merchantID
-- range: createdAt
-- statuses: pending succeeded
-- attribute: id id text required
-- attribute: createdAt created_at instant required
-- attribute: amount amount integer required
-- attribute: currency currency text
-- attribute: status status text
SELECT
    *,
    major(amount, currency) AS amount_major
FROM items
"""


def write(folder: Path, text: str = HEAD + SQL, name: str = "refunds.sql") -> Path:
    """A report file, beside its source."""
    write_source(folder, SOURCE)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def write_source(folder: Path, text: str, name: str = "payments.sql") -> Path:
    (folder / "sources").mkdir(exist_ok=True)
    path = folder / "sources" / name
    path.write_text(text, encoding="utf-8")
    return path


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_every_report_that_is_shipped_yields_what_it_declares(name: str) -> None:
    check_report(REPORTS[name])


def test_the_shipped_reports_are_these() -> None:
    assert sorted(REPORTS) == ["daily_summary", "payments", "refunds", "settlements"]
    assert sorted(path.stem for path in REPORTS_DIRECTORY.glob("*.sql")) == sorted(REPORTS)


def test_a_file_is_a_report(tmp_path: Path) -> None:
    path = write(tmp_path)

    found = load_report(path)

    assert (found.name, found.path) == ("refunds", path)
    assert (found.title, found.description) == ("Refunds", "One row per refund.")
    assert (found.permission, found.sliced, found.sort) == ("refunds", True, "created_at_utc")
    assert found.columns == (
        Column("payment_id", "text"),
        Column("created_at_utc", "timestamp"),
        Column("amount_minor", "integer", "minor units of currency"),
        Column("amount", "major", "major units of currency", currency="currency"),
        Column("currency", "text", "ISO 4217 code"),
        Column("others", "attributes", optional=True),
    )
    assert found.sql == SQL.strip()
    assert path.read_text(encoding="utf-8").splitlines()[found.sql_line - 1] == "SELECT"
    check_report(found)


def test_its_source_is_read_with_it(tmp_path: Path) -> None:
    (found,) = load_report(write(tmp_path)).sources
    assert (found.name, found.table, found.index) == (
        "payments",
        "Payments",
        "gsi-merchant-created",
    )
    assert (found.partition, found.statuses) == ("merchantID", ("pending", "succeeded"))
    assert found.range == Attribute("createdAt", "created_at", "instant", required=True)
    assert found.attributes[3] == Attribute("currency", "currency", "text", required=False)
    assert found.columns == {"id", "created_at", "amount", "currency", "status"}


def test_optional_columns_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    found = load_report(write(tmp_path))
    assert "others" not in [column.name for column in found.select(None)]
    assert [column.name for column in found.select(["others", "currency"])] == [
        "others",
        "currency",
    ]
    with pytest.raises(KeyError):
        found.select(["nothing"])


def test_a_report_has_the_filters_that_all_of_its_sources_have(tmp_path: Path) -> None:
    found = load_report(write(tmp_path))
    assert found.filters == ("status", "currency", "min_amount", "max_amount")
    assert found.statuses == ("pending", "succeeded")
    assert REPORTS["payments"].filters == tuple(FILTERS)
    assert "customer_id" not in REPORTS["daily_summary"].filters


WRONG_REPORTS = [
    (changed(HEAD, "permission", "licence") + SQL, 3, "unknown key 'licence'; known: column, desc"),
    (changed(HEAD, "-- permission: refunds\n", "") + SQL, 12, "lacks '-- permission: …'"),
    (changed(HEAD, "-- title: Refunds\n", "") + SQL, 12, "lacks '-- title: …'"),
    (changed(HEAD, "-- sliced: yes\n", "") + SQL, 12, "lacks '-- sliced: …'"),
    (HEAD + "-- title: Again\n" + SQL, 13, "'title' is given twice"),
    (HEAD + "-- sort: payment_id\n" + SQL, 13, "'sort' is given twice"),
    (changed(HEAD, "sliced: yes", "sliced: true") + SQL, 5, "'yes' or 'no', not 'true'"),
    (changed(HEAD, "sources: payments", "sources: payments payments") + SQL, 5, "several sources"),
    (changed(HEAD, "sources: payments", "sources: nowhere") + SQL, 4, "there is no source /"),
    (changed(HEAD, "sort: created_at_utc", "sort: day") + SQL, 6, "no column 'day' to sort by"),
    (changed(HEAD, "payment_id text", "payment_id money") + SQL, 7, "unknown type 'money'"),
    (changed(HEAD, "payment_id text", "Payment text") + SQL, 7, "'Payment' is not a column name"),
    (changed(HEAD, "payment_id text", "_id text") + SQL, 7, "'_id' is not a column name"),
    (changed(HEAD, "payment_id text", "payment_id") + SQL, 7, "is not '<name> <type> [optional]"),
    (changed(HEAD, "payment_id text", "payment_id text 5") + SQL, 7, "is not '<name> <type>"),
    (changed(HEAD, "created_at_utc timestamp", "created timestamp") + SQL, 8, "zone: created_utc"),
    (
        changed(HEAD, "amount_minor integer [minor units of currency]", "amount_minor integer")
        + SQL,
        9,
        "an integer column states its unit",
    ),
    (changed(HEAD, "major(currency)", "major") + SQL, 10, "the text column of the currency"),
    (changed(HEAD, "major(currency)", "major(amount_minor)") + SQL, 10, "not 'amount_minor'"),
    (changed(HEAD, "major(currency)", "major(nothing)") + SQL, 10, "not 'nothing'"),
    (changed(HEAD, "payment_id text", "payment_id text(currency)") + SQL, 7, "only a major column"),
    (HEAD + "-- column: payment_id text\n" + SQL, 13, "'payment_id' is declared twice"),
    (HEAD, 13, "at least one column and a query"),
    (re.sub("-- column.*\n", "", HEAD) + SQL, 7, "at least one column and a query"),
    ("", 1, "at least one column and a query"),
]


@pytest.mark.parametrize(("text", "line", "reason"), WRONG_REPORTS)
def test_a_wrong_report_is_refused_with_file_line_and_reason(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ReportError) as caught:
        load_report(path)
    assert str(caught.value).startswith(f"{path}:{line}: "), caught.value
    assert reason in str(caught.value)


WRONG_SOURCES = [
    (changed(SOURCE, "table", "tables"), 1, "unknown key 'tables'; known: attribute, index"),
    (changed(SOURCE, "-- index: gsi-merchant-created\n", ""), 10, "lacks '-- index: …'"),
    (changed(SOURCE, "-- range: createdAt\n", ""), 10, "lacks '-- range: …'"),
    (changed(SOURCE, "range: createdAt", "range: id"), 4, "of the type instant or day"),
    (changed(SOURCE, "range: createdAt", "range: paidAt"), 4, "of the type instant or day"),
    (changed(SOURCE, "instant required", "instant"), 4, "'createdAt' has to be a required"),
    (changed(SOURCE, "-- attribute: id id text required\n", ""), 10, "lacks '-- attribute: id …'"),
    (changed(SOURCE, "currency currency text", "currency currency txt"), 9, "unknown type 'txt'"),
    (changed(SOURCE, "currency currency text", "currency text"), 9, "'<attribute> <column> <type>"),
    (changed(SOURCE, "currency currency text", "currency _c text"), 9, "'<attribute> <column>"),
    (changed(SOURCE, "currency currency text", "cur-rency c text"), 9, "'<attribute> <column>"),
    (changed(SOURCE, "currency currency text", "c attributes text"), 9, "'attributes' holds what"),
    (changed(SOURCE, "currency currency text", "amount currency text"), 9, "is declared twice"),
    (changed(SOURCE, "currency currency text", "cur amount integer"), 9, "is declared twice"),
    (
        changed(SOURCE, "amount amount integer", "amount amount text"),
        8,
        "the column 'amount' has the type 'integer', not 'text'",
    ),
    (changed(SOURCE, "status status text", "status status integer"), 10, "has the type 'text'"),
    (changed(SOURCE, "currency currency text", "c currency json"), 9, "has the type 'text'"),
    (changed(SOURCE, "currency currency text", "c customer_id integer"), 9, "'text', not 'int"),
    (
        changed(SOURCE, "createdAt created_at instant", "createdAt created_at day"),
        7,
        "the column 'created_at' has the type 'instant', not 'day'",
    ),
    (changed(SOURCE, "-- statuses: p", "-- table: T\n-- statuses: p"), 5, "'table' is given twice"),
    (SOURCE.partition("SELECT")[0], 11, "a source has a query"),
]


@pytest.mark.parametrize(("text", "line", "reason"), WRONG_SOURCES)
def test_a_wrong_source_is_refused_with_file_line_and_reason(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    path = write_source(tmp_path, text)
    with pytest.raises(ReportError) as caught:
        load_source(path)
    assert str(caught.value).startswith(f"{path}:{line}: "), caught.value
    assert reason in str(caught.value)


@pytest.mark.parametrize("name", ["Refunds 2026.sql", "Refunds.sql", "2026.sql", "re-funds.sql"])
def test_a_file_name_that_cannot_be_asked_for_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReportError, match=r":1: the file's name is made of a-z, 0-9 and _"):
        load_report(write(tmp_path, name=name))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(HEAD.encode() + b"SELECT '\xff'")
    with pytest.raises(ReportError, match=r"refunds\.sql:1: the file is not UTF-8"):
        load_report(path)


def test_a_file_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "refunds.sql"
    path.symlink_to(tmp_path / "gone.sql")
    with pytest.raises(ReportError, match="cannot be read: No such file"):
        load_report(path)


def test_the_mark_that_some_editors_write_first_does_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_report(path).title == "Refunds"


def refusal(found: Report) -> str:
    with pytest.raises(ReportError) as caught:
        check_report(found)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("id AS payment_id", "nothing AS payment_id", 15, "nothing"),
        ("    currency,\n", "    currncy,\n", 19, "currncy"),
        ("FROM payments", "FROM elsewhere", 21, "elsewhere"),
        ("FROM payments", "FROM transactions", 21, "transactions"),
        ("FROM payments", "FROM report", 21, "report"),
        ("SELECT", "SELEKT", 14, "syntax error"),
        ("    currency,\n", "    currency,,\n", 19, "syntax error"),
        ("    currency,\n", "    no_function(currency) AS currency,\n", 19, "no_function"),
        ("FROM payments", "FROM read_text('/etc/hostname')", 21, "disabled"),
        ("FROM payments", "FROM read_csv('http://127.0.0.1/x')", 21, "disabled"),
        (
            "id AS payment_id",
            "id AS another",
            14,
            "'payment_id' is declared as VARCHAR and is missing",
        ),
        ("amount AS amount_minor", "id AS amount_minor", 14, "as BIGINT and is VARCHAR"),
        ("    currency,\n", "    currency, status,\n", 14, "not declared: status"),
        ("FROM payments\n", "FROM payments; SELECT 1\n", 14, "more than one query"),
        ("FROM payments\n", "FROM payments; SET threads = 9\n", 14, "more than one query"),
        (
            "FROM payments\n",
            "FROM payments WHERE amount = (SELECT max(amount) FROM payments)\n",
            14,
            "to use it twice, put it into a WITH",
        ),
    ],
)
def test_sql_that_is_wrong_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, reason: str
) -> None:
    path = write(tmp_path, HEAD + changed(SQL, old, new))
    message = refusal(load_report(path))
    assert message.startswith(f"{path}:{line}: "), message
    assert reason in message


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("major(amount, currency)", "major(amount)", 13, "major"),
        ("FROM items", "FROM itms", 14, "itms"),
        ("    *,\n", "    *\n", 13, "syntax error"),
        ("FROM items", "FROM items; SELECT 1", 11, "more than one query"),
    ],
)
def test_sql_of_a_source_that_is_wrong_is_refused_with_its_own_file_and_line(
    tmp_path: Path, old: str, new: str, line: int, reason: str
) -> None:
    path = write(tmp_path)
    wrong = write_source(tmp_path, changed(SOURCE, old, new))
    message = refusal(load_report(path))
    assert message.startswith(f"{wrong}:{line}: "), message
    assert reason in message


def test_attributes_that_duckdb_takes_for_the_same_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    twice = changed(SOURCE, "currency currency text", "ID currency text")
    wrong = write_source(tmp_path, twice)
    assert refusal(load_report(path)).startswith(f"{wrong}:11: ")


@pytest.mark.parametrize("name", ["number", "position", "record", "suspect", "page", "order"])
def test_a_source_may_call_its_columns_what_it_likes(tmp_path: Path, name: str) -> None:
    head = changed(HEAD, "-- sort: created_at_utc\n", f"-- column: {name} text\n")
    path = write(tmp_path, head + changed(SQL, "    currency,\n", f'    currency, "{name}",\n'))
    write_source(tmp_path, changed(SOURCE, "status status text", f"status {name} text"))
    check_report(load_report(path))


class Checks:
    """Notes the reports that were checked; refuses one by name."""

    def __init__(self, refused: str = "") -> None:
        self.names: list[str] = []
        self._refused = refused

    def __call__(self, found: Report) -> None:
        self.names.append(found.name)
        if found.name == self._refused:
            raise ReportError(found.path, 1, "it does not bind")


def touch(path: Path, text: str) -> None:
    """Change a file, and its time, which may be the same within a tick."""
    before = path.stat().st_mtime_ns
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(before + 1, before + 1))


def test_a_file_that_is_dropped_in_is_there_at_once_and_one_that_is_removed_is_gone(
    tmp_path: Path,
) -> None:
    path = write(tmp_path)
    library = ReportLibrary(tmp_path, Checks())
    assert set(library.current().usable) == {"refunds"}

    shutil.copy(path, tmp_path / "more.sql")
    assert set(library.current().usable) == {"refunds", "more"}
    assert library.get("more").title == "Refunds"

    path.unlink()
    assert set(library.current().usable) == {"more"}
    with pytest.raises(ConfigurationError, match="there is no report 'refunds' in"):
        library.get("refunds")


def test_files_are_read_again_only_when_one_has_changed(tmp_path: Path) -> None:
    path = write(tmp_path)
    checks = Checks()
    library = ReportLibrary(tmp_path, checks)

    assert library.current() is library.current()
    assert checks.names == ["refunds"]

    touch(path, changed(HEAD, "title: Refunds", "title: Returns") + SQL)
    assert library.get("refunds").title == "Returns"
    assert checks.names == ["refunds", "refunds"]


def test_a_source_that_has_changed_is_read_again(tmp_path: Path) -> None:
    write(tmp_path)
    library = ReportLibrary(tmp_path, Checks())
    assert library.get("refunds").sources[0].table == "Payments"

    touch(tmp_path / "sources" / "payments.sql", changed(SOURCE, "table: Pay", "table: MyPay"))
    assert library.get("refunds").sources[0].table == "MyPayments"


def test_a_wrong_file_does_not_take_the_others_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path)
    write(tmp_path, "-- nonsense: yes\n", "header.sql")
    write(tmp_path, HEAD + SQL, "binding.sql")
    write(tmp_path, HEAD + SQL, "Wrong Name.sql")
    (tmp_path / "dangling.sql").symlink_to(tmp_path / "gone")
    library = ReportLibrary(tmp_path, Checks("binding"))

    with caplog.at_level(logging.ERROR):
        found = library.current()

    assert set(found.usable) == {"refunds"}
    assert set(found.refused) == {"header", "binding", "Wrong Name", "dangling"}
    assert "header.sql:1: unknown key 'nonsense'" in caplog.text
    with pytest.raises(ReportError, match="it does not bind"):
        library.get("binding")
    assert library.get("refunds").title == "Refunds"


def test_a_file_that_was_mended_is_usable_again(tmp_path: Path) -> None:
    path = write(tmp_path, "-- nonsense: yes\n")
    library = ReportLibrary(tmp_path, Checks())
    assert set(library.current().refused) == {"refunds"}

    touch(path, HEAD + SQL)
    assert library.get("refunds").title == "Refunds"
    assert library.current().refused == {}


def test_a_folder_without_reports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="REMIT_REPORTS names the folder"):
        ReportLibrary(tmp_path, Checks()).current()


def test_the_columns_that_filters_look_at_have_a_type() -> None:
    assert {column for column, _ in FILTERS.values()} < set(source.KNOWN_COLUMNS)


@pytest.mark.parametrize("key", sorted(report._KEYS))
def test_every_key_of_a_report_is_documented(key: str) -> None:
    assert f"-- {key}: " in (report.__doc__ or "")
    assert f"-- {key}: " in HEAD


@pytest.mark.parametrize("key", sorted(source._KEYS))
def test_every_key_of_a_source_is_documented(key: str) -> None:
    assert f"-- {key}: " in (source.__doc__ or "")
    assert f"-- {key}: " in SOURCE
