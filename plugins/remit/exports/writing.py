"""A slice as it is written: frames in, one object or several out, each with a whole file's form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

import pandas as pd

from remit.aws.objects import ObjectWriter
from remit.errors import ExportFailed
from remit.exports.render import CompressedSink, Renderer
from remit.exports.reports import Column
from remit.exports.slices import Part


@dataclass(frozen=True)
class Form:
    """What a file is made of: its format, compression, columns and the order of its rows."""

    renderer: type[Renderer]
    compression: str
    columns: Sequence[Column]
    sort: str | None


class PartWriter:
    """Writes frames to objects of at most `split_rows` rows each; None: to one object.

    `open_object` opens the object of a part by its number. `headed` says whether the parts begin
    with what a file has at its head. As a context manager it aborts when the block raises.
    """

    def __init__(
        self,
        form: Form,
        open_object: Callable[[int], ObjectWriter],
        *,
        split_rows: int | None,
        headed: bool,
    ) -> None:
        self._form = form
        self._open_object = open_object
        self._split_rows = split_rows
        self._headed = headed
        self._parts: list[Part] = []
        self._current: _OpenPart | None = None
        self.rows = 0

    @property
    def bytes_written(self) -> int:
        """Bytes of all parts so far."""
        done = sum(part.object.bytes for part in self._parts)
        return done + (self._current.object.bytes_written if self._current else 0)

    def write(self, frame: pd.DataFrame) -> None:
        """Render one frame.

        Raises:
            ExportFailed: the format cannot hold so many rows.
        """
        while len(frame):
            part = self._part()
            room = len(frame) if self._split_rows is None else self._split_rows - part.rows
            part.write(frame.iloc[:room])
            self.rows += min(room, len(frame))
            frame = frame.iloc[room:]
            if part.rows == self._split_rows:
                self._finish(part)

    def finish(self) -> tuple[Part, ...]:
        """Make the parts visible; without a row there is one, with the head alone."""
        if self._current is not None or not self._parts:
            self._finish(self._part())
        return tuple(self._parts)

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._current is not None:
            self._current.object.abort()

    def _part(self) -> _OpenPart:
        if self._current is None:
            opened = self._open_object(len(self._parts))
            self._current = _OpenPart(self._form, opened, headed=self._headed)
        return self._current

    def _finish(self, part: _OpenPart) -> None:
        self._parts.append(part.finish())
        self._current = None


class _OpenPart:
    """One object that is being written."""

    def __init__(self, form: Form, opened: ObjectWriter, *, headed: bool) -> None:
        self.object = opened
        self.rows = 0
        self._form = form
        self._compressed = None
        if form.compression != "none":
            self._compressed = CompressedSink(opened, form.compression)
        sink = self._compressed or opened
        self._renderer = form.renderer(sink, form.columns, first=headed, sort=form.sort)

    def write(self, frame: pd.DataFrame) -> None:
        self.rows += len(frame)
        most = self._form.renderer.max_rows
        if most is not None and self.rows > most:
            raise ExportFailed(
                "too_many_rows",
                f"a file of this format holds at most {most:,} rows: ask for a shorter range, for "
                f"split_rows of at most {most}, or for csv, json or parquet",
            )
        self._renderer.write(frame)

    def finish(self) -> Part:
        self._renderer.finish()
        if self._compressed is not None:
            self._compressed.finish()
        return Part(self.object.commit(), self.rows)
