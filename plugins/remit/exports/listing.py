"""A merchant's exports, the newest first, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from remit.aws.items import Item
from remit.aws.newest import created_bounds, created_within, newest
from remit.aws.table import Table
from remit.exports.job import report_of, status_of

_ROUNDS = 5
"""So many times records are looked at for one page: a filter that matches little makes it shorter.
"""

_TOLD = (
    "merchantID", "status", "format", "query", "createdAt", "updatedAt", "expiresAt", "rows",
    "bytes", "error", "errorCode", "lastError", "progress", "slices", "slicesDone",
)  # fmt: skip
"""What a list reads of a record: not its files, of which there may be many."""


@dataclass(frozen=True)
class Wanted:
    """Which of a merchant's exports: of these statuses, created from `after` to before `before`.
    What is not set is any."""

    statuses: frozenset[str] = frozenset()
    after: datetime | None = None
    before: datetime | None = None

    @property
    def is_all(self) -> bool:
        """Whether every export is wanted."""
        return not self.statuses and self.after is None and self.before is None

    def bounds(self) -> tuple[str, str]:
        """The part of the index that they lie in."""
        return created_bounds(self.after, self.before)

    def lets_through(self, item: Item, now: datetime) -> bool:
        """Whether a record is wanted."""
        if self.statuses and status_of(item, now) not in self.statuses:
            return False
        return created_within(item, self.after, self.before)


class ExportList:
    """Reads pages of one merchant's exports. `is_readable` says of which reports."""

    def __init__(
        self, table: Table[str], merchant_id: str, is_readable: Callable[[str], bool]
    ) -> None:
        self._table = table
        self._merchant_id = merchant_id
        self._is_readable = is_readable

    def page(
        self, wanted: Wanted, *, limit: int, after: Mapping[str, str] | None, now: datetime
    ) -> tuple[list[Item], Mapping[str, str] | None]:
        """Up to `limit` exports that come after a place (`createdAt` and `id`), and the place that
        the next page comes after; None: there are no more. A page may be shorter, or empty, though
        there are more.

        Raises:
            StoreUnavailable: they could not be read.
        """
        return newest(
            self._table,
            self._merchant_id,
            lambda item: self._is_wanted(item, wanted, now),
            attributes=_TOLD,
            bounds=wanted.bounds(),
            limit=limit,
            start=after,
            rounds=_ROUNDS,
            look=limit if wanted.is_all else None,
        )

    def _is_wanted(self, item: Item, wanted: Wanted, now: datetime) -> bool:
        # The index may be behind: whose it is, the record says.
        mine = item.get("merchantID") == self._merchant_id
        return mine and self._is_readable(report_of(item)) and wanted.lets_through(item, now)
