"""Raw pages to pandas frames: DuckDB decodes and selects, batch by batch, in constant memory."""

from __future__ import annotations

import re
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from remit.aws.plain_column import plain_json_column
from remit.aws.plain_json import other_attributes
from remit.errors import ExportFailed, StoreUnavailable
from remit.exports.decode import MACROS, pages_of, relation_of
from remit.exports.duck import ROOM, Room, check_room, connect, watched
from remit.exports.local_days import local_days
from remit.exports.rejects import Rejects
from remit.exports.reports import COLUMN_TYPES, FILTERS, Column, Report, ReportError, Source
from remit.exports.request import ExportRequest, TimeRange
from remit.exports.zones import first_day_from, time_zone

BATCH_ROWS = 20_000
"""Rows of one frame, unless it would be larger than `BATCH_BYTES`."""

BATCH_BYTES = 64 * 2**20

_AHEAD = "20MB"
"""What DuckDB decodes ahead while a frame is rendered: two frames of half a kilobyte a row."""

_THREADS = 2
_LET_GO = 2 * _THREADS
"""Pages that are kept when DuckDB has let go of them. It lets go of one that it could not read
before the error is seen; meanwhile each other thread ends the page that it has."""

_OF_DATA = (
    "Conversion Error: ",
    "Invalid Input Error: ",
    "Not implemented Error: ",
    "Out of Range Error: ",
)
"""How DuckDB's errors begin when SQL is right and a value is not what it takes. What an error was
raised for has no other mark when it comes through Arrow."""

_OF_CODE = "Python exception occurred"
_READ_TWICE = "RecordBatchReader has already been consumed"
_LINE = re.compile(r"LINE (\d+):")
_PAGE = pa.schema([("_number", pa.int64()), ("_page", pa.string())])


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
    selection: Selection,
    feeds: Mapping[str, Iterable[bytes]],
    rejects: Rejects,
    check: Callable[[], None] = lambda: None,
    room: Room = ROOM,
) -> Generator[pd.DataFrame]:
    """The report's rows as frames of Arrow-backed columns, in the order of the pages.

    `feeds` has the pages of each source by the source's name. Arrow-backed dtypes keep 64-bit
    integers, decimals and UTC timestamps exact and nullable. While a frame is used, DuckDB decodes
    the next one. `check` is called twice a second, from another thread.

    Raises:
        Exception: whatever `check` raises.
        ExportFailed: too many records cannot be read, or the report's SQL does not take a value.
        OutOfRoom: what has to be sorted or added up does not fit.
        ReportError: the report's SQL is wrong.
        StoreUnavailable: a page is not JSON.
    """
    pages = {name: _Feed(feed) for name, feed in feeds.items()}
    with connect(_THREADS, room) as connection, watched(connection, check):
        _prepare(connection, selection, pages, rejects)
        relation = connection.sql(_query(selection))
        try:
            for table in _tables(relation.to_arrow_reader(BATCH_ROWS)):
                yield _with_plain_json(table, selection).to_pandas(types_mapper=pd.ArrowDtype)
        except Exception as error:
            # What is raised while rows are pulled comes through Arrow and has lost its type.
            if rejects.failure is not None:
                raise rejects.failure from None
            for feed in pages.values():
                feed.check()
            check_room(error)
            _check_sql(error, selection.report)
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
        try:
            connection.sql(_query(selection)).fetchall()
        except duckdb.Error as error:
            raise _read_twice(error, report) from error


def _create_view(
    connection: duckdb.DuckDBPyConnection, name: str, file: Source | Report, sql: str
) -> None:
    """Define a view whose SQL ends with a file's own; what is wrong there has the file's line."""
    before = sql.count("\n") - file.sql.count("\n")
    try:
        statements = connection.extract_statements(f'CREATE TEMP VIEW "{name}" AS {sql}')
        if len(statements) > 1:
            raise ReportError(file.path, file.sql_line, "there is more than one query")
        connection.execute(statements[0])
    except duckdb.Error as error:
        line = int(match[1]) - before if (match := _LINE.search(str(error))) else 1
        raise ReportError(file.path, file.sql_line + max(line, 1) - 1, _reason(error)) from error


def _check_sql(error: Exception, report: Report) -> None:
    """Raise what DuckDB's error means if the report's SQL is at fault: it is no better when the
    export is tried again."""
    text = str(error)
    if _READ_TWICE in text:
        raise _read_twice(error, report) from error
    if text.startswith(_OF_DATA) and _OF_CODE not in text:
        # Not `from error`: that may hold a customer's text at full length.
        raise ExportFailed(
            "report_failed",
            f"the report {report.name} does not take a value of these records: {_brief(error)}",
        ) from None


def _read_twice(error: Exception, report: Report) -> ReportError:
    once = "a source is read once: to use it twice, put it into a WITH"
    return ReportError(report.path, report.sql_line, f"{_reason(error)} ({once})")


def _reason(error: Exception) -> str:
    return str(error).partition("\n\nLINE")[0].replace("\n", " ")


def _brief(error: Exception) -> str:
    """The reason's two ends: in between is the value, which may be long."""
    reason = _reason(error)
    return reason if len(reason) <= 200 else f"{reason[:100]} … {reason[-80:]}"


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
    names = ", ".join(f'"{column.name}"' for column in selection.frame_columns)
    return f"SELECT {names} FROM report"


