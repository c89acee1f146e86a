"""CSV after RFC 4180: commas, CRLF, UTF-8; quotes inside quotes doubled.

Integers and truth values are bare, and everything else is in quotes, whatever the value. So an
empty text (`""`) and a missing value (nothing between the commas) differ, and a reader that makes a
float of each bare number makes none of an amount in major units.

A spreadsheet runs text that begins like a formula. Such text gets a leading apostrophe, as OWASP
advises (https://owasp.org/www-community/attacks/CSV_Injection); numbers never do: -70 stays -70,
also as JSON, which begins with no other character of a formula than the sign of a number.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from remit.exports.render.arrow import table_of
from remit.exports.render.base import Renderer
from remit.exports.render.cells import first_bytes, text_of, with_currencies
from remit.exports.reports import Column

FORMULA_STARTS = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001 - the last four are the full-width forms
_FORMULA_START = "^[" + "".join(rf"\x{{{ord(one):X}}}" for one in FORMULA_STARTS) + "]"
_FIRST_BYTES = np.zeros(256, bool)
_FIRST_BYTES[[one.encode()[0] for one in FORMULA_STARTS]] = True
_BARE = frozenset({"integer", "boolean"})
_WRITE_BYTES = 2**20
_MOST_ROWS_OF_A_WRITE = 2048


class CsvRenderer(Renderer):
    """Renders CSV."""

    extension = "csv"
    content_type = "text/csv; charset=utf-8"
    joinable = True

    def _begin(self, first: bool) -> None:
        if first:
            names = (column.name for column in self._columns)
            self._sink.write((",".join(names) + "\r\n").encode())

    def write(self, frame: pd.DataFrame) -> None:
        """Render one frame."""
        table = table_of(frame, with_currencies(self._columns)).combine_chunks()
        cells = [_cells(column, table) for column in self._columns]
        names = [column.name for column in self._columns]
        cells_table = pa.Table.from_arrays(cells, names)
        arrow_csv.write_csv(cells_table, self._sink, _options(cells_table))

    def finish(self) -> None:
        """CSV has no end."""


def _options(table: pa.Table) -> arrow_csv.WriteOptions:
    """What Arrow deems to need quotes is every text, and nothing else. It makes the text of a
    batch in memory and writes that in one go."""
    rows = table.num_rows * _WRITE_BYTES // max(table.nbytes, 1)
    return arrow_csv.WriteOptions(
        include_header=False,
        quoting_style="needed",
        eol="\r\n",
        batch_size=min(max(rows, 1), _MOST_ROWS_OF_A_WRITE),
    )


def _cells(column: Column, table: pa.Table) -> pa.Array:
    """A column as what Arrow writes in the form that it shall have."""
    if column.type in _BARE:
        return table.column(column.name)
    texts = text_of(column, table)
    return _guarded(texts) if column.type == "text" else texts


def _guarded(texts: pa.Array) -> pa.Array:
    if not _may_be_formulas(texts):
        return texts
    formula = pc.match_substring_regex(texts, _FORMULA_START)
    return pc.if_else(formula, pc.binary_join_element_wise("'", texts, ""), texts)


def _may_be_formulas(texts: pa.Array) -> bool:
    """Whether the first byte of any text is one that a formula's first character has."""
    return bool(_FIRST_BYTES[first_bytes(texts)].any())
