"""Parquet, zstd-compressed, with the declared schema and sorted row groups of one size."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from remit.exports.render.arrow import schema_of, table_of
from remit.exports.render.base import Renderer

ROW_GROUP_ROWS = 100_000


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

    def write(self, frame: pd.DataFrame) -> None:
        """Render one frame; a row group is written whenever one is full."""
        self._waiting.append(table_of(frame, self._columns))
        if sum(table.num_rows for table in self._waiting) >= ROW_GROUP_ROWS:
            self._write_group()

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


def _is_sorted(values: pa.ChunkedArray) -> bool:
    in_order = pc.less_equal(values.slice(0, max(len(values) - 1, 0)), values.slice(1))
    return values.null_count == 0 and bool(pc.all(in_order).as_py() is not False)
