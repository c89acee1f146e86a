"""NDJSON: one JSON object per line, every column present, `null` where a value is missing.

Numbers keep all their digits, and a `json` column is nested, not quoted.
"""

from __future__ import annotations

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from remit.exports.render.arrow import table_of
from remit.exports.render.base import Renderer
from remit.exports.render.cells import (
    Cell,
    contains,
    contains_control,
    lines,
    text_of,
    with_currencies,
)
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
        self._sink.write(lines(cells, missing="null", end="}\n"))

    def finish(self) -> None:
        """NDJSON has no end."""


def _cell(before: str, column: Column, texts: pa.Array) -> Cell:
    before += f'"{column.name}":'
    if column.type == "text":
        texts = _escaped(texts)
    return Cell(before, texts, quote='"' if column.type in _QUOTED else "")


def _escaped(texts: pa.Array) -> pa.Array:
    """The texts as they stand between JSON's quotes."""
    if not (contains(texts, '"', "\\") or contains_control(texts)):
        return texts
    special = pc.fill_null(pc.match_substring_regex(texts, _ESCAPED), False)
    if not pc.any(special).as_py():
        return texts
    inside = [
        msgspec.json.encode(text)[1:-1].decode() for text in texts.filter(special).to_pylist()
    ]
    return pc.replace_with_mask(texts, special, pa.array(inside, pa.string()))
