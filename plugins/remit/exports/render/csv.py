"""CSV after RFC 4180: commas, CRLF, UTF-8; text in quotes, quotes inside doubled.

All text is in quotes, and nothing else is, so that an empty text (`""`) and a missing value
(nothing between the commas) differ, and readers that tell numbers by the lack of quotes do.

A spreadsheet runs text that begins like a formula. Such text gets a leading apostrophe, as OWASP
advises (https://owasp.org/www-community/attacks/CSV_Injection); numbers never do: -70 stays -70.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from remit.exports.render.arrow import table_of
from remit.exports.render.base import Renderer
from remit.exports.render.cells import Cell, contains, lines, text_of, with_currencies
from remit.exports.reports import Column

FORMULA_STARTS = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001 - the last four are the full-width forms
_FORMULA_START = "^[" + "".join(rf"\x{{{ord(one):X}}}" for one in FORMULA_STARTS) + "]"
_FIRST_BYTES = np.zeros(256, bool)
_FIRST_BYTES[[one.encode()[0] for one in FORMULA_STARTS]] = True
_FREE_TEXT = frozenset({"text", "json", "attribute", "attributes"})


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
        table = table_of(frame, with_currencies(self._columns))
        cells = (
            _cell("," if position else "", column, text_of(column, table))
            for position, column in enumerate(self._columns)
        )
        self._sink.write(lines(cells, missing="", end="\r\n"))

    def finish(self) -> None:
        """CSV has no end."""


def _cell(before: str, column: Column, texts: pa.Array) -> Cell:
    if column.type not in _FREE_TEXT:
        return Cell(before, texts, quote="")
    return Cell(before, _doubled(_guarded(texts)), quote='"')


def _guarded(texts: pa.Array) -> pa.Array:
    if not _may_be_formulas(texts):
        return texts
    formula = pc.match_substring_regex(texts, _FORMULA_START)
    return pc.if_else(formula, pc.binary_join_element_wise("'", texts, ""), texts)


def _may_be_formulas(texts: pa.Array) -> bool:
    """Whether the first byte of any text is one that a formula's first character has."""
    _, edges, data = texts.buffers()
    if data is None or not data.size:
        return False
    starts = np.frombuffer(edges, np.int32, len(texts), texts.offset * 4)
    content = np.frombuffer(data, np.uint8)
    # An empty text at the very end starts behind the last byte.
    return bool(_FIRST_BYTES[content[np.minimum(starts, len(content) - 1)]].any())


def _doubled(texts: pa.Array) -> pa.Array:
    """The texts with the quotes inside doubled: as bytes, all at once, for Arrow's replacing of
    texts takes ten times as long."""
    if not contains(texts, '"'):
        return texts
    _, edges, data = texts.buffers()
    starts = np.frombuffer(edges, np.int32, len(texts) + 1, texts.offset * 4)
    content = np.frombuffer(data, np.uint8)[starts[0] : starts[-1]]
    starts = starts - starts[0]
    before = np.searchsorted(np.flatnonzero(content == ord('"')), starts).astype(np.int32)
    doubled = pa.StringArray.from_buffers(
        len(texts),
        pa.py_buffer(starts + before),
        pa.py_buffer(content.tobytes().replace(b'"', b'""')),
    )
    return pc.if_else(texts.is_valid(), doubled, None) if texts.null_count else doubled
