"""XLSX for small exports: one sheet, exact values, nothing that a spreadsheet would run.

A spreadsheet's numbers have 15 digits; a longer one is written as text, and so are instants, whose
microseconds a date cell would lose. Text is never taken for a formula or a link.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pandas as pd
import xlsxwriter

from remit.errors import ExportFailed
from remit.exports.render.arrow import table_of
from remit.exports.render.base import Renderer
from remit.exports.render.cells import text_of, with_currencies
from remit.exports.request import MAX_ROWS

MOST_BYTES = 64 * 2**20
"""Bytes of the values of one file, as Arrow holds them. Until the file is written it takes up to
seven times as many."""

_EXACT_DIGITS = 15
_MOST_CHARACTERS = 32_767  # of one cell: Excel's limit, which counts them in UTF-16
_CREATED = datetime(2000, 1, 1, tzinfo=UTC)  # not the clock's: the same rows are the same bytes


class XlsxRenderer(Renderer):
    """Renders XLSX; the whole file stays in memory until the end, so its size is limited."""

    extension = "xlsx"
    content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    joinable = False
    max_rows = MAX_ROWS["xlsx"]

    def _begin(self, first: bool) -> None:  # noqa: ARG002 - an XLSX file is never a slice
        self._content = io.BytesIO()
        options = {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        }
        self._book = xlsxwriter.Workbook(self._content, options)
        self._book.set_properties({"created": _CREATED})
        self._blank = self._book.add_format()
        self._sheet = self._book.add_worksheet("Export")
        self._sheet.freeze_panes(1, 0)
        self._row = self._bytes = 0
        for position, column in enumerate(self._columns):
            self._sheet.write_string(0, position, column.name)

    def write(self, frame: pd.DataFrame) -> None:
        """Render one frame.

        Raises:
            ExportFailed: the file would be too large, or a text is too long for a cell.
        """
        table = table_of(frame, with_currencies(self._columns))
        self._take(table.nbytes)
        texts = [text_of(column, table).to_pylist() for column in self._columns]
        for row in zip(*texts, strict=True):
            self._row += 1
            if all(text is None for text in row):  # a row all the same: readers look for cells
                self._sheet.write_blank(self._row, 0, None, self._blank)
            for position, (column, text) in enumerate(zip(self._columns, row, strict=True)):
                if text is not None:
                    _WRITE.get(column.type, _write_text)(self._sheet, self._row, position, text)

    def _take(self, size: int) -> None:
        self._bytes += size
        if self._bytes > MOST_BYTES:
            raise ExportFailed(
                "too_many_bytes",
                f"an xlsx file holds at most {MOST_BYTES >> 20} MB of values: ask for a shorter "
                "range, for a small split_rows, for fewer columns, or for csv, json or parquet",
            )

    def finish(self) -> None:
        """Write the file."""
        self._book.close()
        self._sink.write(self._content.getbuffer())


def _write_text(sheet: Any, row: int, position: int, text: str) -> None:
    if (length := _length(text)) > _MOST_CHARACTERS:
        raise ExportFailed(
            "cell_too_long",
            f"row {row} has a text of {length} characters, and an xlsx cell holds at most "
            f"{_MOST_CHARACTERS}: ask for csv, json or parquet, or leave the column out",
        )
    if text.startswith("<r>") and text.endswith("</r>"):
        # xlsxwriter takes it for rich text that it has made itself, and would write it as XML. In
        # fragments it is escaped; control characters twice, so that they come out as `_x0001_`.
        sheet.write_rich_string(row, position, text[:1], text[1:2], text[2:])
    else:
        sheet.write_string(row, position, text)


def _length(text: str) -> int:
    """How long Excel finds a text: in UTF-16, where what is beyond U+FFFF counts twice."""
    return len(text.encode("utf-16-le")) // 2


def _write_number(sheet: Any, row: int, position: int, text: str) -> None:
    if len(Decimal(text).as_tuple().digits) > _EXACT_DIGITS:
        sheet.write_string(row, position, text)
    else:
        sheet.write_number(row, position, Decimal(text))


def _write_boolean(sheet: Any, row: int, position: int, text: str) -> None:
    sheet.write_boolean(row, position, text == "true")


_WRITE: Mapping[str, Callable[[Any, int, int, str], None]] = MappingProxyType(
    {"integer": _write_number, "major": _write_number, "boolean": _write_boolean}
)
