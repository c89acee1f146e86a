"""Raw pages to pandas frames: DuckDB decodes and selects, batch by batch, in constant memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pyarrow as pa

from remit.aws.plain_json import plain_json
from remit.errors import ConfigurationError, ExportFailed
from remit.exports.duck import connect
from remit.exports.reports import COLUMN_TYPES, Report
from remit.exports.request import ExportRequest, TimeRange

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH_ROWS = 20_000
"""Rows of one frame."""

_MALFORMED = re.compile(r"malformed record: (?P<reason>.*)")

_THREADS = 2


def frames(
    report: Report, request: ExportRequest, span: TimeRange, pages: Iterable[str]
) -> Iterator[pd.DataFrame]:
    """The report's rows as frames of Arrow-backed columns, in the order of the pages.

    Arrow-backed dtypes keep 64-bit integers, decimals and UTC timestamps exact and nullable.

    Raises:
        ExportFailed: a record cannot be read; the message names it.
        ConfigurationError: the report's SQL is wrong.
    """
    feed = _Feed(pages)
    with connect(_THREADS) as connection:
        try:
            _prepare(connection, report, request, span, feed)
            relation = connection.sql(report.sql)
        except duckdb.Error as error:
            raise ConfigurationError(f"the report {report.name!r} is wrong: {error}") from error
        _check_columns(report, relation)
        try:
            for batch in relation.to_arrow_reader(BATCH_ROWS):
                yield batch.to_pandas(types_mapper=pd.ArrowDtype)
        except Exception as error:
            # What is raised while rows are pulled comes through Arrow and has lost its type.
            feed.check()
            if (match := _MALFORMED.search(str(error))) is not None:
                raise ExportFailed("malformed_record", match["reason"]) from error
            raise


class _Feed:
    """The pages, as DuckDB pulls them; keeps the error that DuckDB would turn into its own."""

    def __init__(self, pages: Iterable[str]) -> None:
        self._pages = pages
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[str]:
        try:
            yield from self._pages
        except Exception as error:
            self._error = error
            raise

    def check(self) -> None:
        """Raise what the source of the pages raised."""
        if self._error is not None:
            raise self._error


def check_report(report: Report) -> None:
    """Bind a report without reading anything.

    Raises:
        ConfigurationError: the SQL is wrong or does not yield the declared columns.
    """
    anything = ExportRequest(start_date="2026-01-01", end_date="2026-01-01")
    for _ in frames(report, anything, anything.range, []):
        pass


def _prepare(
    connection: DuckDBPyConnection,
    report: Report,
    request: ExportRequest,
    span: TimeRange,
    pages: Iterable[str],
) -> None:
    connection.create_function("plain_json", plain_json, ["VARCHAR"], "VARCHAR")
    variables = {
        "range_start": span.start,
        "range_end": span.end,
        "status_is": request.status,
        "customer_is": request.customer_id,
        "amount_from": request.min_amount,
        "amount_to": request.max_amount,
    }
    for name, value in variables.items():
        connection.execute(f"SET VARIABLE {name} = ?", [value])
    schema = pa.schema([("page", pa.string())])
    batches = (pa.record_batch({"page": [page]}, schema=schema) for page in pages)
    connection.register("pages", pa.RecordBatchReader.from_batches(schema, batches))
    connection.execute(f"CREATE TEMP VIEW {report.source} AS {report.source_sql}")
    connection.execute("SET lock_configuration = true")


def _check_columns(report: Report, relation: Any) -> None:
    found = list(zip(relation.columns, map(str, relation.types), strict=True))
    declared = [(column.name, COLUMN_TYPES[column.type]) for column in report.columns]
    if found != declared:
        raise ConfigurationError(
            f"the report {report.name!r} declares {declared} and yields {found}"
        )
