"""Reports: one `.sql` file in `include/sql` each, described by the comment lines at its head.

    -- title: Payments
    -- description: One row per payment created in the range.
    -- permission: payments
    -- source: payments
    -- column: amount_minor integer
    SELECT … FROM payments

The file's name is the report's name, `source` names the typed relation that it selects from
(`include/sql/sources/`), and the columns are the result's, in order, with their types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from remit.errors import ConfigurationError

COLUMN_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "text": "VARCHAR",
        "integer": "BIGINT",
        "timestamp": "TIMESTAMP WITH TIME ZONE",
        "json": "VARCHAR",
    }
)
"""Type of a report's column to the DuckDB type that its SQL has to yield."""

_HEADER = re.compile(r"--\s*[a-z]+:\s*\S.*")
_REQUIRED = ("title", "description", "permission", "source")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class ReportError(ConfigurationError):
    """A report file is wrong: the message says file, line and reason."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")


@dataclass(frozen=True)
class Column:
    """One column of a report: its name and its type, a key of `COLUMN_TYPES`."""

    name: str
    type: str


@dataclass(frozen=True)
class Report:
    """A report as its file declares it."""

    name: str
    title: str
    description: str
    permission: str
    columns: tuple[Column, ...]
    source: str
    source_sql: str
    sql: str


def load_reports(directory: Path) -> dict[str, Report]:
    """Every report of a folder, by name.

    Raises:
        ReportError: a file is wrong.
        ConfigurationError: the folder holds no report.
    """
    reports = {path.stem: load_report(path) for path in sorted(directory.glob("*.sql"))}
    if not reports:
        raise ConfigurationError(f"{directory} holds no report (REMIT_REPORTS names the folder)")
    return reports


def load_report(path: Path) -> Report:
    """Read one report file.

    Raises:
        ReportError: the file is wrong.
    """
    if not _NAME.fullmatch(path.stem):
        raise ReportError(path, 1, "a report's file name is made of a-z, 0-9 and _")
    lines = path.read_text(encoding="utf-8").splitlines()
    header_length = next(
        (n for n, line in enumerate(lines) if not _HEADER.fullmatch(line)), len(lines)
    )
    values, columns = _read_header(path, lines[:header_length])
    sql = "\n".join(lines[header_length:]).strip()
    if not columns or not sql:
        raise ReportError(path, header_length + 1, "a report has at least one column and a query")
    source = path.parent / "sources" / f"{values['source']}.sql"
    if not source.is_file():
        raise ReportError(path, header_length, f"there is no source {source}")
    return Report(
        name=path.stem,
        columns=tuple(columns),
        source_sql=source.read_text(encoding="utf-8"),
        sql=sql,
        **values,
    )


def _read_header(path: Path, lines: list[str]) -> tuple[dict[str, str], list[Column]]:
    values: dict[str, str] = {}
    columns: list[Column] = []
    for number, line in enumerate(lines, start=1):
        key, _, value = line.removeprefix("--").strip().partition(":")
        value = value.strip()
        if key == "column":
            columns.append(_column(path, number, value, columns))
        elif key not in _REQUIRED:
            known = ", ".join(("column", *_REQUIRED))
            raise ReportError(path, number, f"unknown key {key!r}; known: {known}")
        elif key in values:
            raise ReportError(path, number, f"{key!r} is given twice")
        else:
            values[key] = value
    for key in _REQUIRED:
        if key not in values:
            raise ReportError(path, len(lines) + 1, f"the header lacks '-- {key}: …'")
    return values, columns


def _column(path: Path, line: int, value: str, before: list[Column]) -> Column:
    name, _, kind = value.partition(" ")
    if not _NAME.fullmatch(name):
        raise ReportError(path, line, f"{name!r} is not a column name (a-z, 0-9 and _)")
    if kind not in COLUMN_TYPES:
        raise ReportError(path, line, f"unknown type {kind!r}; known: {', '.join(COLUMN_TYPES)}")
    if any(column.name == name for column in before):
        raise ReportError(path, line, f"the column {name!r} is declared twice")
    return Column(name, kind)
