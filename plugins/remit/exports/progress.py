"""How far an export is: what each slice's worker writes into the job, and the sum of it.

The job's attribute `progress` maps a slice's number, as text, to its rows, bytes and percent. A
claim empties it; each worker sets the entry of its own slice and no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from remit.aws.items import Item


@dataclass(frozen=True)
class SliceProgress:
    """What a worker has rendered of its slice; `percent` is a whole number from 0 to 100."""

    rows: int
    bytes: int
    percent: int = 0

    def entry(self, number: int) -> dict[str, Any]:
        """As an update sets it, in the entry of the slice with that number."""
        return {f"progress.{number}": asdict(self)}

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.bytes / 1e6:,.1f} MB, {self.percent} %"


@dataclass(frozen=True)
class Progress:
    """How far a whole export is."""

    rows: int
    bytes: int
    slices: int
    slices_done: int
    percent: int


def progress_of(item: Item) -> Progress:
    """The progress that a job's record tells.

    Rows and bytes are the sums over the slices, percent is the mean of theirs: nothing for one
    that has not begun, 100 for one that is done. A completed export has all of its result.
    """
    slices = max(_count(item.get("slices")), 1)
    entries = _entries(item)
    rows = sum(_count(entry.get("rows")) for entry in entries.values())
    size = sum(_count(entry.get("bytes")) for entry in entries.values())
    if item.get("status") == "completed":
        rows, size = _count(item.get("rows", rows)), _count(item.get("bytes", size))
        return Progress(rows, size, slices, slices, 100)
    done = {str(number) for number in item.get("slicesDone", ())}
    under_way = (_percent(entry) for number, entry in entries.items() if number not in done)
    percent = (100 * len(done) + sum(under_way)) // slices
    return Progress(rows, size, slices, len(done), min(percent, 100))


def _entries(item: Item) -> dict[str, Mapping[str, Any]]:
    progress = item.get("progress")
    if not isinstance(progress, Mapping):
        return {}
    return {number: entry for number, entry in progress.items() if isinstance(entry, Mapping)}


def _percent(entry: Mapping[str, Any]) -> int:
    return min(max(_count(entry.get("percent")), 0), 100)


def _count(value: Any) -> int:
    return int(value) if isinstance(value, int | Decimal) else 0
