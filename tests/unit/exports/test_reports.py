from __future__ import annotations

from pathlib import Path

import pytest

from remit.errors import ConfigurationError
from remit.exports.engine import check_report
from remit.exports.reports import Column, ReportError, load_report, load_reports
from remit.settings import REPORTS_DIRECTORY

HEAD = """\
-- title: Refunds
-- description: One row per refund.
-- permission: refunds
-- source: payments
-- column: payment_id text
"""
SQL = "SELECT id AS payment_id FROM payments\n"


def write(folder: Path, text: str, name: str = "refunds.sql") -> Path:
    sources = folder / "sources"
    sources.mkdir()
    (sources / "payments.sql").write_text(
        (REPORTS_DIRECTORY / "sources" / "payments.sql").read_text(encoding="utf-8"),
        encoding="utf-8",
    )
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", sorted(load_reports(REPORTS_DIRECTORY)))
def test_every_report_that_is_shipped_yields_what_it_declares(name: str) -> None:
    check_report(load_reports(REPORTS_DIRECTORY)[name])


def test_a_file_is_a_report(tmp_path: Path) -> None:
    write(tmp_path, HEAD + SQL)

    report = load_reports(tmp_path)["refunds"]

    assert (report.title, report.permission) == ("Refunds", "refunds")
    assert report.columns == (Column("payment_id", "text"),)
    assert report.sql == SQL.strip()
    check_report(report)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (HEAD.replace("permission", "licence") + SQL, 3, "unknown key 'licence'"),
        (HEAD.replace("-- permission: refunds\n", "") + SQL, 5, "lacks '-- permission"),
        (HEAD + "-- title: Again\n" + SQL, 6, "given twice"),
        (HEAD.replace("id text", "id money") + SQL, 5, "unknown type 'money'"),
        (HEAD.replace("payment_id text", "Payment text") + SQL, 5, "not a column name"),
        (HEAD + "-- column: payment_id text\n" + SQL, 6, "declared twice"),
        (HEAD.replace("source: payments", "source: nowhere") + SQL, 5, "there is no source"),
        (HEAD, 6, "at least one column and a query"),
        ("", 1, "lacks '-- title"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ReportError) as caught:
        load_report(path)
    assert f"refunds.sql:{line}: " in str(caught.value)
    assert reason in str(caught.value)


def test_a_file_name_that_cannot_be_asked_for_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + SQL, "Refunds 2026.sql")
    with pytest.raises(ReportError, match="file name"):
        load_report(path)


def test_a_folder_without_reports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="REMIT_REPORTS"):
        load_reports(tmp_path)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id AS another FROM payments",
        "SELECT amount AS payment_id FROM payments",
        "SELECT nothing AS payment_id FROM payments",
        "SELECT id AS payment_id FROM elsewhere",
        "SELECT id AS payment_id FROM feed",
        "SELEKT",
        "SELECT content AS payment_id FROM read_text('/etc/hostname')",
        "SELECT 'x' AS payment_id FROM read_csv('http://127.0.0.1/x.csv')",
    ],
)
def test_sql_that_is_wrong_or_reaches_outside_is_refused(tmp_path: Path, sql: str) -> None:
    report = load_report(write(tmp_path, HEAD + sql))
    with pytest.raises(ConfigurationError, match="refunds"):
        check_report(report)
