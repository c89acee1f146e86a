"""From a frame back to Arrow, and the text forms that CSV and NDJSON share."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from remit.exports.reports import Column

ARROW_TYPES = {
    "text": pa.string(),
    "integer": pa.int64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "json": pa.string(),
}
"""Type of a report's column to its Arrow type, which is also its Parquet type."""


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """The declared schema."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in columns])


def table_of(frame: pd.DataFrame, columns: Sequence[Column]) -> pa.Table:
    """The frame as a table of the declared schema.

    Raises:
        pyarrow.ArrowInvalid: a value does not fit its column's type.
    """
    return pa.Table.from_pandas(frame, schema=schema_of(columns), preserve_index=False)


def instants_as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Timestamps as RFC 3339 in UTC with microseconds: `2026-01-31T23:59:59.000000Z`."""
    return pc.strftime(values, format="%Y-%m-%dT%H:%M:%SZ")
