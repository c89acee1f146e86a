"""What a deliverer reads: keys that are due, their records, and what these refer to, in batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from remit.aws.items import Item, decode_item
from remit.aws.table import Table
from remit.aws.tables import Tables
from remit.aws.wire import Wire
from remit.errors import RecordRefused, StoreUnavailable
from remit.queue import INDEX

log = logging.getLogger(__name__)

_BATCH = 100  # keys in one BatchGetItem
_ROUNDS = 8  # in a row without a single key
_FIRST_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class DuePage:
    """What the index has of one shard, the longest due first, and where the next page begins (None:
    nowhere)."""

    items: list[Item] = field(repr=False)
    next: Mapping[str, Any] | None


class Reader:
    """Reads `Webhooks` and what webhooks refer to, on one event loop."""

    def __init__(self, tables: Tables, wire: Wire) -> None:
        self._tables = tables
        self._wire = wire

    async def due(
        self, shard: int, now: str, limit: int, start: Mapping[str, Any] | None = None
    ) -> DuePage:
        """One page of what is due in a shard at an instant.

        The index is eventually consistent and shared: an entry may be old, and its webhook
        another's by the time it is used.
        """
        request: dict[str, Any] = {
            "TableName": self._tables.webhooks.name,
            "IndexName": INDEX,
            "KeyConditionExpression": "#s = :s AND #d <= :d",
            "ExpressionAttributeNames": {"#s": "dueShard", "#d": "dueAt"},
            "ExpressionAttributeValues": {":s": {"N": str(shard)}, ":d": {"S": now}},
            "Limit": limit,
        }
        if start:
            request["ExclusiveStartKey"] = start
        answer = await self._wire.call("Query", request)
        items = [decode_item(item) for item in answer["Items"]]
        return DuePage(items, answer.get("LastEvaluatedKey"))

    async def webhooks(self, keys: Sequence[str]) -> dict[str, Item]:
        """The records that exist, by id."""
        return await self._get(self._tables.webhooks, keys)

    async def events(self, keys: Iterable[str]) -> dict[str, Item]:
        """The events that exist, by id."""
        return await self._get(self._tables.events, keys)

    async def merchants(self, keys: Iterable[str]) -> dict[str, Item]:
        """The merchants that exist, by id."""
        return await self._get(self._tables.merchants, keys)

    async def endpoints(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Item]:
        """The records of `WebhookEndpoints` that exist, by merchant and id."""
        return await self._get(self._tables.endpoints, keys)

    async def _get(self, table: Table[Any], keys: Iterable[Any]) -> dict[Any, Item]:
        wanted = [table.key_values(key) for key in dict.fromkeys(keys)]
        batches = [wanted[at : at + _BATCH] for at in range(0, len(wanted), _BATCH)]
        found: dict[Any, Item] = {}
        for items in await asyncio.gather(*(self._accepted(table, batch) for batch in batches)):
            for item in items:
                record = decode_item(item)
                found[table.key_of(record)] = record
        return found

    async def _accepted(
        self, table: Table[Any], keys: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """The items of a batch. DynamoDB refuses it as a whole for one key that can be none: then
        its halves are asked for, down to the keys that are refused alone and cannot exist."""
        try:
            return await self._batch(table, keys)
        except RecordRefused as error:
            if len(keys) == 1:
                log.warning("%s has no key %.300r: %s", table.name, keys[0], error)
                return []
        half = len(keys) // 2
        first = await self._accepted(table, keys[:half])
        return first + await self._accepted(table, keys[half:])

    async def _batch(self, table: Table[Any], keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Keys that an answer leaves unprocessed (throttling, or more than 16 MB) are asked for
        again, after a wait that doubles as long as no key at all is processed."""
        found: list[dict[str, Any]] = []
        fruitless = 0
        while keys:
            request = {table.name: {"Keys": keys, "ConsistentRead": True}}
            answer = await self._wire.call("BatchGetItem", {"RequestItems": request})
            found += answer["Responses"].get(table.name, [])
            left = answer.get("UnprocessedKeys", {}).get(table.name, {}).get("Keys", [])
            fruitless = fruitless + 1 if len(left) == len(keys) else 0
            if fruitless == _ROUNDS:
                raise StoreUnavailable(f"could not read {table.name}: keys stay unprocessed")
            keys = left
            if keys:
                await asyncio.sleep(_FIRST_WAIT_SECONDS * 2 ** max(fruitless - 1, 0))
        return found