class _Feed:
    """The pages, as DuckDB pulls them; keeps the error that DuckDB would turn into its own.

    A page is kept while DuckDB has it. How many pages others are ahead of one says nothing: a
    thread may judge a page full of suspects while another reads a hundred.
    """

    def __init__(self, pages: Iterable[bytes]) -> None:
        self._pages = pages
        self._held: dict[int, bytes] = {}
        self._let_go: deque[bytes] = deque(maxlen=_LET_GO)
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[Any]:
        try:
            for number, page in enumerate(self._pages):
                yield _batch(number, self._hold(number, page))
        except Exception as error:
            self._error = error
            raise

    def _hold(self, number: int, page: bytes) -> memoryview:
        """A view of a page, which is kept for as long as the view lives."""
        view = memoryview(page)
        self._held[number] = page
        weakref.finalize(view, self._release, number).atexit = False
        return view

    def _release(self, number: int) -> None:
        self._let_go.append(self._held.pop(number))

    def page(self, number: int) -> bytes:
        """A page that DuckDB has."""
        return self._held[number]

    def check(self) -> None:
        """Raise what the source of the pages raised, or what is wrong with a page."""
        if self._error is not None:
            raise self._error from None
        for page in [*self._held.values(), *self._let_go]:
            try:
                msgspec.json.decode(page)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise StoreUnavailable(f"a page is not JSON: {error}") from None


def _batch(number: int, page: memoryview) -> Any:
    """A page as a batch of one row, without a copy: the view lives as long as the batch."""
    edges = pa.py_buffer(b"\0\0\0\0" + len(page).to_bytes(4, "little"))
    text = pa.StringArray.from_buffers(1, edges, pa.py_buffer(page))
    return pa.record_batch([pa.array([number], pa.int64()), text], schema=_PAGE)


def _prepare(
    connection: duckdb.DuckDBPyConnection,
    selection: Selection,
    pages: Mapping[str, _Feed],
    rejects: Rejects,
) -> None:
    zone = time_zone(selection.time_zone)
    _define_functions(connection, pages, rejects, zone)
    variables = {
        "range_start": selection.span.start,
        "range_end": selection.span.end,
        "first_day": first_day_from(selection.span.start, zone),
        "end_day": first_day_from(selection.span.end, zone),
        "as_of": selection.as_of,
        "time_zone": selection.time_zone,
        **{name: selection.filters.get(name) for name in FILTERS},
    }
    for name, value in variables.items():
        connection.execute(f"SET VARIABLE {name} = ?", [value])
    connection.execute(f"SET streaming_buffer_size = '{_AHEAD}'")
    connection.execute("SET lock_configuration = true")
    report = selection.report
    attributes = any(column.type == "attributes" for column in selection.columns)
    for source in report.sources:
        reader = pa.RecordBatchReader.from_batches(_PAGE, iter(pages[source.name]))
        connection.register(pages_of(source), reader)
        relation = relation_of(source, attributes=attributes)
        _create_view(connection, source.name, source, f"{relation}{source.sql}")
    _create_view(connection, "report", report, report.sql)
    _check_columns(connection, report)


def _tables(batches: Iterable[Any]) -> Iterator[Any]:
    """Tables of `BATCH_ROWS` rows or more: with several threads, DuckDB's batches end where a page
    ends, and every frame has a cost of its own."""
    waiting: list[Any] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= BATCH_ROWS or size >= BATCH_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _with_plain_json(table: Any, selection: Selection) -> Any:
    """The attributes among the columns as plain JSON, all of a table's values at once."""
    for position, column in enumerate(selection.frame_columns):
        if column.type == "attribute":
            # Chunk by chunk: what is worked on stays in the processor's cache. What is no
            # AttributeValue inside (DynamoDB sends none such) stays as it came.
            chunks = table.column(position).chunks
            plain = pa.chunked_array(
                [pc.coalesce(plain_json_column(one), one) for one in chunks], pa.string()
            )
            table = table.set_column(position, column.name, plain)
    return table


def _define_functions(
    connection: duckdb.DuckDBPyConnection,
    pages: Mapping[str, _Feed],
    rejects: Rejects,
    zone: ZoneInfo,
) -> None:
    def admit(sources: Any, numbers: Any, positions: Any) -> Any:
        """For many records at once, because a call costs more than a record."""
        admitted: list[bool] = []
        suspects = zip(*(one.to_pylist() for one in (sources, numbers, positions)), strict=True)
        for (source, number), found in groupby(suspects, key=lambda one: one[:2]):
            page = pages[source].page(number)
            admitted += rejects.admit(source, page, [position for *_, position in found])
        return pa.array(admitted, pa.bool_())

    connection.create_function(
        "admit",
        admit,
        ["VARCHAR", "BIGINT", "BIGINT"],
        "BOOLEAN",
        type="arrow",
        side_effects=True,
    )
    connection.create_function(
        "local_day",
        partial(local_days, zone),
        ["TIMESTAMP WITH TIME ZONE"],
        "DATE",
        type="arrow",
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
        "other_attributes",
        other_attributes,
        ["VARCHAR", "VARCHAR[]"],
        "VARCHAR",
        null_handling="special",
    )
    for macro in MACROS:
        connection.execute(macro)
