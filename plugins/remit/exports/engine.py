"""Raw pages to pandas frames: DuckDB decodes and selects, batch by batch, in constant memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import msgspec
import pandas as pd
import pyarrow as pa

from remit.aws.plain_column import plain_json_column
from remit.aws.plain_json import other_attributes
from remit.errors import StoreUnavailable
from remit.exports.decode import MACROS, pages_of, relation_of
from remit.exports.duck import check_room, connect
from remit.exports.rejects import Rejects
from remit.exports.reports import COLUMN_TYPES, FILTERS, Column, Report, ReportError, Source
from remit.exports.request import ExportRequest, TimeRange

BATCH_ROWS = 20_000
"""Rows of one frame."""

RECENT_PAGES = 16
"""Pages that are kept to look for the one that DuckDB could not read; more than it has in hand."""

_THREADS = 2
_LINE = re.compile(r"LINE (\d+):")
_PAGE = pa.schema([("page", pa.string())])


@dataclass(frozen=True)
class Selection:
    """What is wanted of a report: the columns, the range, the filters.

    `span` bounds the range attribute and `as_of` the time of creation; both ends are exclusive.
    """

    report: Report
    columns: tuple[Column, ...]
    span: TimeRange
    as_of: Any
    time_zone: str
    filters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, report: Report, request: ExportRequest, span: TimeRange, as_of: Any) -> Selection:
        """The selection that a request makes, within a span."""
        filters = {name: getattr(request, name) for name in FILTERS}
        return cls(report, report.select(request.columns), span, as_of, request.timezone, filters)

    @property
    def frame_columns(self) -> tuple[Column, ...]:
        """The columns of the frames: the selected ones, and the currencies that amounts need."""
        names = {column.name for column in self.columns}
        needed = {column.currency for column in self.columns if column.currency} - names
        return (*self.columns, *(one for one in self.report.columns if one.name in needed))


def frames(
    selection: Selection, feeds: Mapping[str, Iterable[bytes]], rejects: Rejects
) -> Iterator[pd.DataFrame]:
    """The report's rows as frames of Arrow-backed columns, in the order of the pages.

    `feeds` has the pages of each source by the source's name. Arrow-backed dtypes keep 64-bit
    integers, decimals and UTC timestamps exact and nullable.

    Raises:
        ExportFailed: too many records cannot be read.
        ReportError: the report's SQL is wrong.
        StoreUnavailable: a page is not JSON.
    """
    pages = {name: _Feed(feed) for name, feed in feeds.items()}
    with connect(_THREADS) as connection:
        _prepare(connection, selection, pages, rejects)
        relation = connection.sql(_query(selection))
        try:
            for table in _tables(relation.to_arrow_reader(BATCH_ROWS)):
                yield table.to_pandas(types_mapper=pd.ArrowDtype)
        except Exception as error:
            # What is raised while rows are pulled comes through Arrow and has lost its type.
            if rejects.failure is not None:
                raise rejects.failure from None
            for feed in pages.values():
                feed.check()
            check_room(error)
            raise


def check_report(report: Report) -> None:
    """Bind a report without reading anything.

    Raises:
        ReportError: the SQL is wrong or does not yield the declared columns.
    """
    year = ExportRequest(start_date="2026-01-01", end_date="2026-12-31", report=report.name)
    selection = Selection(report, report.columns, year.range, year.range.end, "UTC")
    sources = {source.name: source for source in report.sources}
    with connect(_THREADS) as connection:
        feeds = {name: _Feed([]) for name in sources}
        _prepare(connection, selection, feeds, Rejects(sources, 0))
        connection.sql(_query(selection)).fetchall()


def _create_view(
    connection: duckdb.DuckDBPyConnection, name: str, file: Source | Report, sql: str
) -> None:
    """Define a view whose SQL ends with a file's own; what is wrong there has the file's line."""
    before = sql.count("\n") - file.sql.count("\n")
    try:
        connection.execute(f"CREATE TEMP VIEW {name} AS {sql}")
    except duckdb.Error as error:
        line = int(match[1]) if (match := _LINE.search(str(error))) else before + 1
        reason = str(error).partition("\n\nLINE")[0].replace("\n", " ")
        raise ReportError(file.path, file.sql_line + line - 1 - before, reason) from error


def _check_columns(connection: duckdb.DuckDBPyConnection, report: Report) -> None:
    relation = connection.sql("FROM report")
    found = dict(zip(relation.columns, map(str, relation.types), strict=True))
    declared = {column.name: COLUMN_TYPES[column.type] for column in report.columns}
    for name, kind in declared.items():
        if found.get(name) != kind:
            reason = (
                f"the column {name!r} is declared as {kind} and is {found.get(name, 'missing')}"
            )
            raise ReportError(report.path, report.sql_line, reason)
    if extra := found.keys() - declared.keys():
        reason = f"the query yields columns that are not declared: {', '.join(sorted(extra))}"
        raise ReportError(report.path, report.sql_line, reason)


def _query(selection: Selection) -> str:
    return f"SELECT {', '.join(one.name for one in selection.frame_columns)} FROM report"


class _Feed:
    """The pages, as DuckDB pulls them; keeps the error that DuckDB would turn into its own."""

    def __init__(self, pages: Iterable[bytes]) -> None:
        self._pages = pages
        self._recent: list[bytes] = []
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[Any]:
        try:
            for page in self._pages:
                self._recent = [*self._recent[1 - RECENT_PAGES :], page]
                yield _batch(page)
        except Exception as error:
            self._error = error
            raise

    def check(self) -> None:
        """Raise what the source of the pages raised, or what is wrong with a page."""
        if self._error is not None:
            raise self._error from None
        for page in self._recent:
            try:
                msgspec.json.decode(page)
            except msgspec.DecodeError as error:
                raise StoreUnavailable(f"a page is not JSON: {error}") from None


def _batch(page: bytes) -> Any:
    """A page as a batch of one row, without a copy."""
    edges = pa.py_buffer(b"\0\0\0\0" + len(page).to_bytes(4, "little"))
    text = pa.StringArray.from_buffers(1, edges, pa.py_buffer(page))
    return pa.record_batch([text], schema=_PAGE)


def _prepare(
    connection: duckdb.DuckDBPyConnection,
    selection: Selection,
    pages: Mapping[str, _Feed],
    rejects: Rejects,
) -> None:
    _define_functions(connection, rejects)
    variables = {
        "range_start": selection.span.start,
        "range_end": selection.span.end,
        "as_of": selection.as_of,
        "time_zone": selection.time_zone,
        **{name: selection.filters.get(name) for name in FILTERS},
    }
    for name, value in variables.items():
        connection.execute(f"SET VARIABLE {name} = ?", [value])
    report = selection.report
    attributes = any(column.type == "attributes" for column in selection.columns)
    for source in report.sources:
        reader = pa.RecordBatchReader.from_batches(_PAGE, iter(pages[source.name]))
        connection.register(pages_of(source), reader)
        relation = relation_of(source, attributes=attributes)
        _create_view(connection, source.name, source, f"{relation}{source.sql}")
    _create_view(connection, "report", report, report.sql)
    _check_columns(connection, report)
    connection.execute("SET lock_configuration = true")


def _tables(batches: Iterable[Any]) -> Iterator[Any]:
    """Tables of at least `BATCH_ROWS` rows but the last: with several threads, DuckDB's batches end
    where a page ends, and every frame has a cost of its own."""
    waiting: list[Any] = []
    for batch in batches:
        waiting.append(batch)
        if sum(one.num_rows for one in waiting) >= BATCH_ROWS:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _define_functions(connection: duckdb.DuckDBPyConnection, rejects: Rejects) -> None:
    connection.create_function(
        "admit", rejects.admit, ["VARCHAR", "VARCHAR", "BIGINT"], "BOOLEAN", side_effects=True
    )
    connection.create_function(
        "plain_json",
        plain_json_column,
        ["VARCHAR"],
        "VARCHAR",
        type="arrow",
        null_handling="special",
    )
    connection.create_function(
        "other_attributes", other_attributes, ["VARCHAR", "VARCHAR[]"], "VARCHAR"
    )
    for macro in MACROS:
        connection.execute(macro)
