"""Parquet, zstd-compressed, with the declared schema and row groups of one size."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
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
        self._writer = parquet.ParquetWriter(self._sink, schema, compression="zstd")
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
        self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=ROW_GROUP_ROWS)
        self._waiting = []
