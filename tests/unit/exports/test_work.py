from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remit.clock import format_instant
from remit.exports.reports import ReportError, ReportLibrary
from remit.exports.work import Work
from remit.queue import Claim
from remit.settings import REPORTS_DIRECTORY, Settings
from tests.unit.exports.building import exported, page, settlement

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def work(folder: Path = REPORTS_DIRECTORY, **query: Any) -> Work:
    """A claim of a record as the platform writes it, understood."""
    item = {
        "id": "export-1",
        "merchantID": "merchant-1",
        "format": "csv",
        "query": {"StartDate": "2026-01-01", "EndDate": "2026-12-31", **query},
        "createdAt": "2026-11-23T12:00:00Z",
        "generation": 3,
    }
    library = ReportLibrary(folder, check=lambda report: None)
    return Work.of(Claim("export-1", "token", item), library, Settings(), NOW)


def test_the_span_ends_a_settle_lag_before_the_request() -> None:
    one = work()
    assert one.as_of == NOW - Settings().settle_lag
    assert one.span.end == one.as_of
    assert one.job.request.range.end > one.as_of


def test_a_span_that_ended_before_is_as_it_was_asked_for() -> None:
    one = work(EndDate="2026-01-31")
    assert (one.span.start, one.span.end) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
    )


def test_a_span_that_has_not_begun_is_empty() -> None:
    one = work(StartDate="2026-12-01")
    assert one.span.end - one.span.start == timedelta()


def test_as_of_bounds_creations_and_no_other_range() -> None:
    """A settlement of a day that is still to come was created already, and so was one of a day that
    has not begun in UTC."""
    one = work(Report="settlements", Timezone="America/Los_Angeles")
    assert one.span == one.job.request.range
    assert one.span.end > one.as_of == one.selection.as_of


def test_a_settlement_dated_ahead_is_exported_if_it_was_created_before_as_of() -> None:
    one = work(Report="settlements", StartDate="2026-11-23", EndDate="2026-12-31")
    created = [one.as_of - timedelta(microseconds=1), one.as_of, None]
    records = [
        settlement(
            number,
            date={"S": "2026-12-01"},
            createdAt={"S": format_instant(at)} if at else ...,
        )
        for number, at in enumerate(created)
    ]
    found = exported(one.selection, page(*records)).column("settlement_id")
    assert found == ["set-000000", "set-000002"]


@pytest.mark.parametrize("report", ["payments", "refunds", "daily_summary"])
def test_a_range_of_creations_ends_at_as_of(report: str) -> None:
    one = work(Report=report)
    assert one.span.end == one.as_of


@pytest.mark.parametrize("query", [{}, {"Report": "payments"}])
def test_a_report_whose_file_is_wrong_is_no_fault_of_the_export(
    tmp_path: Path, query: dict[str, str]
) -> None:
    folder = tmp_path / "sql"
    shutil.copytree(REPORTS_DIRECTORY, folder)
    (folder / "payments.sql").write_text("SELECT 1\n", encoding="utf-8")
    with pytest.raises(ReportError, match=r"payments\.sql:1: "):
        work(folder, **query)
