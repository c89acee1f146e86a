"""What a renderer is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import pandas as pd

from remit.exports.render.sink import Sink
from remit.exports.reports import Column


class Renderer(ABC):
    """Writes frames to the sink that it was made with. It never commits or closes the sink.

    `first` says whether this is the first slice of a file, which has the head (CSV's header line);
    `sort` is the column by which the report is sorted.
    """

    extension: ClassVar[str]
    content_type: ClassVar[str]
    joinable: ClassVar[bool]
    """Whether slices that were rendered apart are the file when laid end to end."""
    max_rows: ClassVar[int | None] = None
    """Rows that one file can hold; None: any number."""

    def __init__(
        self, sink: Sink, columns: Sequence[Column], *, first: bool, sort: str | None = None
    ) -> None:
        self._sink = sink
        self._columns = columns
        self._sort = sort if any(column.name == sort for column in columns) else None
        self._begin(first)

    @abstractmethod
    def _begin(self, first: bool) -> None:
        """Write what the format has at its head."""

    @abstractmethod
    def write(self, frame: pd.DataFrame) -> None:
        """Render one frame that has the report's columns."""

    @abstractmethod
    def finish(self) -> None:
        """Write what the format has at its end."""
