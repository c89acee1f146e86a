from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from remit.exports.report_digest import report_digest
from remit.exports.reports.report import load_report
from remit.settings import REPORTS_DIRECTORY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REPORTS_DIRECTORY, tmp_path / "sql"))


def digest(folder: Path, report: str = "payments", transform: str = "") -> str:
    return report_digest(load_report(folder / f"{report}.sql"), transform)


def test_the_place_of_the_files_does_not_matter(folder: Path) -> None:
    assert digest(folder) == digest(REPORTS_DIRECTORY)


@pytest.mark.parametrize("file", ["payments.sql", "sources/payments.sql"])
def test_what_the_report_or_its_source_says_does(folder: Path, file: str) -> None:
    before = digest(folder)
    path = folder / file
    path.write_text(path.read_text(encoding="utf-8") + "\nWHERE true", encoding="utf-8")
    assert digest(folder) != before


def test_another_report_another_source_and_another_transform_do(folder: Path) -> None:
    before = digest(folder)
    path = folder / "sources" / "transactions.sql"
    path.write_text(path.read_text(encoding="utf-8") + "\nWHERE true", encoding="utf-8")
    assert digest(folder) == before
    assert len({before, digest(folder, "refunds"), digest(folder, transform="a:b")}) == 3


def test_another_version_of_remit_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(folder)
    monkeypatch.setattr("remit.exports.report_digest.__version__", "another")
    assert digest(folder) != before
