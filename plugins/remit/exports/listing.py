"""A merchant's exports, the newest first, page by page.

The index has their keys alone, as `createdAt` never changes; the records are read beside it, so
that what a list says of an export is as fresh as what the export says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from remit.aws.items import Item
from remit.aws.table import Table
from remit.clock import parse_instant
from remit.exports.job import report_of, status_of
from remit.exports.keyranges import OFFSET_MARGIN

INDEX = "gsi-merchant-created"

LEAST, GREATEST = "\x00", "\U0010ffff"
"""The ends of the index where no instant bounds it."""

_BATCH = 100
"""Records that are looked at together, if not all of them are wanted: as many as one BatchGetItem
reads."""

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
        """The part of the index that they lie in. It is wider than the instants say: a time that
        another service has stored may have any offset, and the index orders them as texts."""
        first, last = LEAST, GREATEST
        try:
            if self.after is not None:
                first = (self.after - OFFSET_MARGIN).date().isoformat()
            if self.before is not None:
                last = (self.before + OFFSET_MARGIN + timedelta(days=1)).date().isoformat()
        except OverflowError:
            return LEAST, GREATEST
        return first, last

    def lets_through(self, item: Item, now: datetime) -> bool:
        """Whether a record is wanted."""
        if self.statuses and status_of(item, now) not in self.statuses:
            return False
        if self.after is None and self.before is None:
            return True
        try:
            created_at = parse_instant(item["createdAt"])
        except (KeyError, TypeError, ValueError):
            return False
        return (self.after is None or self.after <= created_at) and (
            self.before is None or created_at < self.before
        )


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
        found: list[Item] = []
        place, size = after, limit if wanted.is_all else _BATCH
        for _ in range(_ROUNDS):
            keys, end = self._keys(wanted, place, size)
            records = self._table.get_many([key["id"] for key in keys], _TOLD)
            for key in keys:
                item = records.get(key["id"])
                if item is not None and self._is_wanted(item, wanted, now):
                    found.append(item)
                if len(found) == limit:
                    is_last = end is None and key is keys[-1]
                    return found, None if is_last else _place(key)
            if end is None:
                return found, None
            place, size = _place(end), _BATCH
        return found, place

    def _keys(
        self, wanted: Wanted, after: Mapping[str, str] | None, size: int
    ) -> tuple[list[Item], Item | None]:
        first, last = wanted.bounds()
        if first > last:
            return [], None
        return self._table.query_page(
            "#merchantID = :merchant AND #createdAt BETWEEN :first AND :last",
            {"merchant": self._merchant_id, "first": first, "last": last},
            index=INDEX,
            limit=size,
            start=None if after is None else {"merchantID": self._merchant_id, **after},
            descending=True,
        )

    def _is_wanted(self, item: Item, wanted: Wanted, now: datetime) -> bool:
        # The index may be behind: whose it is, the record says.
        mine = item.get("merchantID") == self._merchant_id
        return mine and self._is_readable(report_of(item)) and wanted.lets_through(item, now)


def _place(key: Mapping[str, Any]) -> dict[str, str]:
    return {"id": key["id"], "createdAt": key["createdAt"]}
