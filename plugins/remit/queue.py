"""The due-queue: a sparse index with a visibility timeout, as SQS has it, on any table.

A record that needs work carries `dueShard` and `dueAt`; the index `gsi-due` (dueShard, dueAt)
then holds exactly the work that waits, in time order, spread over `SHARDS` partitions. A record
without work drops both and leaves the index.

To claim is one conditional update: `dueAt` moves to the end of the lease and `claim` gets a fresh
token. Every later write demands that token, so a worker that lost its lease can change nothing.
A worker that dies needs no reaper: what it held comes due again.
"""

from __future__ import annotations

import heapq
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from remit.aws.items import Item
from remit.aws.table import Table
from remit.clock import Clock, format_instant
from remit.errors import ConditionFailed, LeaseLost

SHARDS = 16
"""Partitions of `gsi-due`. A constant: records carry their shard, so it must not shrink."""

INDEX = "gsi-due"

IF_DUE = "#dueAt <= :now"
"""Claim condition of pollers: nobody holds the record, or its holder's lease ran out."""


def new_token() -> str:
    """A claim token that no other claim has."""
    return secrets.token_hex(8)


def shard_of(key: str) -> int:
    """The shard that a record belongs to, from its key."""
    return zlib.crc32(key.encode()) % SHARDS


def queued(key: str, due_at: datetime) -> dict[str, Any]:
    """The two attributes that put a record into the queue, due at that instant."""
    return {"dueShard": shard_of(key), "dueAt": format_instant(due_at)}


@dataclass(frozen=True)
class Claim:
    """The right to work on a record until the lease ends; `item` is the record as claimed."""

    key: str
    token: str
    item: Item = field(repr=False)


class DueQueue:
    """The queue that a table carries."""

    def __init__(
        self, table: Table[str], clock: Clock, token: Callable[[], str] = new_token
    ) -> None:
        self.table = table
        self._clock = clock
        self._token = token

    def now(self) -> datetime:
        """The queue's clock."""
        return self._clock()

    def due(self, limit: int, shards: Iterable[int] = range(SHARDS)) -> list[str]:
        """Keys of up to `limit` records that are due now, the longest due first.

        The index is eventually consistent and shared: a key may be claimed by the time it is used.
        """
        return list(islice(self.each_due(limit, shards), limit))

    def each_due(self, page: int, shards: Iterable[int] = range(SHARDS)) -> Iterator[str]:
        """Keys of all records that are due now, the longest due first; of each shard, `page` are
        read at a time, when they are asked for."""
        now = format_instant(self._clock())
        waiting = [
            self.table.query(
                "#dueShard = :shard AND #dueAt <= :now",
                {"shard": shard, "now": now},
                index=INDEX,
                page=page,
            )
            for shard in shards
        ]
        for item in heapq.merge(*waiting, key=lambda item: str(item["dueAt"])):
            yield item[self.table.key]

    def count_due(self, shard: int, most: int) -> int:
        """How many records of a shard are due, counted to `most` at the most."""
        return self.table.count(
            "#dueShard = :shard AND #dueAt <= :now",
            {"shard": shard, "now": format_instant(self._clock())},
            most=most,
            index=INDEX,
        )

    def claim(
        self,
        key: str,
        lease: timedelta,
        *,
        condition: str = IF_DUE,
        values: Mapping[str, Any] | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - DynamoDB's word
        remove: Iterable[str] = (),
        add: Mapping[str, int | frozenset[int]] | None = None,
    ) -> Claim | None:
        """Claim a queued record if `condition` holds, changing it in the same write.

        `condition` may use `:now` beside its own `values`. None: someone else was faster, or the
        record has left the queue.
        """
        now = self._clock()
        token = self._token()
        try:
            item = self.table.update(
                key,
                set={**(set or {}), "claim": token, "dueAt": format_instant(now + lease)},
                remove=remove,
                add=add,
                condition=f"attribute_exists(#dueShard) AND ({condition})",
                values={**(values or {}), "now": format_instant(now)},
            )
        except ConditionFailed:
            return None
        return Claim(key, token, item)

    def extend(
        self,
        claim: Claim,
        lease: timedelta,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - DynamoDB's word
    ) -> Item:
        """Heartbeat: the lease ends that much later from now.

        Raises:
            LeaseLost: another worker has claimed the record since.
        """
        due_at = format_instant(self._clock() + lease)
        return self.write(claim, set={**(set or {}), "dueAt": due_at})

    def release(
        self,
        claim: Claim,
        due_at: datetime,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - DynamoDB's word
    ) -> Item:
        """Give the record back, due at that instant.

        Raises:
            LeaseLost: another worker has claimed the record since.
        """
        changes = {**(set or {}), "dueAt": format_instant(due_at)}
        return self.write(claim, set=changes, remove=["claim"])

    def finish(
        self,
        claim: Claim,
        set: Mapping[str, Any],  # noqa: A002 - DynamoDB's word
        remove: Iterable[str] = (),
    ) -> Item:
        """Record the outcome and take the record out of the queue.

        Raises:
            LeaseLost: another worker has claimed the record since.
        """
        return self.write(claim, set=set, remove=["claim", "dueShard", "dueAt", *remove])

    def write(
        self,
        claim: Claim,
        *,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - DynamoDB's word
        remove: Iterable[str] = (),
        add: Mapping[str, int | frozenset[int]] | None = None,
    ) -> Item:
        """Change a claimed record.

        Raises:
            LeaseLost: another worker has claimed the record since.
        """
        try:
            return self.table.update(
                claim.key,
                set=set,
                remove=remove,
                add=add,
                condition="#claim = :held",
                values={"held": claim.token},
            )
        except ConditionFailed:
            raise LeaseLost(f"{self.table.name} {claim.key} was claimed by another") from None
