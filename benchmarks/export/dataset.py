"""Any number of payments of one merchant, made as they are asked for: the benchmark's table.

A page is a template, rendered once, whose ids and times are filled in for the page's own rows, so
that a page costs about a millisecond whatever came before, and ten million distinct payments need
no memory. Rows lie evenly in January 2026.

It answers `Query` on the index by merchant and time, and `Scan` of the table, as DynamoDB does
(`tests/conformance` holds it to that), and refuses what it does not know.
"""

from __future__ import annotations

import json
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from awscrt import checksums

from benchmarks.export.shapes import ITEM_BYTES, MERCHANT, SHAPES, Item, payment_id
from benchmarks.export.templates import Template
from benchmarks.standins.answers import Answer
from benchmarks.standins.dynamodb.capacity import read_consumption, read_units
from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.expressions import Expressions
from benchmarks.standins.dynamodb.keys import key_range, refuse_outside, start_entry
from benchmarks.standins.dynamodb.reads import PAGE_BYTES
from benchmarks.standins.dynamodb.schema import NO_SORT_KEY
from benchmarks.standins.dynamodb.table import Table
from benchmarks.standins.http import Part

TABLE = "Payments"
INDEX = "gsi-merchant-created"
START = datetime(2026, 1, 1)  # noqa: DTZ001 - UTC; without a zone it is written faster
SPAN = timedelta(days=31)
TEMPLATES = 8

