"""Query and Scan: a page of what an index holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from benchmarks.standins.answers import Answer
from benchmarks.standins.dynamodb.capacity import read_consumption, read_units
from benchmarks.standins.dynamodb.errors import InvalidRequest
from benchmarks.standins.dynamodb.expressions import Expressions
from benchmarks.standins.dynamodb.index import Entry, Index, Record
from benchmarks.standins.dynamodb.keys import key_range, refuse_outside, start_entry
from benchmarks.standins.dynamodb.paths import projected
from benchmarks.standins.dynamodb.table import Table
from benchmarks.standins.dynamodb.tables import Tables

PAGE_BYTES = 1024**2
"""A page ends before the item that would make it larger, counted by item sizes."""

_encode = msgspec.json.Encoder().encode


@dataclass
class Page:
    """What was read: `records` passed the filter, `scanned` and `size` count all."""

    records: list[Record] = field(default_factory=list)
    scanned: int = 0
    size: int = 0
    last: Record | None = None
    """The last record, if the page ends before the end."""


@dataclass(frozen=True)
class _Read:
    """A request with what it names."""

    request: Mapping[str, Any]
    table: Table
    index: Index
    expressions: Expressions
    after: Entry | None

    @classmethod
    def of(cls, tables: Tables, request: Mapping[str, Any]) -> _Read:
        table = tables.table(request.get("TableName"))
        index = _index(table, request)
        after = start_entry(request.get("ExclusiveStartKey"), index, table.key)
        return cls(request, table, index, Expressions(request), after)


def query(tables: Tables, request: Mapping[str, Any]) -> Answer:
    """The answer to `Query`."""
    read = _Read.of(tables, request)
    condition = read.expressions.key_condition
    if condition is None:
        raise InvalidRequest(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the"
            " request."
        )
    selected = key_range(condition.tree, read.index.key, read.expressions.values)
    refuse_outside(selected, read.after)
    forward = request.get("ScanIndexForward", True) is not False
    bounds = (selected.first, selected.last)
    records = read.index.between(selected.partition, bounds, read.after, forward=forward)
    partition = f"{read.table.name}/{request.get('IndexName', '')}/{selected.partition!r}"
    return _answer(read, _collect(records, request.get("Limit"), read.expressions), partition)


def scan(tables: Tables, request: Mapping[str, Any]) -> Answer:
    """The answer to `Scan`."""
    read = _Read.of(tables, request)
    segments = int(request.get("TotalSegments", 1))
    records = read.index.everything(read.after, int(request.get("Segment", 0)), segments)
    page = _collect(records, request.get("Limit"), read.expressions)
    return _answer(read, page, read.table.name)


def _index(table: Table, request: Mapping[str, Any]) -> Index:
    name = request.get("IndexName")
    if name is None:
        return table.primary
    index = table.indexes.get(name)
    if index is None or index.schema is None:
        raise InvalidRequest(f"The table does not have the specified index: {name}")
    if request.get("ConsistentRead"):
        raise InvalidRequest("Consistent reads are not supported on global secondary indexes")
    if request.get("Select") == "ALL_ATTRIBUTES" and not index.schema.holds_all:
        raise InvalidRequest(
            "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported"
            f" for global secondary index {name} because its projection type is not ALL"
        )
    return index


def _collect(records: Iterable[Record], limit: int | None, expressions: Expressions) -> Page:
    page = Page()
    if limit is not None and limit < 1:
        raise InvalidRequest("Limit must be greater than or equal to 1")
    previous: Record | None = None
    for record in records:
        if page.size + record.size > PAGE_BYTES and previous is not None:
            page.last = previous
            break
        page.scanned += 1
        page.size += record.size
        if expressions.filter is None or expressions.lets_through(record.item):
            page.records.append(record)
        if page.scanned == limit:  # even if nothing follows, as DynamoDB has it
            page.last = record
            break
        previous = record
    return page


def _answer(read: _Read, page: Page, partition: str) -> Answer:
    request, index = read.request, read.index
    document: dict[str, Any] = {"Count": len(page.records), "ScannedCount": page.scanned}
    if request.get("Select") != "COUNT":
        document["Items"] = _items(page, read.expressions)
    if page.last is not None:
        names = dict.fromkeys((*index.key.names, *read.table.key.names))
        document["LastEvaluatedKey"] = {name: page.last.item[name] for name in names}
    units = read_units(page.size, consistent=bool(request.get("ConsistentRead")))
    index_name = None if index.schema is None else index.schema.name
    if consumed := read_consumption(request, read.table.name, units, index_name):
        document["ConsumedCapacity"] = consumed
    return Answer.of(_encode(document), page.size, partition)


def _items(page: Page, expressions: Expressions) -> list[Any]:
    if expressions.projection is None:
        return [record.json for record in page.records]
    paths = expressions.projection.tree
    return [projected(record.item, paths) for record in page.records]
