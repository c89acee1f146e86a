"""CSV after RFC 4180: commas, CRLF, quotes where needed and doubled inside; UTF-8.

A spreadsheet runs text that begins like a formula. Such text gets a leading apostrophe, as OWASP
advises (https://owasp.org/www-community/attacks/CSV_Injection); numbers never do: -70 stays -70.
An empty text is `""`, a missing value is nothing between the commas.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from remit.exports.render.arrow import instants_as_text, schema_of, table_of
from remit.exports.render.base import Renderer

_FORMULA_START = r"^[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"  # the last four: full width
_GUARDED = frozenset({"text", "json"})


class CsvRenderer(Renderer):
    """Renders CSV."""

    extension = "csv"
    content_type = "text/csv; charset=utf-8"
    joinable = True

    def _begin(self, first: bool) -> None:
        columns = self._columns
        kinds = [
            pa.string() if column.type == "timestamp" else schema_of([column]).field(0).type
            for column in columns
        ]
        names = [column.name for column in columns]
        self._schema = pa.schema(list(zip(names, kinds, strict=True)))
        self._options = csv.WriteOptions(include_header=False, eol="\r\n", quoting_style="needed")
        if first:
            self._sink.write((",".join(names) + "\r\n").encode())

    def write(self, frame: pd.DataFrame) -> None:
        """Render one frame."""
        table = table_of(frame, self._columns)
        arrays = [
            _cells(table.column(position), column.type)
            for position, column in enumerate(self._columns)
        ]
        cells = pa.Table.from_arrays(arrays, schema=self._schema)
        buffer = pa.BufferOutputStream()
        csv.write_csv(cells, buffer, self._options)
        self._sink.write(buffer.getvalue())

    def finish(self) -> None:
        """CSV has no end."""


def _cells(values: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    if kind == "timestamp":
        return instants_as_text(values)
    return _guarded(values) if kind in _GUARDED else values


def _guarded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    formula = pc.match_substring_regex(values, _FORMULA_START)
    if not pc.any(formula).as_py():
        return values
    return pc.if_else(formula, pc.binary_join_element_wise("'", values, ""), values)
