"""Parquet, zstd-compressed, with the declared schema and sorted row groups.

A row group is in memory until it is written, so its rows and its bytes are limited.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from remit.exports.render.arrow import schema_of, table_of
from remit.exports.render.base import Renderer

ROW_GROUP_ROWS = 100_000
ROW_GROUP_BYTES = 64 * 2**20
"""Bytes as Arrow holds them, which a single frame may exceed: the engine limits that."""


class ParquetRenderer(Renderer):
    """Renders Parquet."""

    extension = "parquet"
    content_type = "application/vnd.apache.parquet"
    joinable = False

    def _begin(self, first: bool) -> None:  # noqa: ARG002 - the schema is in the footer
        schema = schema_of(self._columns)
        sorting = [(self._sort, "ascending")] if self._sort else []
        self._writer = parquet.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
            sorting_columns=parquet.SortingColumn.from_ordering(schema, sorting),
        )
        self._waiting: list[pa.Table] = []
        self._rows = self._bytes = 0

    def write(self, frame: pd.DataFrame) -> None:
        """Render one frame; what waits is written once this one does not fit in with it."""
        table = table_of(frame, self._columns)
        rows, size = self._rows + table.num_rows, self._bytes + table.nbytes
        if self._waiting and (rows > ROW_GROUP_ROWS or size > ROW_GROUP_BYTES):
            self._write_group()
        self._waiting.append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes

    def finish(self) -> None:
        """Write the last row group and the footer."""
        if self._waiting:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        """Sorted, because the index orders times as text: other offsets stand out of their place.

        Readers skip row groups by their least and greatest value, whatever the order of groups.
        """
        table = pa.concat_tables(self._waiting)
        if self._sort and not _is_sorted(table.column(self._sort)):
            table = table.sort_by(self._sort)
        self._writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._waiting = []
        self._rows = self._bytes = 0


def _is_sorted(values: pa.ChunkedArray) -> bool:
    in_order = pc.less_equal(values.slice(0, max(len(values) - 1, 0)), values.slice(1))
    return values.null_count == 0 and bool(pc.all(in_order).as_py() is not False)
