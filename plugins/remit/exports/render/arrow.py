"""From a frame back to Arrow: the declared schema."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from remit.errors import ConfigurationError
from remit.exports.reports import Column

ARROW_TYPES = {
    "text": pa.string(),
    "integer": pa.int64(),
    "major": pa.decimal128(24, 4),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "json": pa.string(),
    "attribute": pa.string(),
    "attributes": pa.string(),
}
"""Type of a report's column to its Arrow type, which is also its Parquet type."""

_NO_SUCH_TYPE = (KeyError, TypeError, ValueError, ArithmeticError, pa.ArrowException)
"""What Arrow raises for values that it cannot turn into a type."""


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """The declared schema; a column's unit is in its field's metadata."""
    return pa.schema(
        pa.field(
            column.name,
            ARROW_TYPES[column.type],
            metadata={"unit": column.unit} if column.unit else None,
        )
        for column in columns
    )


def table_of(frame: pd.DataFrame, columns: Sequence[Column]) -> pa.Table:
    """The frame's columns as a table of the declared schema.

    Raises:
        ConfigurationError: a column is missing or its values do not have its type. The engine's
            frames are right, so a transform has done it.
    """
    try:
        return pa.Table.from_pandas(
            frame, schema=schema_of(columns), preserve_index=False, nthreads=1
        )
    except _NO_SUCH_TYPE as error:
        raise ConfigurationError(
            f"a frame is not what the report declares (is it the transform?): {error}"
        ) from error