DEFINITION: Mapping[str, Any] = {
    "TableName": TABLE,
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("id", "merchantID", "createdAt")
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": INDEX,
            "KeySchema": [
                {"AttributeName": "merchantID", "KeyType": "HASH"},
                {"AttributeName": "createdAt", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
"""The table as `CreateTable` would have it."""

_BEFORE_ITEMS = b'{"Items":['
_MICROS = SPAN // timedelta(microseconds=1)
_EVERY_READ = {
    "ExclusiveStartKey",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "IndexName",
    "Limit",
    "ReturnConsumedCapacity",
    "Select",
    "TableName",
}
_QUERY = frozenset({*_EVERY_READ, "KeyConditionExpression"})
_SCAN = frozenset({*_EVERY_READ, "Segment", "TotalSegments"})
_WITHOUT_EFFECT = {"ScanIndexForward": True, "ConsistentRead": False}
_SELECTS = (None, "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "COUNT")


@dataclass(frozen=True)
class _Kept:
    """A page's items, and the CRC32 of the answer up to their end."""

    items: memoryview
    crc32: int


@dataclass(frozen=True)
class PaymentPages:
    """A table of so many payments, as `Tables.mount` takes it.

    Its index has `partitions` partitions of the same number of rows, which are what a fault plan
    caps; DynamoDB, too, splits the payments of one merchant by their time.
    """

    rows: int
    shape: str = "nested"
    partitions: int = 1
    seed: int = 20260101

    @property
    def rows_per_page(self) -> int:
        """As many items as DynamoDB returns at once."""
        return PAGE_BYTES // ITEM_BYTES

    def query(self, request: dict[str, Any]) -> Answer:
        """A page of the index."""
        _refuse_unknown(request, _QUERY, INDEX)
        expressions = Expressions(request)
        if expressions.key_condition is None:
            raise InvalidRequest("a query has a KeyConditionExpression")
        selected = key_range(expressions.key_condition.tree, self._index.key, expressions.values)
        after = start_entry(request.get("ExclusiveStartKey"), self._index, self._table.key)
        refuse_outside(selected, after)
        if selected.partition != MERCHANT.encode():
            return self._answer(request, range(0), self._index_key)
        first, last = map(self._row_at, (selected.first, selected.last))
        if after is not None:
            first = max(first, bisect_right(range(self.rows), after[1:], key=self._place))
        return self._answer(request, range(first, last), self._index_key)

    def scan(self, request: dict[str, Any]) -> Answer:
        """A page of a segment of the table: equal parts of the rows."""
        _refuse_unknown(request, _SCAN, None)
        Expressions(request)  # refuses names and values that nothing uses
        segments, segment = int(request.get("TotalSegments", 1)), int(request.get("Segment", 0))
        first, last = (self.rows * n // segments for n in (segment, segment + 1))
        if start := request.get("ExclusiveStartKey"):
            after, _ = self._table.key.of_key(start)
            ids = range(self.rows)
            first = max(first, bisect_right(ids, after, key=lambda row: payment_id(row).encode()))
        return self._answer(request, range(first, last), self._key)

    def describe(self) -> dict[str, Any]:
        """The table's description."""
        size = {"ItemCount": self.rows, "TableSizeBytes": self.rows * ITEM_BYTES}
        return {**self._table.describe(), **size}

    def warm_up(self, *, keep: bool) -> None:
        """Make what is made once, so that the first reader does not wait for it; with `keep`, all
        pages from the first row on: to serve one then costs next to nothing."""
        size = self.rows_per_page
        for number in range(TEMPLATES):
            self._template(number)
        for first in range(0, self.rows, size) if keep else ():
            items = self._filled(first, min(size, self.rows - first))
            self._kept[first] = _Kept(items, _crc32(_BEFORE_ITEMS, items))

    def created_at(self, row: int) -> str:
        """The time of a row, as its item has it."""
        instant = START + timedelta(microseconds=row * _MICROS // max(self.rows, 1))
        return f"{instant.isoformat(timespec='microseconds')}Z"

    def _answer(
        self, request: Mapping[str, Any], rows: range, key: Callable[[int], Item]
    ) -> Answer:
        """The page that `rows` begin with; `key` is what a page that ends before them names."""
        limit = request.get("Limit")
        page = rows[: min(self.rows_per_page, limit or self.rows_per_page)]
        count = len(page)
        tail: dict[str, Any] = {"Count": count, "ScannedCount": count}
        if count < len(rows) or count == limit:  # at the limit, DynamoDB looks no further
            tail["LastEvaluatedKey"] = key(page[-1])
        name = str(request.get("TableName"))
        units = read_units(count * ITEM_BYTES, consistent=False)
        if consumed := read_consumption(request, name, units, request.get("IndexName")):
            tail["ConsumedCapacity"] = consumed
        envelope = json.dumps(tail, separators=(",", ":")).encode()
        partition = f"{self.partitions * page.start // max(self.rows, 1)}"
        if request.get("Select") == "COUNT":
            parts: list[Part] = [envelope]
        else:
            parts = [_BEFORE_ITEMS, *self._items(page.start, page.stop), b"]," + envelope[1:]]
        return Answer(parts, self._crc32(parts, page.start), count * ITEM_BYTES, partition)

    def _crc32(self, parts: list[Part], first: int) -> int:
        kept = self._kept.get(first)
        if kept is not None and len(parts) == 3 and parts[1] is kept.items:
            crc: int = checksums.crc32(parts[2], kept.crc32)
            return crc
        return _crc32(*parts)

    def _key(self, row: int) -> Item:
        return {"id": {"S": payment_id(row)}}

    def _index_key(self, row: int) -> Item:
        created = {"S": self.created_at(row)}
        return {**self._key(row), "merchantID": {"S": MERCHANT}, "createdAt": created}

    def _row_at(self, bound: tuple[Any, ...]) -> int:
        """The first row that is not before a bound; all pages of a query have the same ones."""
        if bound not in self._rows_at:
            self._rows_at[bound] = bisect_left(range(self.rows), bound, key=self._place)
        return self._rows_at[bound]

    def _place(self, row: int) -> tuple[Any, ...]:
        """Where a row is within its partition of the index, as `Index` has it."""
        return self.created_at(row).encode(), (payment_id(row).encode(), NO_SORT_KEY)

    def _items(self, first: int, last: int) -> Iterator[Part]:
        """The items of some rows, with commas between them. A row is the same on every page."""
        size = self.rows_per_page
        while first < last:
            block, offset = divmod(first, size)
            end = min(last, (block + 1) * size)
            if not offset and end == min(self.rows, first + size) and first in self._kept:
                yield self._kept[first].items
            else:
                yield self._filled(first, end - first)
            first = end
            if first < last:
                yield b","

    def _filled(self, first: int, count: int) -> memoryview:
        """So many rows of one page."""
        block, offset = divmod(first, self.rows_per_page)
        rows = np.arange(first, first + count, dtype=np.int64)
        # rows * _MICROS would not fit into 64 bits.
        step, rest = divmod(_MICROS, self.rows)
        micros = rows * step + rows * rest // self.rows
        return self._template(block).filled(offset, rows, micros)

    @cached_property
    def _kept(self) -> dict[int, _Kept]:
        return {}

    @cached_property
    def _rows_at(self) -> dict[tuple[Any, ...], int]:
        return {}

    @cached_property
    def _table(self) -> Table:
        """The keys; it holds no items."""
        return Table(DEFINITION, 0.0)

    @property
    def _index(self) -> Any:
        return self._table.indexes[INDEX]

    @cached_property
    def _templates(self) -> dict[int, Template]:
        return {}

    def _template(self, block: int) -> Template:
        """What the page with that number is filled into."""
        number = block % TEMPLATES
        if number not in self._templates:
            chance = random.Random(self.seed + number)  # noqa: S311 - the same rows every time
            make = SHAPES[self.shape]
            self._templates[number] = Template.of([make(chance) for _ in range(self.rows_per_page)])
        return self._templates[number]


def _refuse_unknown(request: Mapping[str, Any], known: frozenset[str], index: str | None) -> None:
    """Refuse what the pages would not honour: to pass over it would be another answer.

    Raises:
        InvalidRequest: the request wants it.
    """
    for name, value in request.items():
        if name not in known and value != _WITHOUT_EFFECT.get(name):
            raise InvalidRequest(f"the payments' pages know no {name} of {value!r}")
    if request.get("IndexName") != index:
        raise InvalidRequest(f"the payments are read by the index {index} here")
    if request.get("Select") not in _SELECTS:
        raise InvalidRequest(f"the payments' pages know no Select of {request['Select']!r}")
    if (limit := request.get("Limit")) is not None and limit < 1:
        raise InvalidRequest("Limit must be greater than or equal to 1")


def _crc32(*parts: Part) -> int:
    """The CRC32 of several parts, end to end."""
    crc = 0
    for part in parts:
        crc = checksums.crc32(part, crc)
    return crc
