"""Webhooks that the platform's own service wrote and left: they are given a place in the queue.

Its `Webhooks` table has `gsi-merchant` and `gsi-retry` and no index by status; the hash key of
`gsi-retry` is the instant of the next retry itself, so there is nothing to query. What is left over
is found by a scan, which reads the whole table: the caller does it seldom.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from remit.aws.items import Item
from remit.clock import epoch_seconds, parse_instant
from remit.errors import ConditionFailed, RecordRefused
from remit.queue import queued
from remit.services import Services
from remit.stop import Stop
from remit.webhooks.event import is_merchant_id
from remit.webhooks.record import waiting

log = logging.getLogger(__name__)

IDLE = timedelta(minutes=10)
"""A pending webhook without a sign of life for so long: the platform's own workers come first."""

_TIMES = ("updatedAt", "lastAttempt", "createdAt")
_ATTRIBUTES = ("id", "merchantID", "status", "nextRetry", *_TIMES)
_ORPHANED = (
    "attribute_not_exists(#dueShard) AND #status IN (:pending, :failed)"
    # `failed` with a reason is what Remit set aside: it left the queue for good.
    " AND attribute_not_exists(#reason)"
    " AND (attribute_not_exists(#expiresAt) OR #expiresAt > :now)"
)
_NEVER = datetime.min.replace(tzinfo=UTC)


def adopt(services: Services, stop: Stop) -> int:
    """Put into the queue what is `failed`, or `pending` and idle; returns how many there were.

    Status and attempts stay as they are.
    """
    now, table = services.clock(), services.tables.webhooks
    values = {"pending": "pending", "failed": "failed", "now": epoch_seconds(now)}
    adopted = 0
    for item in table.scan(_ORPHANED, values, attributes=_ATTRIBUTES):
        if stop.requested:
            break
        if item["status"] == "pending" and _last_sign(item) > now - IDLE:
            continue
        due_at = max(now, _instant(item, "nextRetry")) if item["status"] == "failed" else now
        try:
            table.update(
                item["id"],
                set=_place(item, due_at),
                condition=f"{_ORPHANED} AND #status = :seen",
                values={**values, "seen": item["status"]},
            )
        except ConditionFailed:  # its own worker was faster
            continue
        except RecordRefused as error:
            log.warning("left where it is: %s", error)
            continue
        adopted += 1
    log.info("adopted %d webhooks", adopted)
    return adopted


def _place(item: Item, due_at: datetime) -> Item:
    """The attributes that put a record into the queue. One without a merchant's id lengthens
    nobody's; delivery sets it aside."""
    merchant = item.get("merchantID")
    if is_merchant_id(merchant):
        return waiting(item["id"], merchant, due_at)
    return queued(item["id"], due_at)


def _last_sign(item: Item) -> datetime:
    return max(_instant(item, name) for name in _TIMES)


def _instant(item: Item, name: str) -> datetime:
    """An instant of a foreign record; one that cannot be read holds nothing up."""
    try:
        return parse_instant(str(item.get(name, "")))
    except (ValueError, OverflowError):
        return _NEVER
