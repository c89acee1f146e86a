"""Any number of payments of one merchant, made as they are asked for: the benchmark's table.

A page is a template, rendered once, whose ids and times are filled in for the page's own rows, so
that a page costs about a millisecond whatever came before, and ten million distinct payments need
no memory. Rows lie evenly in January 2026. Sizes are counted by DynamoDB's rules
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from awscrt import checksums

from benchmarks.standins.answers import Answer
from benchmarks.standins.dynamodb.conditions import Values
from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.expressions import Expressions
from benchmarks.standins.dynamodb.keys import key_range
from benchmarks.standins.dynamodb.schema import KeySchema
from benchmarks.standins.dynamodb.values import item_size
from benchmarks.standins.http import Part

TABLE = "Payments"
INDEX = "gsi-merchant-created"
MERCHANT = "merchant-000001"
START = datetime(2026, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=31)
PAGE_BYTES = 1024**2
ITEM_BYTES = 480
TEMPLATES = 8
PARTITIONS = 4

_BEFORE_ITEMS = b'{"Items":['
_ID = "pay_{:016d}"
_ID_DIGITS = 16
_EXAMPLE_TIME = "2026-01-01T00:00:00.000000Z"
_MICROS = SPAN // timedelta(microseconds=1)
_THREE = np.frombuffer("".join(f"{n:03}" for n in range(1000)).encode(), np.uint8).reshape(-1, 3)
_KEY = KeySchema("merchantID", "createdAt", {"merchantID": "S", "createdAt": "S"})

Item = dict[str, Any]


def _base(chance: random.Random) -> Item:
    return {
        "id": {"S": _ID.format(0)},
        "idempotencyKey": {"S": f"{chance.getrandbits(96):024x}"},
        "merchantID": {"S": MERCHANT},
        "amount": {"N": str(chance.randint(100, 9_999_999))},
        "currency": {"S": chance.choice(["USD", "USD", "EUR", "GBP", "JPY", "KWD"])},
        "status": {"S": chance.choice(["succeeded"] * 8 + ["failed", "pending"])},
        "paymentMethod": {"S": chance.choice(["card_visa", "card_mastercard", "sepa_debit"])},
        "customerID": {"S": f"cus_{chance.getrandbits(56):014x}"},
        "description": {"S": f"Order {chance.randint(1, 10**8)}"},
        "createdAt": {"S": _EXAMPLE_TIME},
        "updatedAt": {"S": _EXAMPLE_TIME},
        "version": {"N": "1"},
    }


def _nested(chance: random.Random) -> Item:
    """With a map of texts and a number, as shops attach it."""
    metadata = {
        "order_id": {"S": f"{chance.getrandbits(40):010x}"},
        "channel": {"S": chance.choice(["web", "app", "till"])},
        "store": {"S": chance.choice(["Berlin Mitte", "Wien Neubau", "Porto Bolhão"])},
        "attempt": {"N": str(chance.randint(1, 3))},
    }
    return _padded({**_base(chance), "metadata": {"M": metadata}})


def _flat(chance: random.Random) -> Item:
    return _padded(_base(chance))


def _deep(chance: random.Random) -> Item:
    """With maps in maps, a list, a set, a truth value: what only a full decoder reads."""
    metadata = {
        "cart": {"M": {"items": {"L": [{"N": "12.50"}, {"S": 'a "quoted" name'}]}}},
        "tags": {"SS": ["blue", "new"]},
        "gift": {"BOOL": chance.random() < 0.5},
    }
    return _padded({**_base(chance), "metadata": {"M": metadata}})


def _padded(item: Item) -> Item:
    """The description is lengthened until the item has its size."""
    words = "thank you, and come again soon to our shop in the old town by the river "
    missing = ITEM_BYTES - item_size(item)
    text = item["description"]["S"] + ": " + words * 8
    keep = len(item["description"]["S"]) + missing
    return {**item, "description": {"S": text[:keep]}}


SHAPES: Mapping[str, Callable[[random.Random], Item]] = MappingProxyType(
    {"nested": _nested, "flat": _flat, "deep": _deep}
)
"""Shape of the items to how one is made; all have `ITEM_BYTES` bytes."""


@dataclass(frozen=True)
class _Template:
    """A page's items as JSON, and where in it each item starts and its digits are."""

    text: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    created: npt.NDArray[np.int64]
    updated: npt.NDArray[np.int64]

    @classmethod
    def of(cls, items: list[Item]) -> _Template:
        """Render the items."""
        texts = [json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in items]
        encoded = [text.encode() + b"," for text in texts]
        text = b"".join(encoded)
        places = (
            np.fromiter(_find(text, before), np.int64)
            for before in (b'"id":{"S":"pay_', b'"createdAt":{"S":"', b'"updatedAt":{"S":"')
        )
        starts = np.cumsum([0, *map(len, encoded)])
        return cls(np.frombuffer(text, np.uint8), starts, *places)

    def filled(self, pages: PaymentPages, first: int, offset: int, count: int) -> memoryview:
        """So many items from `offset` on, for the rows from `first` on; no comma at the end."""
        start, end = self.starts[offset], self.starts[offset + count]
        text = self.text[start : end - 1].copy()
        here = slice(offset, offset + count)
        rows = np.arange(first, first + count, dtype=np.int64)
        # rows * _MICROS would not fit into 64 bits.
        step, rest = divmod(_MICROS, pages.rows)
        times = _times(rows * step + rows * rest // pages.rows)
        for places, digits in (
            (self.ids, _number(rows, _ID_DIGITS)),
            (self.created, times),
            (self.updated, times),
        ):
            text[(places[here] - start)[:, None] + np.arange(digits.shape[1])] = digits
        return memoryview(text)


@dataclass(frozen=True)
class _Kept:
    """A page's items, and the CRC32 of the answer up to their end."""

    items: memoryview
    crc32: int


@dataclass(frozen=True)
class PaymentPages:
    """A table of so many payments, as `Tables.mount` takes it."""

    rows: int
    shape: str = "nested"
    seed: int = 20260101

    @property
    def rows_per_page(self) -> int:
        """As many items as DynamoDB returns at once."""
        return PAGE_BYTES // ITEM_BYTES

    def query(self, request: dict[str, Any]) -> Answer:
        """A page of the index."""
        expressions = Expressions(request)
        if expressions.key_condition is None:
            raise InvalidRequest("a query has a key condition")
        values: Values = expressions.values
        selected = key_range(expressions.key_condition.tree, _KEY, values)
        first = self._row_at(selected.first)
        last = self._row_at(selected.last)
        return self._answer(request, first, last)

    def scan(self, request: dict[str, Any]) -> Answer:
        """A page of a segment of the table: equal parts of the rows."""
        segments, segment = int(request.get("TotalSegments", 1)), int(request.get("Segment", 0))
        first, last = (self.rows * n // segments for n in (segment, segment + 1))
        return self._answer(request, first, last)

    def describe(self) -> dict[str, Any]:
        """The table's description."""
        return {
            "TableName": TABLE,
            "TableStatus": "ACTIVE",
            "ItemCount": self.rows,
            "TableSizeBytes": self.rows * ITEM_BYTES,
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        }

    def warm_up(self, *, keep: bool) -> None:
        """Make what is made once, so that the first reader does not wait for it; with `keep`, all
        pages from the first row on: to serve one then costs next to nothing."""
        templates = self._templates
        for first in range(0, self.rows, self.rows_per_page) if keep else ():
            offset = first // self.rows_per_page % len(templates)
            count = min(self.rows_per_page, self.rows - first)
            items = templates[offset].filled(self, first, 0, count)
            self._kept[first] = _Kept(items, _crc32(_BEFORE_ITEMS, items))

    def created_at(self, row: int) -> str:
        """The time of a row, as its item has it."""
        instant = START + timedelta(microseconds=self._micros(row))
        return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def _answer(self, request: Mapping[str, Any], first: int, last: int) -> Answer:
        if start := request.get("ExclusiveStartKey"):
            first = int(start["id"]["S"].removeprefix("pay_")) + 1
        count = max(min(self.rows_per_page, last - first, request.get("Limit", last)), 0)
        units = max(-(-count * ITEM_BYTES // 4096), 1) / 2
        tail: dict[str, Any] = {
            "Count": count,
            "ScannedCount": count,
            "ConsumedCapacity": {"TableName": TABLE, "CapacityUnits": units},
        }
        if first + count < last:
            tail["LastEvaluatedKey"] = self._key(first + count - 1)
        envelope = json.dumps(tail, separators=(",", ":")).encode()
        if request.get("Select") == "COUNT":
            parts = [envelope]
        else:
            parts = [_BEFORE_ITEMS, *self._items(first, first + count), b"]," + envelope[1:]]
        kept = self._kept.get(first)
        if kept is not None and len(parts) == 3 and parts[1] is kept.items:
            crc = checksums.crc32(parts[2], kept.crc32)
        else:
            crc = _crc32(*parts)
        partition = f"{PARTITIONS * first // max(self.rows, 1)}"
        return Answer(parts, crc, count * ITEM_BYTES, partition)

    def _key(self, row: int) -> Item:
        return {
            "id": {"S": _ID.format(row)},
            "merchantID": {"S": MERCHANT},
            "createdAt": {"S": self.created_at(row)},
        }

    def _micros(self, row: int) -> int:
        return row * _MICROS // max(self.rows, 1)

    def _row_at(self, bound: tuple[Any, ...]) -> int:
        """The first row that is not before a bound of the index; each page asks for the same."""
        if (row := self._rows_at.get(bound)) is not None:
            return row
        low, high = 0, self.rows
        while low < high:
            middle = (low + high) // 2
            if (self.created_at(middle).encode(),) < bound:
                low = middle + 1
            else:
                high = middle
        self._rows_at[bound] = low
        return low

    def _items(self, first: int, last: int) -> Iterator[Part]:
        """The items of some rows, with commas between them. A row is the same on every page."""
        size = self.rows_per_page
        while first < last:
            block, offset = divmod(first, size)
            end = min(last, (block + 1) * size)
            if not offset and end == min(self.rows, first + size) and first in self._kept:
                yield self._kept[first].items
                first = end
                continue
            yield self._templates[block % TEMPLATES].filled(self, first, offset, end - first)
            first = end
            if first < last:
                yield b","

    @cached_property
    def _rows_at(self) -> dict[tuple[Any, ...], int]:
        return {}

    @cached_property
    def _kept(self) -> dict[int, _Kept]:
        return {}

    @cached_property
    def _templates(self) -> list[_Template]:
        chance = random.Random(self.seed)  # noqa: S311 - the same rows every time
        make = SHAPES[self.shape]
        return [
            _Template.of([make(chance) for _ in range(self.rows_per_page)])
            for _ in range(TEMPLATES)
        ]


def _crc32(*parts: Part) -> int:
    """The CRC32 of several parts, end to end."""
    crc = 0
    for part in parts:
        crc = checksums.crc32(part, crc)
    return crc


def _find(text: bytes, before: bytes) -> Iterator[int]:
    """Every place behind a text."""
    place = text.find(before)
    while place >= 0:
        yield place + len(before)
        place = text.find(before, place + len(before))


def _number(values: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.uint8]:
    """Numbers as digits of one width, a multiple of three or cut from the left."""
    groups = []
    for _ in range(-(-width // 3)):
        values, group = np.divmod(values, 1000)
        groups.append(_THREE[group])
    return np.concatenate(groups[::-1], axis=1)[:, -width:]


def _times(micros: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Microseconds since `START` as the texts of `createdAt`; the month does not end."""
    texts = np.tile(np.frombuffer(_EXAMPLE_TIME.encode(), np.uint8), (len(micros), 1))
    seconds, micros = np.divmod(micros, 1_000_000)
    minutes, second = np.divmod(seconds, 60)
    hours, minute = np.divmod(minutes, 60)
    days, hour = np.divmod(hours, 24)
    for place, value in ((8, days + 1), (11, hour), (14, minute), (17, second)):
        texts[:, place : place + 2] = _THREE[value][:, 1:]
    texts[:, 20:26] = _number(micros, 6)
    return texts
