"""NDJSON: one JSON object per line, every column present, `null` where a value is missing.

Numbers keep all their digits, and a `json` column is nested, not quoted.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from remit.exports.duck import connect
from remit.exports.render.arrow import instants_as_text, table_of
from remit.exports.render.base import Renderer

_AS_JSON = {
    "text": "to_json({name})::VARCHAR",
    "timestamp": "to_json({name})::VARCHAR",
    "integer": "{name}::VARCHAR",
    "json": "{name}",  # already JSON text: parsing it again would cut long numbers
}


class NdjsonRenderer(Renderer):
    """Renders NDJSON."""

    extension = "ndjson"
    content_type = "application/x-ndjson"
    joinable = True

    def _begin(self, first: bool) -> None:  # noqa: ARG002 - NDJSON has no head
        self._connection = connect(threads=1)
        members = " || ',' || ".join(
            f"'\"{c.name}\":' || coalesce({_AS_JSON[c.type].format(name=c.name)}, 'null')"
            for c in self._columns
        )
        self._lines = f"SELECT '{{' || {members} || '}}' || chr(10) AS line FROM rows"

    def write(self, frame: pd.DataFrame) -> None:
        """Render one frame."""
        table = table_of(frame, self._columns)
        for position, column in enumerate(self._columns):
            if column.type == "timestamp":
                text = instants_as_text(table.column(position))
                table = table.set_column(position, column.name, text)
        self._connection.register("rows", table)
        for batch in self._connection.sql(self._lines).to_arrow_reader():
            self._sink.write(_bytes_of(batch.column(0)))
        self._connection.unregister("rows")

    def finish(self) -> None:
        """NDJSON has no end."""
        self._connection.close()


def _bytes_of(lines: pa.StringArray) -> bytes:
    """The lines end to end: an Arrow string array already holds them so."""
    return "".join(lines.to_pylist()).encode()
