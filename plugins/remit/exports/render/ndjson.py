"""NDJSON: one JSON object per line, every column present, `null` where a value is missing.

Numbers keep all their digits, and a `json` column is nested, not quoted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from remit.exports.render.arrow import table_of
from remit.exports.render.base import Renderer
from remit.exports.render.cells import bytes_of, content_of, text_of, with_currencies
from remit.exports.reports import Column

_ESCAPED = r'["\\\x00-\x1f]'
_QUOTED = frozenset({"text", "date", "timestamp"})


class NdjsonRenderer(Renderer):
    """Renders NDJSON."""

    extension = "ndjson"
    content_type = "application/x-ndjson"
    joinable = True

    def _begin(self, first: bool) -> None:
        """NDJSON has no head."""

    def write(self, frame: pd.DataFrame) -> None:
        """Render one frame."""
        table = table_of(frame, with_currencies(self._columns))
        cells = (
            _cell("," if position else "{", column, text_of(column, table))
            for position, column in enumerate(self._columns)
        )
        self._sink.write(_lines(cells))

    def finish(self) -> None:
        """NDJSON has no end."""


@dataclass(frozen=True)
class _Cell:
    """One column of the lines to be written: what stands before each value, and the quotes."""

    before: str
    texts: pa.Array
    quote: str


def _lines(cells: Iterable[_Cell]) -> Any:
    """One line per row as bytes, in one pass over all columns.

    What two values have between them on every line is one piece, so that there are few pieces.
    """
    pieces: list[Any] = []
    literal = ""
    for cell in cells:
        literal += cell.before
        if cell.texts.null_count:
            quoted = pc.binary_join_element_wise(cell.quote, cell.texts, cell.quote, "")
            pieces += [literal, pc.fill_null(quoted, "null")]
            literal = ""
        else:
            pieces += [literal + cell.quote, cell.texts]
            literal = cell.quote
    return bytes_of(pc.binary_join_element_wise(*pieces, literal + "}\n", ""))


def _cell(before: str, column: Column, texts: pa.Array) -> _Cell:
    before += f'"{column.name}":'
    if column.type == "text":
        texts = _escaped(texts)
    return _Cell(before, texts, quote='"' if column.type in _QUOTED else "")


def _escaped(texts: pa.Array) -> pa.Array:
    """The texts as they stand between JSON's quotes."""
    if not _may_be_special(texts):
        return texts
    special = pc.fill_null(pc.match_substring_regex(texts, _ESCAPED), False)
    if not pc.any(special).as_py():
        return texts
    inside = [
        msgspec.json.encode(text)[1:-1].decode() for text in texts.filter(special).to_pylist()
    ]
    return pc.replace_with_mask(texts, special, pa.array(inside, pa.string()))


def _may_be_special(texts: pa.Array) -> bool:
    """Whether a byte of any text is one that JSON escapes."""
    content = content_of(texts)
    return bool(
        (content == ord('"')).any() or (content == ord("\\")).any() or (content < ord(" ")).any()
    )
