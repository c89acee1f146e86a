"""How far an export or a download is, on one line: rewritten in place on a terminal; elsewhere, as
in a log, a new line now and then."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

_WIDTH = 24
_LEAST_WIDTH = 6  # a shorter bar says nothing
_STEP = 10  # percent between two lines where there is no terminal
_UNITS = ("B", "KB", "MB", "GB", "TB")


class Line:
    """One line. `head` is what it is about."""

    def __init__(
        self,
        head: str,
        stream: TextIO | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._head = head
        self._stream = sys.stderr if stream is None else stream
        self._in_place = self._stream.isatty()
        self._monotonic = monotonic
        self._started = monotonic()
        self._shown: object = None

    def show(self, text: str, percent: float | None) -> None:
        """Say how far it is; `percent` is None where nobody can tell."""
        step = (text.partition(" ")[0], None if percent is None else int(percent) // _STEP)
        if self._in_place:
            self._write(f"\r\x1b[K{self._fitting(text, percent)}")
        elif step != self._shown:
            share = "" if percent is None else f"{percent:.0f} %  "
            self._write(f"{self._head}  {share}{text}\n")
        self._shown = step

    def end(self) -> None:
        """Leave the line as it is: the next one begins."""
        if self._in_place and self._shown is not None:
            self._write("\n")

    def _fitting(self, text: str, percent: float | None) -> str:
        """What fits into a line: one that is too long would be two, and only the second of them
        rewritten."""
        columns = shutil.get_terminal_size().columns - 1
        share = "" if percent is None else f"{percent:3.0f} %  "
        told = f"{share}{text}  {self._monotonic() - self._started:.0f} s"
        room = columns - len(self._head) - len(told) - len("  [] ")
        if percent is None or room < _LEAST_WIDTH:
            return f"{self._head}  {told}"[:columns]
        return f"{self._head}  {bar_of(percent, min(room, _WIDTH))} {told}"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class ExportLine:
    """Shows the documents of an export."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def __call__(self, document: Mapping[str, Any]) -> None:
        """Show one."""
        status, progress = document["status"], document.get("progress") or {}
        rows = document.get("rows")
        if rows is None:
            rows = progress.get("rows") or 0
        percent = 100 if status == "completed" else progress.get("percent") or 0
        told = f"{status} {rows:,} rows"
        if (error := document.get("error")) and status in {"pending", "processing"}:
            told += f" (last try: {error.get('code')})"
        self._line.show(told, percent)


class DownloadLine:
    """Shows how many bytes of how many are there."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def __call__(self, done: int, total: int) -> None:
        """Show it; no `total` is one that nobody has written down."""
        percent = 100 * done / total if total else None
        self._line.show(f"downloaded {size_of(done)}", percent)


def bar_of(percent: float, width: int = _WIDTH) -> str:
    """A bar."""
    full = int(width * min(max(percent, 0), 100) / 100)
    return f"[{'#' * full}{'.' * (width - full)}]"


def size_of(size: float) -> str:
    """Bytes for people: `12.3 MB`."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} B" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
