"""What a merchant has, the newest first, page by page: by an index of merchant and creation.

The index has keys alone, as `createdAt` never changes; the records are read beside it, so that what
a list says of a thing is as fresh as what the thing says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from remit.aws.items import Item
from remit.aws.table import Table
from remit.clock import OFFSET_MARGIN, parse_instant

INDEX = "gsi-merchant-created"

LEAST, GREATEST = "\x00", "\U0010ffff"
"""The ends of the index where no instant bounds it."""

_LOOK = 100
"""Records that are looked at together: as many as one BatchGetItem reads."""


def newest(
    table: Table[str],
    merchant_id: str,
    wants: Callable[[Item], bool],
    *,
    attributes: Sequence[str],
    bounds: tuple[str, str],
    limit: int,
    start: Mapping[str, Any] | None,
    rounds: int,
    look: int | None = None,
) -> tuple[list[Item], Item | None]:
    """Up to `limit` records that come after a place (`createdAt` and `id`) and between the bounds,
    and the place that the next page comes after; None: there are no more.

    However few match, records are looked at in so many rounds at the most: a page may be shorter,
    or empty, though there are more. `look` is how many the first round takes, if most of them will
    do.

    Raises:
        StoreUnavailable: they could not be read.
    """
    first, last = bounds
    if first > last:
        return [], None
    found: list[Item] = []
    place, size = start, look or _LOOK
    for _ in range(rounds):
        keys, end = table.query_page(
            "#merchantID = :merchant AND #createdAt BETWEEN :first AND :last",
            {"merchant": merchant_id, "first": first, "last": last},
            index=INDEX,
            limit=size,
            start=None if place is None else {"merchantID": merchant_id, **place},
            descending=True,
        )
        records = table.get_many([key["id"] for key in keys], attributes)
        for key in keys:
            item = records.get(key["id"])  # the index may be behind
            if item is not None and wants(item):
                found.append(item)
            if len(found) == limit:
                is_last = end is None and key is keys[-1]
                return found, None if is_last else _place(key)
        if end is None:
            return found, None
        place, size = _place(end), _LOOK
    return found, None if place is None else _place(place)


def created_bounds(after: datetime | None, before: datetime | None) -> tuple[str, str]:
    """The part of the index in which the creations of a span of time lie. It is wider than the
    instants say: a time that another service has stored may have any offset, and the index orders
    them as texts."""
    first, last = LEAST, GREATEST
    try:
        if after is not None:
            first = (after - OFFSET_MARGIN).date().isoformat()
        if before is not None:
            last = (before + OFFSET_MARGIN + timedelta(days=1)).date().isoformat()
    except OverflowError:
        return LEAST, GREATEST
    return first, last


def created_within(item: Item, after: datetime | None, before: datetime | None) -> bool:
    """Whether a record was created from `after` to before `before`; None is any time."""
    if after is None and before is None:
        return True
    try:
        created_at = parse_instant(item["createdAt"])
    except (KeyError, TypeError, ValueError):
        return False
    return (after is None or after <= created_at) and (before is None or created_at < before)


def _place(key: Mapping[str, Any]) -> Item:
    return {"id": key["id"], "createdAt": key["createdAt"]}
