"""Items in the order of a key: a table by its own, or a global secondary index.

The partitions are spread over buckets by a hash, and each bucket is one sorted list. A query is a
range of one bucket, a scan goes through the buckets in turn, and a write moves little.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec
from awscrt import checksums

from benchmarks.standins.dynamodb.capacity import write_units
from benchmarks.standins.dynamodb.schema import IndexSchema, KeySchema, PrimaryKey
from benchmarks.standins.dynamodb.values import Item, SortValue, item_size

BUCKETS = 1024

_encode = msgspec.json.Encoder().encode


class Record:
    """An item with its size (by DynamoDB's rules) and its JSON."""

    __slots__ = ("_json", "item", "size")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.size = item_size(item)
        self._json: msgspec.Raw | None = None

    @property
    def json(self) -> msgspec.Raw:
        """Encoded once, when it is read first: many a record is written again before that."""
        if self._json is None:
            self._json = msgspec.Raw(_encode(self.item))
        return self._json


class _Beyond:
    """Greater than everything."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


BEYOND: Any = _Beyond()

Entry = tuple[SortValue, SortValue, PrimaryKey]
"""Partition, sort key, and the table's own key, which tells equal ones apart."""


class Index:
    """A sorted collection of records, by the key of a table (`schema` None) or of an index."""

    def __init__(self, table_key: KeySchema, schema: IndexSchema | None) -> None:
        self.schema = schema
        self.key = table_key if schema is None else schema.key
        self._kept = None
        if schema is not None and not schema.holds_all:
            self._kept = schema.attributes(table_key)
        self._buckets: list[list[Entry]] = [[] for _ in range(BUCKETS)]
        self._entries: dict[PrimaryKey, Entry] = {}
        self.records: dict[PrimaryKey, Record] = {}

    def entry(self, item: Item, primary: PrimaryKey) -> Entry | None:
        """Where an item is; None: nowhere, for it lacks a part of the key.

        Raises:
            InvalidChange: the item has a value there that cannot be a key.
        """
        if self.schema is None:
            return (*primary, primary)
        place = self.key.of_indexed(item, self.schema.name)
        return None if place is None else (*place, primary)

    def replace(self, primary: PrimaryKey, after: Record | None, new: Entry | None) -> int:
        """Put another record, or none, in the place of one; returns the units that it wrote.

        `new` is the record's `entry`. A unit is a KB, or a part of it, of an entry that is put,
        deleted or changed; one whose key changes is deleted and put.
        """
        was, old = self.records.get(primary), self._entries.get(primary)
        if new is None or after is None:
            return 0 if old is None or was is None else self._remove(primary, old, was)
        if old == new and was is not None:
            if self._holds_the_same(was, after):
                return 0
            record = self.records[primary] = self._projected(after)
            return write_units(max(was.size, record.size))
        removed = 0 if old is None or was is None else self._remove(primary, old, was)
        bucket = self._bucket(new[0])
        bucket.insert(bisect_left(bucket, new), new)
        self._entries[primary] = new
        record = self.records[primary] = self._projected(after)
        return removed + write_units(record.size)

    def _remove(self, primary: PrimaryKey, entry: Entry, record: Record) -> int:
        bucket = self._bucket(entry[0])
        del bucket[bisect_left(bucket, entry)]
        del self._entries[primary], self.records[primary]
        return write_units(record.size)

    def _holds_the_same(self, was: Record, after: Record) -> bool:
        if self._kept is None:
            return was.item == after.item
        return all(was.item.get(name) == after.item.get(name) for name in self._kept)

    def _projected(self, record: Record) -> Record:
        if self._kept is None:
            return record
        item = record.item
        return Record({name: item[name] for name in self._kept if name in item})

    def between(
        self,
        partition: SortValue,
        bounds: tuple[tuple[Any, ...], tuple[Any, ...]],
        after: Entry | None,
        *,
        forward: bool,
    ) -> Iterator[Record]:
        """The records of a partition from one bound to the other, in either direction.

        A bound is the beginning of an entry behind the partition, `(sort key,)` to stand before all
        that have it and `(sort key, BEYOND)` to stand behind them. `after` is passed, not included.
        """
        bucket = self._bucket(partition)
        low = bisect_left(bucket, (partition, *bounds[0]))
        high = bisect_left(bucket, (partition, *bounds[1]))
        if after is not None and forward:
            low = max(low, bisect_right(bucket, after))
        elif after is not None:
            high = min(high, bisect_left(bucket, after))
        places = range(low, high) if forward else range(high - 1, low - 1, -1)
        return (self.records[bucket[place][2]] for place in places)

    def everything(self, after: Entry | None, segment: int, segments: int) -> Iterator[Record]:
        """All records of one of so many segments, from one place on."""
        first, last = segment * BUCKETS // segments, (segment + 1) * BUCKETS // segments
        start = 0
        if after is not None:
            first = max(first, _bucket_number(after[0]))
            start = bisect_right(self._buckets[first], after)
        for number in range(first, last):
            for entry in islice(self._buckets[number], start, None):
                yield self.records[entry[2]]
            start = 0

    def _bucket(self, partition: SortValue) -> list[Entry]:
        return self._buckets[_bucket_number(partition)]


def _bucket_number(partition: SortValue) -> int:
    if isinstance(partition, Decimal):
        return hash(partition) % BUCKETS
    number: int = checksums.crc32(partition) % BUCKETS
    return number
